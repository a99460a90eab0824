"""train: from stored bars to a kept model, or one sentence; whoever stops it leaves everything as it was."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import platformdirs
import pytest

from bot.commands.train import Job, Made, hopeless, plan_of
from core.adapters import statelock
from core.adapters.bars import SqliteBars
from core.adapters.columns import Columns
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE
from core.adapters.migrate import migrate
from core.adapters.models import FOLDER, Registry
from core.adapters.parent import FOLLOWS
from core.learn.judge import card
from core.learn.judge.card import made
from core.learn.model_files import ours
from tests.adapters.test_training import LINUX, alive
from tests.bot.lived import ROOT, environment, firstmate, one_line
from tests.learn import tiny_models
from tests.learn.judge.judgements import GOOD, MAKING
from tests.learn.markets import HOUR_MS, times, walk
from tests.test_imports import RESEARCH, command, loaded

ENOUGH = 4_900  # bars of one pair that make just enough rows
SHORT = 2_150  # bars of three pairs that do, though none is long enough to be looked at for leaks
# machine code of the features, compiled once for all tests
CACHE = {"NUMBA_CACHE_DIR": str(platformdirs.user_cache_path("firstmate", appauthor=False))}


def files(folder: Path, bars: int, *symbols: str) -> Path:
    """A folder with a file of hours a symbol."""
    folder.mkdir()
    for seed, symbol in enumerate(symbols):
        rows = zip(times(bars), *walk(bars, seed), strict=True)
        with gzip.open(folder / f"{symbol}_1h.csv.gz", "wt") as file:
            file.write("timestamp,open,high,low,close,volume\n")
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)
    return folder


def stored(home: Path, bars: int, symbol: str) -> None:
    """A bar store of paper trading with so many hours of a pair."""
    columns = Columns(symbol, HOUR_MS)
    for open_ms, *numbers in zip(times(bars), *walk(bars, 1), strict=True):
        columns.append(open_ms, tuple(numbers))
    path = home / "paper" / BARS_FILE
    path.parent.mkdir(parents=True, mode=0o700)
    migrate(path, "bars")

    async def fill() -> None:
        db = await Database.open(path, durable=False)
        await SqliteBars(db).merge(columns, "drawn")
        await db.close()

    asyncio.run(fill())


def champion(home: Path) -> Path:
    """The models' folder of paper trading, with a champion in it."""
    registry = Registry(home / "paper" / FOLDER, ours())
    registry.promote(registry.add(tiny_models.text(0), tiny_models.manifest(), card.to_json(made(MAKING, GOOD))))
    return home / "paper" / FOLDER


