"""The paper twin: a second machine on the same events as live, with a paper account, so that the difference shows.

Rule 1: live never waits for it, never fails because of it and never hears from it: the twin reads live's journal, and
        all it takes from live at run time is that there is something new.
Rule 2: what comes from the world, the lab or the owner is posted again, in live's order; what an exchange answers is
        the twin's own. Bars meet its open orders before its machine sees them, as in paper trading.
Rule 3: each line it posted bears the number of live's line in its trace: its own journal says how far it is, so a kill
        at any moment loses nothing, and a line posted twice changes nothing (bars and updates are known).
Rule 4: both sides size from the same worth: where they are far apart, by a deposit, a withdrawal or a missed trade,
        the difference is paid into or out of the twin's account and booked there as it would be in live.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import structlog

from core.decide.step import step
from core.domain.errors import FirstmateError, InvariantBroken, OutcomeUnknown, RetryLater
from core.domain.events import BarSeen, Configured, InstrumentsSeen, LabSpoke, OwnerEvent, PeersSeen, Ticked
from core.domain.market import Bar
from core.domain.orders import Fill
from core.domain.state import State, Trade
from core.ports import Broker, Clock, Committed, Journal
from core.run.alike import apart_by, birth, last_followed, live_trace, resumption
from core.run.difference import Comparison, differences, entry_intent, summary
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.questions import Check
from core.run.reconcile import Reconcile

FOLLOWED = (Configured, InstrumentsSeen, BarSeen, PeersSeen, LabSpoke, OwnerEvent)
LOOK_S = 2.0
BEHIND_LINES = 1_000
TRADES_COMPARED = 200
FILLS_COMPARED = 2_000
BOOKED_EVERY = timedelta(minutes=1)
log = structlog.get_logger()


class TwinAccount(Broker, Protocol):
    """A paper account that bars are played to and money can be moved to and from."""

    async def on_bar(self, bar: Bar) -> Sequence[Fill]:
        """Our trades in this closed bar; none when it was played before."""

    async def transfer(self, asset: str, amount: Decimal) -> Decimal:
        """Pay in, or out at most what is free; what was moved."""


class Traded(Protocol):
    """What one side traded, newest first."""

    async def trades(self, limit: int) -> Sequence[Trade]:
        """Closed round trips."""

    async def fills(self, since: datetime, limit: int) -> Sequence[Fill]:
        """Trades of single orders from ``since`` on."""


class TwinRecords(Traded, Protocol):
    """The twin's own record; nobody reads its messages."""

    async def hush(self) -> int:
        """Forget every message that waits to be delivered; how many."""


OpenAccount = Callable[[Mapping[str, Decimal]], Awaitable[TwinAccount]]


@dataclass(frozen=True, slots=True)
class TwinKept:
    """What a twin keeps: its journal, its record, and its account, which begins with the balances it is given."""

    journal: Journal
    records: TwinRecords
    open_account: OpenAccount


@dataclass(frozen=True, slots=True)
class TwinParts:
    """What a twin is made of: live's engine, journal and record to read, and its own store, opened when it runs."""

    live: Engine
    live_journal: Journal
    live_records: Traded
    clock: Clock
    opened: Callable[[], AbstractAsyncContextManager[TwinKept]]


@dataclass(frozen=True, slots=True)
class _Machine:
    """The twin's own machine and the account it trades on."""

    engine: Engine
    executor: Executor
    reconcile: Reconcile
    account: TwinAccount

    async def settled(self) -> None:
        """Wait until nothing is on its way through engine or executor."""
        while not (self.engine.idle and self.executor.idle):
            await self.engine.settled()
            await self.executor.settled()


