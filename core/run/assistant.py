"""The assistant as one thing: its parts, the order in which it wakes up, and what it does when.

Rule 1: start-up and crash recovery are one path: restore, rules, balances, reconcile, history, and only then new bars.
Rule 2: in lock-step the same parts are driven by hand, each to its end before the next: a run can be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from core.decide.step import step
from core.domain.errors import BadData, NeedsOwner, OutcomeUnknown, Refused, RetryLater
from core.domain.events import AccessLost, Configured, Event, Ticked
from core.ports import Broker, Clock, Journal, MarketData, Records
from core.run.access import EVERY_S as LOOK_AT_RIGHTS_EVERY_S
from core.run.access import PATIENCE_S as RIGHTS_PATIENCE_S
from core.run.access import Access
from core.run.desk import Desk
from core.run.ears import Ears
from core.run.engine import Engine
from core.run.executor import Executor
from core.run.feed import Feed
from core.run.labwork import LabWork
from core.run.questions import About
from core.run.reconcile import Reconcile
from core.run.rules import Rules
from core.run.schedule import WATCH_EVERY_S, Job, Schedule
from core.run.twin import Twin
from core.run.vitals import Vitals

RETRY_S = (1.0, 2.0, 5.0, 10.0)
GUARD_EVERY_S = 4.0
RECONCILE_EVERY_S = 60.0
KEY_RETRY_S = 60.0
ENGINE_ANSWERS_WITHIN_S = 5.0
KEPT_FOR = timedelta(days=60)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the shell is made of, put together in ``core.compose``."""

    engine: Engine
    executor: Executor
    reconcile: Reconcile
    rules: Rules
    feed: Feed
    desk: Desk
    vitals: Vitals
    journal: Journal
    records: Records
    market: MarketData
    broker: Broker
    clock: Clock
    about: About
    wanted: Configured
    ears: Ears | None = None
    access: Access | None = None
    twin: Twin | None = None