def seen(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_trained_judged_and_kept(tmp_path: Path):
    """The whole way by the real command: its page is printed, its files are in the registry, the champion stays."""
    home = tmp_path / "home"
    before = seen(champion(home))
    pairs = ("BTCUSDT", "ETHUSDT", "XRPUSDT")
    done = firstmate(
        "train", "--data", str(files(tmp_path / "d", SHORT, *pairs)), "--trials", "1", home=home, env=CACHE
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "bets of BTCUSDT, ETHUSDT, XRPUSDT to learn from." in done.stdout
    assert "MAY NOT TRADE" in done.stdout
    first, second = done.stdout.splitlines()[:2]
    assert first.endswith("to learn from.")
    assert second.startswith("The gate cannot let this model pass: the bets are of 0.2 years and ")
    # what is wrong with how rows are made reaches the page
    assert "[ ] sound\n    Found: 2,150 bars are too few to look for a look ahead" in done.stdout
    assert "The gate does not let it pass" in done.stdout
    registry = Registry(home / "paper" / FOLDER, ours())
    newest = registry.list()[0]
    assert newest.model is not None
    assert f"Kept as {newest.model.id}" in done.stdout
    assert newest.model.manifest.symbols == pairs
    after = seen(home / "paper" / FOLDER)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("quarters", "said"),
    [
        (
            15,
            "The gate cannot let this model pass: the bets are of 3.8 years and 15 calendar quarters, and it needs "
            "16 quarters (4 years) to judge what forecasts win at worst. Load more history, let more of it be used "
            "(FIRSTMATE_HISTORY_BARS), or use longer bars.",
        ),
        (16, ""),
    ],
)
def test_a_history_that_no_model_can_pass_with_is_told_before_the_work(quarters: int, said: str):
    """Minutes are not spent in hope: the bound of a half of the quarters needs eight of them."""
    assert hopeless(Made(2_000, ("a",), ("BTCUSDT",), (), 3.8, quarters)) == said


def test_a_training_counts_costs_and_keeps_away_from_its_tests_as_long_as_a_bet_lasts(tmp_path: Path):
    """Fees and slippage both ways, 0.24 %; an embargo of 96 bars, whatever their length; trials and seed as asked."""
    job = Job(tmp_path, (), False, timedelta(hours=4), 5_000, tmp_path, 7, 3, None, 1, 1_024)
    plan = plan_of(job, ("a fault",))
    assert (plan.span, plan.trials, plan.seed, plan.faults) == ("4h", 7, 3, ("a fault",))
    assert plan.cost == pytest.approx(0.0024)
    assert plan.embargo_ms == 96 * 4 * HOUR_MS


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        ((), "no bars are stored in", 2),
        (("--data", "nowhere"), "nowhere is no folder", 2),
        (("--data", "few"), "are the fewest a model is made of", 2),
        (("--data", "tiny"), "no bet can be learned from", 2),
        (("--data", "few", "--timeframe", "4h"), "few: name another folder by --data, or another --timeframe", 2),
        (("--data", "few", "--cluster", ""), "'' is no address of a Dask scheduler", 2),
        (("--data", "few", "--symbols", "BTCUSDT,LTCUSDT"), "no 1h bars of LTCUSDT are in", 2),
        (("--data", "broken"), "BTCUSDT_1h.csv:3:", 2),
        (("--data", "few", "--cluster", "tcp://127.0.0.1:9"), "No Dask scheduler answers at", 5),
        (("--data", "few", "--cluster", "somewhere"), "'somewhere' is no address of a Dask scheduler", 2),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(tmp_path: Path, words: tuple[str, ...], said: str, code: int):
    """Nothing there, too little, another bar length, a pair that is missing, a bad line, no cluster: one line each."""
    files(tmp_path / "few", 1500, "BTCUSDT")
    files(tmp_path / "tiny", 300, "BTCUSDT")
    (tmp_path / "broken").mkdir()
    head = "timestamp,open,high,low,close,volume\n"
    (tmp_path / "broken" / "BTCUSDT_1h.csv").write_text(head + f"{times(1)[0]},1,1,1,1,1\nnonsense,1,1,1,1,1\n")
    home = tmp_path / "home"
    kept = champion(home)
    before = seen(kept)
    done = firstmate("train", *words, "--trials", "1", home=home, env=CACHE)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert seen(kept) == before


def test_the_bar_store_is_trained_on_beside_a_running_assistant(tmp_path: Path):
    """Without --data the stored bars are taken, and no lock of the state folder stands in the way."""
    home = tmp_path / "home"
    stored(home, 1500, "BTCUSDT")
    with statelock.hold(home):
        done = firstmate("train", "--symbols", "BTCUSDT", home=home, env=CACHE)
    assert "bets can be learned from, and 1,000 are the fewest" in done.stderr
    assert "bets of BTCUSDT to learn from." in done.stdout


@LINUX
def test_a_machine_that_is_too_small_is_told_how_much_is_needed(tmp_path: Path):
    """The least memory that can be given is not enough for the libraries: one line that names the option."""
    data = files(tmp_path / "d", 1500, "BTCUSDT")
    done = firstmate("train", "--data", str(data), "--memory", "256", home=tmp_path / "home")
    assert done.returncode == 2
    assert "more than the 256 MB it may use: give it more by --memory" in one_line(done)


def test_a_history_of_one_quarter_is_spoken_of_in_the_singular():
    """The sentence is read by people."""
    said = hopeless(Made(2_000, ("a",), ("BTCUSDT",), (), 0.1, 1))
    assert "the bets are of 0.1 years and 1 calendar quarter, and it" in said


def test_a_place_where_no_model_can_be_kept_is_told_before_the_work(tmp_path: Path):
    """Not after an hour of it: also these few bets are not looked at before."""
    home = tmp_path / "home"
    (home / "paper").mkdir(parents=True)
    (home / "paper" / FOLDER).write_text("a file in its place")
    done = firstmate("train", "--data", str(files(tmp_path / "d", SHORT, "BTCUSDT")), home=home, env=CACHE)
    assert done.returncode == 4
    assert f"The state folder {home / 'paper' / FOLDER} cannot be made (File exists): " in done.stderr


@LINUX
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL, None])
def test_whoever_stops_it_leaves_everything_as_it_was(tmp_path: Path, signal_: int | None):
    """Ended in the middle of its work, or by the end of whoever began it (None): no model more, the champion in place,
    no process left, no file left behind."""
    home = tmp_path / "home"
    kept = champion(home)
    before, scratch = seen(kept), tmp_path / "scratch"
    scratch.mkdir()
    words = ("train", "--data", str(files(tmp_path / "d", ENOUGH, "BTCUSDT")), "--trials", "5000")
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", *words],
        env=environment(home) | CACHE | {"TMPDIR": str(scratch)} | ({} if signal_ else {FOLLOWS: "stdin"}),
        cwd=ROOT,
        stdin=subprocess.DEVNULL if signal_ else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heard,
    )
    with process:
        assert "to learn from" in process.stdout.readline()
        below = until(lambda: workers(process.pid))
        if signal_:
            os.killpg(process.pid, signal_)  # what a terminal does: everybody in the group hears it
        _, said = process.communicate(timeout=30)
    assert process.returncode == (-signal_ if signal_ == signal.SIGKILL else 130)
    until(lambda: not any(map(alive, below)))
    assert seen(kept) == before
    if signal_ != signal.SIGKILL:
        assert said == "firstmate: interrupted\n"
        assert not list(scratch.iterdir())


def heard() -> None:
    """Let a child hear Ctrl-C, also where these tests run in the background and nobody here does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def workers(pid: int) -> list[int]:
    """All processes below one, once the training's own workers are among them."""
    found = [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    deeper = [below for child in found for below in workers(child)]
    return [*found, *deeper]


def until(holds):
    """What ``holds`` says once it says something true; half a minute is long enough for anything here."""
    for _ in range(600):
        if said := holds():
            return said
        time.sleep(0.05)
    raise AssertionError("it never came to pass")


def test_the_command_itself_loads_no_research_library(tmp_path: Path):
    """Whoever waits for the training is light: what it takes is loaded in the processes that work."""
    words = ("train", "--data", str(tmp_path / "nowhere"), "--state", str(tmp_path / "home"))
    assert not loaded(command(*words), tmp_path) & RESEARCH