class Twin:
    """Follows live with a paper account, and says what the difference is."""

    def __init__(self, parts: TwinParts) -> None:
        self._parts = parts
        self._live = parts.live
        self._news = asyncio.Event()
        self._kept: TwinKept | None = None
        self._followed = 0
        self._since: datetime | None = None
        self._shown_at: datetime | None = None
        self._trouble = ""
        parts.live.listen(self._hear)

    def _hear(self, committed: Committed) -> None:
        """Live committed a line: it stands in the journal, so that there is one is all there is to remember."""
        self._news.set()

    def check(self) -> Check:
        """The line of /health."""
        behind = self._live.state.seq - self._followed
        if self._trouble:
            return Check("twin", False, self._trouble)
        if self._since is None:
            return Check("twin", True, "begins once live knows its balances")
        return Check("twin", behind <= BEHIND_LINES, f"{behind} lines behind live")

    async def compare(self) -> Comparison:
        """The newest trades of both sides since the twin began, paired and summed up."""
        since, kept, parts = self._since, self._kept, self._parts
        if since is None or kept is None:
            return Comparison(None, (), summary(()), self._trouble)
        live = await parts.live_records.trades(TRADES_COMPARED)
        twin = await kept.records.trades(TRADES_COMPARED)
        # where one side shows its newest only, what the other has from before is not missed
        since = max([since, *(side[-1].opened_at for side in (live, twin) if len(side) == TRADES_COMPARED)])
        live_fills = await parts.live_records.fills(since, FILLS_COMPARED)
        twin_fills = await kept.records.fills(since, FILLS_COMPARED)
        before = {trade.intent for trade in (*live, *twin) if trade.opened_at < since}
        rows = differences(
            [trade for trade in live if trade.intent not in before],
            [trade for trade in twin if trade.intent not in before],
            [fill for fill in live_fills if entry_intent(fill.client_id) not in before],
            [fill for fill in twin_fills if entry_intent(fill.client_id) not in before],
        )
        return Comparison(since, rows, summary(rows), self._trouble)

    async def run(self) -> None:
        """Follow live until cancelled; whatever fails here ends the following, is told, and ends nothing else."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                self._kept = await stack.enter_async_context(self._parts.opened())
                await self._run(self._kept)
            except Exception as failure:
                self._trouble = f"stopped: {_reason(failure)}; live goes on, a restart resumes the twin"
                log.exception("the twin stopped")
                await asyncio.Event().wait()

    async def _run(self, kept: TwinKept) -> None:
        while not self._live.state.balances:
            await self._news.wait()
            self._news.clear()
        account = await kept.open_account(self._live.state.balances)
        machine = self._machine(kept, await restore(kept.journal), account)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(machine.engine.run(), name="twin engine")
            tasks.create_task(machine.executor.run(), name="twin executor")
            await self._begin(machine, kept)
            while True:
                self._news.clear()
                await self._patiently(machine)
                await kept.records.hush()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()

    def _machine(self, kept: TwinKept, state: State, account: TwinAccount) -> _Machine:
        clock = self._parts.clock
        engine = Engine(kept.journal, state)
        reconcile = Reconcile(engine, account, clock)
        return _Machine(engine, Executor(engine, account, clock, follow=reconcile.symbol), reconcile, account)

    async def _begin(self, machine: _Machine, kept: TwinKept) -> None:
        """Be born as live is now, or go on where the own journal ends. Raises InvariantBroken for another live."""
        state = machine.engine.state
        if state.adopted_at is None:
            for event in birth(self._live.state, await machine.account.balances(), self._parts.clock.now()):
                await machine.engine.post(event)
        await machine.reconcile.full("start")
        self._since = machine.engine.state.adopted_at
        self._followed = await last_followed(kept.journal, machine.engine.state.seq)
        if self._followed > self._live.state.seq:
            raise InvariantBroken("it has followed another journal than live's: remove its folder")
        log.info("the twin follows", line=self._followed, behind=self._live.state.seq - self._followed)

    async def _patiently(self, machine: _Machine) -> None:
        """One look; where the market cannot be reached, the same lines are followed at the next."""
        try:
            await self._look(machine)
        except (RetryLater, OutcomeUnknown) as later:
            self._trouble = f"waits: {_reason(later)}"
            log.warning("the twin looks later", why=later.user_text)
        else:
            self._trouble = ""

    async def _look(self, machine: _Machine) -> None:
        """Follow every line live has committed, then see to what the twin has open."""
        async for line in self._parts.live_journal.events_after(self._followed):
            if isinstance(line.event, FOLLOWED):
                await self._follow(machine, line)
            self._followed = line.seq
            await asyncio.sleep(0)  # a long way to catch up must not hold up live
        await machine.reconcile.poll()
        await self._tick(machine)
        await machine.settled()
        await self._keep_alike(machine)

    async def _follow(self, machine: _Machine, line: Committed) -> None:
        if isinstance(line.event, BarSeen):
            await machine.account.on_bar(line.event.bar)
            await machine.reconcile.poll()
            await machine.settled()
        await machine.engine.post(replace(line.event, trace=live_trace(line.seq)))
        if isinstance(line.event, InstrumentsSeen):
            await machine.reconcile.full("start")  # the trades of a new symbol are counted from before its first order
        await machine.settled()

    async def _tick(self, machine: _Machine) -> None:
        """Let time pass where something waits for it; the journal keeps no empty ticks."""
        tick = Ticked(self._parts.clock.now(), "tick")
        if step(machine.engine.state, tick)[1]:
            await machine.engine.post(tick)

    async def _keep_alike(self, machine: _Machine) -> None:
        """Bring both sides to the same worth and out of a halt of the twin's own; first what was paid is booked."""
        live, own, now = self._live.state, machine.engine.state, self._parts.clock.now()
        if _held(own.balances) != _held(await machine.account.balances()):
            await self._book(machine, now)
        elif apart := apart_by(live, own):
            moved = await machine.account.transfer(live.quote, apart)
            log.info("the twin's account follows live's", moved=str(moved), asset=live.quote)
        elif resumed := resumption(live, own, now):
            await machine.engine.post(resumed)

    async def _book(self, machine: _Machine, now: datetime) -> None:
        """Show the machine its account now and then until it believes it."""
        if self._shown_at is None or now - self._shown_at >= BOOKED_EVERY:
            self._shown_at = now
            await machine.reconcile.balances()


def _held(balances: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {asset: qty for asset, qty in balances.items() if qty}


def _reason(failure: Exception) -> str:
    """One line about a failure, of the first one in a group."""
    if isinstance(failure, ExceptionGroup):
        return _reason(failure.exceptions[0])
    if isinstance(failure, FirstmateError):
        return failure.user_text.rstrip(".")
    return f"{type(failure).__name__}, see the log"