class Assistant:
    """Wakes up, then works by schedule or in lock-step."""

    def __init__(self, parts: Parts, labwork: LabWork | None = None) -> None:
        self._parts = parts
        self._labwork = labwork
        self._awake = asyncio.Event()
        self._rules_read = False
        self.desk = parts.desk
        self.engine = parts.engine

    async def awake(self) -> None:
        """Wait until the start-up is through."""
        await self._awake.wait()

    async def wake(self) -> None:
        """The start-up, tried again for as long as the exchange cannot be reached; nothing is posted twice."""
        for attempt in range(10**9):
            try:
                await self._wake()
            except (RetryLater, OutcomeUnknown, Refused, BadData) as later:
                if isinstance(later, BadData) and not self._rules_read:
                    raise  # a wrong name in the settings: only the owner can mend that
                wait_s = max(RETRY_S[min(attempt, len(RETRY_S) - 1)], getattr(later, "retry_after_s", 0.0))
                self._parts.vitals.failed("start", later.user_text)
                log.warning("start-up is tried again", why=later.user_text, wait_s=wait_s)
                await asyncio.sleep(wait_s)
            except NeedsOwner as lost:  # what is held still has its stops: stay, tell, and try again
                self._parts.vitals.failed("start", lost.user_text)
                log.error("the exchange does not accept the key", why=lost.user_text)
                await self._parts.engine.post(AccessLost(self._parts.clock.now(), "start", lost.user_text))
                await asyncio.sleep(KEY_RETRY_S)
            else:
                self._parts.vitals.done("start")
                self.desk.open()
                self._awake.set()
                return

    async def _wake(self) -> None:
        parts, state = self._parts, self._parts.engine.state
        await self._post_new(parts.wanted, known=state.config == parts.wanted.config and state.seq > 0)
        await parts.rules.read()
        self._rules_read = True
        await parts.desk.reconcile("start")
        await parts.feed.prepare(self._fetched)
        if self._labwork:
            await self._labwork.wake()

    def _fetched(self, symbol: str, bars: int) -> None:
        log.info("history", symbol=symbol, new_bars=bars)
        self._parts.vitals.well("start")  # a long first fetch is work, not a standstill

    async def _post_new(self, event: Event, *, known: bool) -> None:
        if not known:
            await self._parts.engine.post(event)

    async def settled(self) -> None:
        """Wait until nothing that was posted is still on its way through engine or executor."""
        while not (self._parts.engine.idle and self._parts.executor.idle):
            await self._parts.engine.settled()
            await self._parts.executor.settled()

    async def beat(self) -> int:
        """One lock-step beat after the market moved: its bars, with what they did to our orders; how many bars."""
        posted = await self._parts.feed.poll()
        await self.settled()
        if self._labwork:
            await self._labwork.beat()
        return posted

    async def tick(self) -> None:
        """Let time pass where something waits for it, and tell of what nobody has seen for too long."""
        await self._parts.reconcile.watch()
        tick = Ticked(self._parts.clock.now(), "tick")
        if step(self.engine.state, tick)[1]:  # asked of the pure machine first: the journal keeps no empty ticks
            await self.engine.post(tick)

    async def reconcile(self) -> None:
        """Compare everything, and keep what came of it for whoever asks."""
        await self._parts.desk.reconcile("every minute")

    async def tidy(self) -> None:
        """Forget what was delivered and answered long ago."""
        await self._parts.records.tidy(self._parts.clock.now() - KEPT_FOR)

    async def save(self) -> None:
        """Leave what makes the next start quick: folded state and a snapshot."""
        await self._parts.feed.save()
        await self._parts.journal.save_snapshot(self.engine.state)

    def parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """The parts that run for as long as the assistant does."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "engine": self._parts.engine.run,
            "executor": self._parts.executor.run,
        }
        if self._parts.twin:
            parts["twin"] = self._parts.twin.run
        if self._labwork:
            parts["lab"] = self._labwork.run
        return {**parts, "ears": self._hear} if self._parts.ears else parts

    async def _hear(self) -> None:
        """Follow the exchange's stream, once the books are in order."""
        await self.awake()
        if self._parts.ears:
            await self._parts.ears.run()

    async def work(self, feed_watchdog: Callable[[], object], watchdog_s: float) -> None:
        """Wake up, then run the table of jobs until cancelled.

        From the first moment the watchdog is fed, and what is held and not proven to be protected is told of.
        """
        tick = Job("expiry", min(2.0, self._look_s()), 60.0, self.tick)
        pulse = Schedule((self._watchdog(feed_watchdog, watchdog_s), tick), self._parts.vitals)
        pulse.start()
        try:
            await self.wake()
            await self._run_jobs(pulse)
        finally:
            pulse.stop()

    async def _run_jobs(self, pulse: Schedule) -> None:
        jobs = Schedule(self._jobs(), self._parts.vitals)
        jobs.start()
        try:
            while True:
                await asyncio.sleep(WATCH_EVERY_S)
                pulse.watch_clock()
                jobs.watch_clock()
        finally:
            jobs.stop()
            await self.save()

    def _watchdog(self, feed: Callable[[], object], every_s: float) -> Job:
        parts = self._parts

        async def watchdog() -> None:
            async with asyncio.timeout(ENGINE_ANSWERS_WITHIN_S):
                await parts.engine.settled()  # a machine that no longer takes events must not look alive
            if parts.vitals.alive():
                feed()

        return Job("watchdog", every_s, 10 * every_s, watchdog)

    def _look_s(self) -> float:
        """How often a look is worth while, seconds of the wall: ten times a bar, between 0.1 and 2."""
        return min(2.0, max(0.1, self._parts.about.span.total_seconds() / self._parts.clock.speed / 10))

    def _jobs(self) -> tuple[Job, ...]:
        """What runs when; seconds of the wall, quicker where the clock runs quicker."""
        parts, look_s = self._parts, self._look_s()
        return (
            Job("bars", look_s, 90.0, parts.feed.poll),
            Job("guard", min(GUARD_EVERY_S, look_s * 2), 60.0, parts.reconcile.guard),
            Job("reconcile", min(RECONCILE_EVERY_S, look_s * 20), 300.0, self.reconcile),
            Job("rules", 900.0, 3 * 3600.0, parts.rules.freshen),
            *self._clock(),
            Job("snapshot", 900.0, 3600.0, self.save),
            Job("housekeeping", 6 * 3600.0, 24 * 3600.0, self.tidy),
            *self._rights(),
            *(self._labwork.jobs() if self._labwork else ()),
        )

    def _clock(self) -> tuple[Job, ...]:
        """The comparison of clocks, where ours runs as fast as the exchange's."""
        broker = self._parts.broker
        return (Job("clock", 600.0, 3600.0, broker.sync_clock),) if self._parts.clock.speed == 1.0 else ()

    def _rights(self) -> tuple[Job, ...]:
        """The hourly look at what the key may do, where there is real money."""
        access = self._parts.access
        return (Job("access", LOOK_AT_RIGHTS_EVERY_S, RIGHTS_PATIENCE_S, access.watch),) if access else ()
