"""`firstmate train`: a model from stored bars, judged and kept in the registry; beside a running assistant too.

Rule 1: the work is done in niced processes with a cap on memory; this one shows how far it is, and Ctrl-C ends it all.
Rule 2: the registry is written once, at the very end: whoever stops this before leaves it as it was.
Rule 3: it names no champion: the gate's answer is printed, and who forecasts is another command's affair.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from bot.barstore import progress
from bot.views.words import plural
from core.adapters import statelock, training
from core.adapters.barfiles import Tally, read_file, recorded
from core.adapters.bars import SqliteBars
from core.adapters.columns import Columns, merged
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, folder_of, mode_to_fill
from core.adapters.migrate import check_current
from core.adapters.models import FOLDER, Registry
from core.adapters.parent import end_with_parent
from core.decide.sizing import round_trip_cost
from core.domain.errors import BadData
from core.domain.market import SPANS, ZERO, Instrument, as_float, span_name
from core.domain.model import Manifest
from core.learn.fit.bound import QUARTERS_NEEDED
from core.learn.judge import card, card_text
from core.learn.judge.card import Card
from core.learn.model_files import ours
from core.settings import Settings

if TYPE_CHECKING:
    from core.learn.fit.train import Crew, Plan

G = TypeVar("G")
T = TypeVar("T")
Reached: TypeAlias = Callable[[int, int], None]

STRIDE, ROWS_MAX = 4, 110_000
YEAR_MS = 365.25 * 86_400_000
PLAIN = Instrument("", "", "", tick=ZERO, lot=ZERO, qty_min=ZERO, notional_min=ZERO)  # of the usual fees
ROOM = "firstmate-train-"
PROCESSES_MAX = 2  # more would be faster, and would need more memory than a small machine has


@dataclass(frozen=True, slots=True)
class Job:
    """What to train on and how.

    The newest ``bars_max`` bars of ``symbols`` (none: of all that are there; ``every_one``: none may be missing) come
    from ``source``, a folder of files or a store; the rows made of them go ``into`` a folder.
    """

    source: Path
    symbols: tuple[str, ...]
    every_one: bool
    span: timedelta
    bars_max: int
    into: Path
    trials: int
    seed: int
    cluster: str | None
    processes: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Made:
    """Rows that were made: the names of their columns and symbols, what is wrong with how they are made, and the years
    and calendar quarters they are of."""

    rows: int
    names: tuple[str, ...]
    symbols: tuple[str, ...]
    faults: tuple[str, ...]
    years: float
    quarters: int


def main(args: Namespace, settings: Settings) -> int:
    """Train, judge and keep; 0 whatever the gate says. Raises BadData, NeedsOwner, RetryLater, StoreUnusable."""
    end_with_parent()
    if args.cluster is not None:
        training.require_reachable(args.cluster)
    mode, source = _source(args, settings)
    with room() as folder:
        job = _job(args, settings, source, folder)
        made = _done("reading bars", make_rows, job, job, training.UNUSED)
        print(f"{made.rows:,} bets of {', '.join(made.symbols)} to learn from.", flush=True)
        if warning := hopeless(made):
            print(warning, flush=True)
        kept_in = statelock.prepare(folder_of(settings.home, mode) / FOLDER)
        text, manifest, judged = _done("training", fit, job, (job, made), () if job.cluster else training.UNUSED)
    kept = Registry(kept_in, ours()).add(text, manifest, card.to_json(judged))
    print(card_text.text(judged, kept))
    said = "The gate lets it pass" if judged.promotable else "The gate does not let it pass, for what it misses above"
    print(f"{said}. Kept as {kept}: `./run models show {kept}`.")
    return 0


@contextmanager
def room() -> Iterator[Path]:
    """A folder for rows, gone at the end; what trainings that were killed left of theirs goes first."""
    for left in Path(tempfile.gettempdir()).glob(f"{ROOM}*"):
        pid = left.name.removeprefix(ROOM).partition("-")[0]
        if pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{ROOM}{os.getpid()}-") as folder:
        yield Path(folder)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def _source(args: Namespace, settings: Settings) -> tuple[str, Path]:
    """The mode the model is for, and where its bars are: a folder of files, or the first store that is there."""
    if args.data:
        if not args.data.is_dir():
            raise BadData(f"{args.data} is no folder: name one that holds files like binance_BTCUSDT_1h.csv.gz")
        return mode_to_fill(settings.mode), args.data
    modes = (settings.mode, mode_to_fill(settings.mode))
    for mode in modes:
        path = folder_of(settings.home, mode) / BARS_FILE
        if path.is_file():
            check_current(path, "bars")
            return mode, path
    raise BadData(f"no bars are stored in {settings.home}: `./run fetch` or `./run import` some, or give --data")


def _job(args: Namespace, settings: Settings, source: Path, into: Path) -> Job:
    asked = args.symbols is not None
    return Job(
        source=source,
        symbols=() if args.data and not asked else settings.symbols,
        every_one=asked,
        span=SPANS[settings.timeframe],
        bars_max=settings.history_bars,
        into=into,
        trials=args.trials,
        seed=args.seed,
        cluster=args.cluster,
        processes=min(os.cpu_count() or 1, PROCESSES_MAX),
        memory_mb=args.memory,
    )


def _done(title: str, work: Callable[[G, Reached], T], job: Job, given: G, spare: tuple[str, ...]) -> T:
    """What ``work`` comes to in a process of its own, with a bar that shows how far it is."""
    with progress(title, "") as reached:
        return training.run(work, given, job.memory_mb, reached, spare)


def make_rows(job: Job, reached: Reached) -> Made:
    """Read the bars, make the rows a model learns from, look for leaks in how they are made, put the rows on disk."""
    from core.learn.data.dataset import build
    from core.learn.fit import leaks, tables
    from core.learn.fit.bound import quarters

    bars = _bars(job, reached)
    if not bars:
        raise BadData(_nothing(job, job.symbols))
    if job.every_one and (missing := [symbol for symbol in job.symbols if symbol not in bars]):
        raise BadData(_nothing(job, missing))
    stride = max(STRIDE, -(-sum(map(len, bars.values())) // ROWS_MAX))
    dataset = build(bars, job.span, stride)
    tables.put(dataset, job.into)
    return Made(
        len(dataset),
        dataset.names,
        dataset.symbols,
        leaks.faults(bars, job.span, partial(build, stride=1)),
        float(dataset.start_ms[-1] - dataset.start_ms[0]) / YEAR_MS,
        len(set(quarters(dataset.start_ms).tolist())),
    )


def hopeless(made: Made) -> str:
    """Why no model made of these rows can pass its gate, however good it is; "" where one can."""
    if made.quarters >= QUARTERS_NEEDED:
        return ""
    return (
        f"The gate cannot let this model pass: the bets are of {made.years:.1f} years and "
        f"{plural(made.quarters, 'calendar quarter')}, and it needs {QUARTERS_NEEDED} quarters "
        f"({QUARTERS_NEEDED / 4:.0f} years) to judge what forecasts win at worst. Load more history, let more of it be "
        "used (FIRSTMATE_HISTORY_BARS), or use longer bars."
    )


def fit(given: tuple[Job, Made], reached: Reached) -> tuple[str, Manifest, Card]:
    """Search, grow and judge on the rows that were made; the parts of a TrainedModel, which can be held without what
    trained it."""
    from core.learn.fit import tables
    from core.learn.fit.conclude import conclude
    from core.learn.fit.train import explore

    job, made = given
    plan = plan_of(job, made.faults)
    dataset = tables.taken_up(job.into, made.names, made.symbols)
    with _crew(job) as crew:
        found = explore(dataset, plan, crew, reached)
    model = conclude(dataset, plan, found, datetime.now(UTC))
    return model.text, model.manifest, model.card


def plan_of(job: Job, faults: tuple[str, ...]) -> Plan:
    """How the job is trained: bets cost the usual fees and slippage, and after each test block nothing is learnt from
    for as long as a bet can last."""
    from core.learn.fit.train import Plan
    from core.learn.rule import HORIZON

    return Plan(
        span=span_name(job.span),
        trials=job.trials,
        seed=job.seed,
        cost=as_float(round_trip_cost(PLAIN)),
        embargo_ms=HORIZON * (job.span // timedelta(milliseconds=1)),
        faults=faults,
    )


@contextmanager
def _crew(job: Job) -> Iterator[Crew]:
    from core.learn.fit.train import Crew

    if job.cluster:
        with training.cluster(job.cluster) as (executor, share):
            yield Crew(executor, share)
    else:
        with training.pool(job.processes, job.memory_mb) as executor:
            yield Crew(executor, lambda _: job.into)


def _bars(job: Job, reached: Reached) -> dict[str, Columns]:
    """The newest bars of each symbol that has some."""
    found = _from_files(job, reached) if job.source.is_dir() else asyncio.run(_from_store(job, reached))
    return {symbol: columns.part(max(0, len(columns) - job.bars_max), len(columns)) for symbol, columns in found}


def _from_files(job: Job, reached: Reached) -> list[tuple[str, Columns]]:
    now, span_ms = datetime.now(UTC), job.span // timedelta(milliseconds=1)
    there = {
        symbol: [file for file in files if file.span == job.span] for symbol, files in recorded(job.source).items()
    }
    wanted = [symbol for symbol, files in there.items() if files and (not job.symbols or symbol in job.symbols)]
    found = []
    for done, symbol in enumerate(wanted, 1):
        columns = Columns(symbol, span_ms)
        for file in there[symbol]:
            for block in read_file(file, now, Tally()):
                columns, _ = merged(columns, block)
        found.append((symbol, columns))
        reached(done, len(wanted))
    return [(symbol, columns) for symbol, columns in found if columns]


async def _from_store(job: Job, reached: Reached) -> list[tuple[str, Columns]]:
    found = []
    db = await Database.open(job.source, durable=False, readers=1)
    try:
        for done, symbol in enumerate(job.symbols, 1):
            columns = Columns(symbol, job.span // timedelta(milliseconds=1))
            async for block in SqliteBars(db).stream_columns(symbol, job.span):
                columns.extend(block)
            found.append((symbol, columns))
            reached(done, len(job.symbols))
    finally:
        await db.close()
    return [(symbol, columns) for symbol, columns in found if columns]


def _nothing(job: Job, missing: Sequence[str]) -> str:
    named = ", ".join(missing) or "any pair"
    if job.source.is_dir():
        where = f"in {job.source}: name another folder by --data, or another --timeframe"
    else:
        where = "stored: `./run fetch` them, or see `./run bars list`"
    return f"no {span_name(job.span)} bars of {named} are {where}"
