"""The real program put together over the world of one life: adapter, journal, engine, executor, reconcile, desk.

Rule 1: it is composed by ``core.compose`` as in every mode; only what has a wall, a thread or a forest in it is stood
        in for: the schedule's clock, the analysts, the lab, the way of a bar from the exchange to here.
Rule 2: an error the program did not foresee is a finding, wherever it is caught.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from random import Random
from typing import Any

import structlog

import core.compose
import core.run.assistant
from core.adapters.statefolder import Stores
from core.compose import Whole, compose
from core.decide.naming import bar_trace
from core.domain.errors import FirstmateError
from core.domain.events import BarSeen
from core.domain.forecast import Forecast
from core.domain.market import Bar, as_decimal, from_ms, to_ms
from core.run.engine import Engine
from core.run.schedule import Job
from core.run.vitals import Vitals
from core.settings import Settings
from core.worlds import World
from tests.campaign.market import SPAN_MS, Zigzag
from tests.campaign.plan import Plan

MARK = "fmsim"


@dataclass(slots=True)
class Surroundings:
    """What the stand-ins need of the life they are in; one life a process at a time."""

    market: Zigzag
    plan: Plan
    true_ms: Callable[[], int]
    unforeseen: Callable[[str, BaseException], None]
    calm: bool = False


_here: list[Surroundings] = []


class Strong:
    """Stands in for the analysts: a strong forecast at seeded bars, silence at the others."""

    def __init__(self, *_: object) -> None:
        """What the real ones need is not needed."""


class NoLab:
    """Stands in for the lab: these lives have no models."""

    work = None
    desk = None

    def __init__(self, *_: object) -> None:
        """What the real one needs is not needed."""


def forecast_of(plan: Plan, bar: Bar) -> Forecast | None:
    """The forecast on this bar, the same whenever it is asked for."""
    rng = Random(f"{plan.seed} {bar.symbol} {bar.open_at.timestamp()}")
    if rng.random() >= plan.appetite:
        return None
    win, loss = rng.uniform(1.0, 3.0) * plan.swing + 0.003, rng.uniform(0.8, 2.0) * plan.swing + 0.002
    horizon = rng.randint(*plan.horizon)
    return Forecast(bar.symbol, bar.open_at, True, 0.9, 0.85, win, loss, horizon, 500, 0.5, "campaign")


class Wire:
    """Stands in for the feed: each closed bar as an event, after what happened to our orders up to then is booked."""

    def __init__(
        self,
        engine: Engine,
        *_: object,
        symbols: Sequence[str],
        only_to_leave: Collection[str] = (),
        before: Callable[[Sequence[Bar]], Awaitable[None]],
        clock: Any = None,
        **__: object,
    ) -> None:
        self._engine = engine
        self._symbols = tuple(symbols)
        self._before = before
        self._here = _here[-1]
        self._clock = clock or _[3]
        self._last: dict[str, int] = {}

    async def prepare(self, progress: Callable[[str, int], None] = lambda symbol, bars: None) -> None:
        """Nothing before this moment is news, except what the engine has not seen since the last run."""
        now_ms = self._here.true_ms()
        for symbol in self._symbols:
            progress(symbol, 0)
            mark = self._engine.state.marks.get(symbol)
            self._last[symbol] = to_ms(mark.bar.open_at) if mark else now_ms - now_ms % SPAN_MS - 2 * SPAN_MS

    async def poll(self) -> int:
        """Post what has closed since; how many bars."""
        due = sorted((bar for s in self._symbols for bar in self._closed(s)), key=lambda b: (b.open_at, b.symbol))
        for bar in due:
            await self._before([bar])
            forecast = None if self._here.calm else forecast_of(self._here.plan, bar)
            trace = bar_trace(bar.symbol, bar.open_at)
            await self._engine.post(BarSeen(self._clock.now(), trace, bar, forecast, "" if forecast else "calm"))
            self._last[bar.symbol] = to_ms(bar.open_at)
        return len(due)

    def _closed(self, symbol: str) -> Iterator[Bar]:
        until = self._here.true_ms() - SPAN_MS + 1
        for row in self._here.market.rows(symbol, self._last[symbol] + 1, until, 100):
            prices = (as_decimal(value) for value in row[1:])
            yield Bar(symbol, from_ms(row.open_ms), timedelta(milliseconds=SPAN_MS), *prices)

    async def save(self) -> None:
        """Nothing is folded."""


class Schedule:
    """Stands in for the schedule: the same table of jobs, each in a loop of its own on the loop's time."""

    def __init__(self, jobs: Sequence[Job], vitals: Vitals, *_: object) -> None:
        self._jobs = tuple(jobs)
        self._vitals = vitals
        self._tasks: list[asyncio.Task[None]] = []
        self._here = _here[-1]
        for job in jobs:
            vitals.expect(job.name, job.patience_s)

    def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self._repeat(job)) for job in self._jobs]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def watch_clock(self) -> bool:
        return False

    async def _repeat(self, job: Job) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._run(job)
            due = max(due + job.every_s, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _run(self, job: Job) -> None:
        try:
            await job.run()
        except FirstmateError as error:
            self._vitals.failed(job.name, error.user_text)
        except Exception as error:
            self._here.unforeseen(f"job {job.name}", error)
        else:
            self._vitals.well(job.name)


@contextmanager
def stood_in(here: Surroundings, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Every stand-in in its place, and every clock of this process on the loop's time, until the end of the block."""
    start_s = here.true_ms() / 1000 - loop.time()
    changes: list[tuple[Any, str, Any]] = [
        (core.compose, "Feed", Wire),
        (core.compose, "Analysts", Strong),
        (core.compose, "laboratory", NoLab),
        (core.run.assistant, "Schedule", Schedule),
        (time, "monotonic", loop.time),
        (time, "time", lambda: start_s + loop.time()),
        (time, "time_ns", lambda: int((start_s + loop.time()) * 1e9)),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    _here.append(here)
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
        _here.pop()


def quiet() -> None:
    """No log: the trace says what happened."""
    structlog.configure(
        processors=[_dropped], wrapper_class=structlog.BoundLogger, logger_factory=structlog.ReturnLoggerFactory()
    )


def _dropped(*_: object) -> Any:
    raise structlog.DropEvent


async def composed(plan: Plan, stores: Stores, clock: Any, binance: Any, stream: Any) -> Whole:
    """The program, restored from its journal and not yet awake."""
    extra = {"stream": stream} if "stream" in {spec.name for spec in fields(World)} else {}
    world = World(clock, binance, binance, staged="SIMULATED", **extra)
    return await compose(_settings(plan), "demo", stores, world, MARK, 120)


def _settings(plan: Plan) -> Settings:
    return Settings(
        symbols=plan.symbols,
        timeframe="1m",
        approve=plan.approve,
        configured=True,
        **plan.limits,  # type: ignore[arg-type]
    )


def moment(ms: int) -> datetime:
    """An aware time."""
    return from_ms(ms)
