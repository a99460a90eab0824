"""One bar close from the bars to the disk: features, a forecast by the warm model, one transaction.

Run: ``python bench/bench_tick.py [--rounds N] [--folder DIR]``. Every round is one hour of 50 or of 200 symbols, by
the same parts as live: analysts in plain Python, the analyst's own process, the engine, the journal at FULL durability.
The batches take turns, so that what else the machine does falls on both; medians and their parts. A tick ends with the
commit; what is learned of its bars for the next one stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import median

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import structlog

from bench.bench_forecast import manifest, trained
from core.adapters.db import Database
from core.adapters.forecaster import ProcessForecaster
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.adapters.models import Registry
from core.domain import events as ev
from core.domain.market import Bar, Instrument, as_decimal, from_ms
from core.domain.state import State
from core.learn.correlation import PEER_CORRELATION
from core.learn.features import WARM_UP
from core.learn.fit.bound import Bound
from core.learn.model_files import ours
from core.run.analysts import Analysts
from core.run.asking import Asking
from core.run.engine import Engine

SYMBOLS = (50, 200)
# a bound under which hardly a row could pay, as on real markets: what pays is explained, at a millisecond a row
SHY = Bound(0.9, 20, (0.2, 0.5, 0.8), (0.1, 0.2, 0.3)).to_json()
HOUR = timedelta(hours=1)
START_MS = 1_600_000_000_000 // 3_600_000 * 3_600_000
START = datetime(2020, 9, 13, tzinfo=UTC)


def names(count: int) -> tuple[str, ...]:
    """So many symbols, BTC among them."""
    return ("BTCUSDT", *(f"S{n:03}USDT" for n in range(1, count)))


class NoFolds:
    """Nothing is saved here."""

    async def save_fold(self, *_: object) -> None:
        """Forgotten."""

    async def load_fold(self, *_: object) -> None:
        """Nothing was kept."""


@cache
def market(hour: int) -> float:
    """The part of an hour's move that all symbols share."""
    return random.Random(hour).gauss(0.0, 1.0)


class Walk:
    """Hours of one seeded symbol, one after the other, in the ticks and lots of its instrument; any two of them are
    correlated by 0.72, so that every symbol has dozens of peers, as in a real market."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._rng, self._close, self._hour = random.Random(symbol), 100.0, 0

    def next(self) -> Bar:
        open_ = self._close
        self._close = open_ * math.exp(0.006 * (0.85 * market(self._hour) + 0.53 * self._rng.gauss(0.0, 1.0)))
        wick = 1 + abs(self._rng.gauss(0, 0.002))
        prices = (open_, max(open_, self._close) * wick, min(open_, self._close) / wick, self._close)
        self._hour += 1
        at = from_ms(START_MS + self._hour * 3_600_000)
        figures = (*(round(price, 2) for price in prices), round(self._rng.expovariate(0.001), 3))
        return Bar(self.symbol, at, HOUR, *map(as_decimal, figures))


@dataclass(slots=True)
class Desk:
    """One assistant's machine with its symbols warm."""

    walks: list[Walk]
    analysts: Analysts
    engine: Engine

    async def tick(self) -> tuple[float, float, float]:
        """Milliseconds for features and forecast, for stepping and committing what follows, and for what is learned
        of the bars after that, for the next ones."""
        bars = [walk.next() for walk in self.walks]
        began = time.perf_counter()
        told = await self.analysts.seen(bars)
        said = time.perf_counter()
        at = bars[0].close_at
        await self.engine.post_all(
            ev.BarSeen(at, bar.symbol, bar, forecast, why) for bar, (forecast, why) in zip(bars, told, strict=True)
        )
        done = time.perf_counter()
        self.analysts.learn()
        assert all(forecast for forecast, _ in told)
        return (said - began) * 1e3, (done - said) * 1e3, (time.perf_counter() - done) * 1e3


@asynccontextmanager
async def desk(folder: Path, model: Path, count: int) -> AsyncIterator[Desk]:
    folder.mkdir()  # noqa: ASYNC240  # nothing else runs yet
    migrate(folder / "firstmate.db", "main")
    db = await Database.open(folder / "firstmate.db", durable=True)
    engine = Engine(SqliteJournal(db), State())
    running = asyncio.create_task(engine.run())
    walks = [Walk(name) for name in names(count)]
    forecaster = ProcessForecaster(timedelta(minutes=1))
    analysts = Analysts([walk.symbol for walk in walks], HOUR, NoFolds(), PEER_CORRELATION, Asking(forecaster))  # type: ignore[arg-type]
    rules = {
        w.symbol: Instrument(w.symbol, w.symbol[:-4], "USDT", *map(Decimal, ("0.01", "0.001", "0.001", "5")))
        for w in walks
    }
    await engine.post(ev.InstrumentsSeen(START, "start", rules))
    await engine.post(ev.BalancesSeen(START, "start", {"USDT": Decimal(10_000)}))
    for _ in range(WARM_UP):
        await analysts.seen([walk.next() for walk in walks])
    await analysts.use(Registry(model.parent, ours()).load(model.name))
    try:
        yield Desk(walks, analysts, engine)
    finally:
        running.cancel()
        await forecaster.close()
        await db.close()


async def bench(folder: Path, rounds: int) -> None:
    registry = Registry(folder / "models", ours())
    model = (
        folder
        / "models"
        / registry.add(trained(60, 15, 1), replace(manifest(), bound=SHY, symbols=names(SYMBOLS[-1])), {})
    )
    async with desk(folder / "few", model, SYMBOLS[0]) as few, desk(folder / "many", model, SYMBOLS[1]) as many:
        found: dict[int, list[tuple[float, float, float]]] = {count: [] for count in SYMBOLS}
        for _ in range(rounds):
            for count, each in zip(SYMBOLS, (few, many), strict=True):
                found[count].append(await each.tick())
    for count, ticks in found.items():
        whole = median(sum(tick[:2]) for tick in ticks)
        parts = [median(tick[k] for tick in ticks) for k in (0, 1, 2)]
        print(
            f"{count:4} symbols   {whole:7.2f} ms a tick in the median   features and forecast {parts[0]:7.2f}"
            f"   step and commit {parts[1]:7.2f}   {whole / count * 1e3:6.0f} us a symbol"
            f"   afterwards, who moves with whom {parts[2]:7.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--folder", type=Path, help="where the database lies; default: the temporary folder")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        asyncio.run(bench(Path(name), asked.rounds))


if __name__ == "__main__":
    main()
