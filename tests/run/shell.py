"""Engine, executor and reconcile running over the world in memory, for as long as a test needs them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from core.domain.effects import Tell
from core.domain.orders import Order, Purpose
from core.domain.state import State
from core.ports import Journal
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.reconcile import Reconcile
from tests.run.fakes import Exchange, HandClock, MemoryJournal
from tests.run.samples import beginnings, of_purpose, opening, seen


@dataclass(slots=True)
class Shell:
    """The running parts and the world they run in."""

    clock: HandClock
    journal: Journal
    exchange: Exchange
    engine: Engine
    reconcile: Reconcile
    executor: Executor

    @property
    def state(self) -> State:
        """The committed state."""
        return self.engine.state

    def order(self, purpose: Purpose) -> Order:
        """The newest order of this purpose."""
        return of_purpose(self.state, purpose)

    async def open(self, *symbols: str, approve_auto: bool = True, fee: str = "0", lists: bool = False) -> None:
        """Post the first events of a life."""
        for event in (*opening(*symbols, approve_auto=approve_auto, fee=fee, lists=lists), *beginnings(*symbols)):
            await self.engine.post(event)

    async def look(self, hour: int, close: str = "100", symbol: str = "BTCUSDT", *, buy: bool = True) -> None:
        """Let a bar close: time moves to its close, the engine sees it, all that follows happens."""
        event = seen(hour, close, symbol, buy=buy)
        self.clock.at = max(self.clock.at, event.at)
        await self.engine.post(event)
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        while not (self.engine.idle and self.executor.idle):
            await self.engine.settled()
            await self.executor.settled()


@contextlib.asynccontextmanager
async def running(*parts: Callable[[], Awaitable[None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The parts as tasks, cancelled at the end in reverse order; a failure of one is left to the test."""
    tasks = [asyncio.ensure_future(part()) for part in parts]
    try:
        yield tasks
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task], timeout=5)
            if not task.cancelled():
                task.exception()


@contextlib.asynccontextmanager
async def shell(
    journal: Journal | None = None,
    exchange: Exchange | None = None,
    *,
    follow: Callable[[str], Awaitable[None]] | None = None,
    one_lane: bool = False,
) -> AsyncIterator[Shell]:
    """A shell restored from ``journal``, running against ``exchange``."""
    exchange = exchange or Exchange(HandClock())
    journal = journal if journal is not None else MemoryJournal()
    engine = Engine(journal, await restore(journal))
    reconcile = Reconcile(engine, exchange, exchange.clock)
    executor = Executor(engine, exchange, exchange.clock, follow=follow or reconcile.symbol, one_lane=one_lane)
    async with running(engine.run, executor.run):
        yield Shell(exchange.clock, journal, exchange, engine, reconcile, executor)


def kinds(journal: MemoryJournal) -> list[str]:
    """The names of the journaled events, in order."""
    return [type(event).__name__ for event in journal.events()]


def tells(journal: MemoryJournal) -> list[Tell]:
    """Every message to the owner, in order."""
    return [effect for line in journal.lines for effect in line.effects if isinstance(effect, Tell)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded, until ``condition`` holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
