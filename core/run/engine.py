"""The only thing that changes trading state: one inbox, one consumer, journal first.

Rule 1: an event is stepped, committed with its effects in one transaction, and only then acted on; what waits
        together is stepped one after the other and committed together, all of it or nothing. Of what waits together
        everything before an event that cannot be stepped is committed still.
Rule 2: whoever waits for an answer may leave; a cancelled waiter never hurts the engine.
Rule 3: what cannot be stepped or committed stops the engine: state that is not in the journal never happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from core.decide.step import step
from core.domain.errors import FirstmateError
from core.domain.events import Event
from core.domain.state import State
from core.ports import Change, Committed, Journal
from core.run.replay import again

INBOX_SIZE = 10_000
GROUP_MAX = 256
SNAPSHOT_EVERY = 500
log = structlog.get_logger()

Listener = Callable[[Committed], None]
Posted = tuple[Event, asyncio.Future[Committed]]


async def restore(journal: Journal) -> State:
    """The state as the journal proves it: latest snapshot, then every line after it stepped again.

    Raises InvariantBroken where a line, stepped again, has other effects than it had: decisions must not drift.
    """
    state = await journal.latest_snapshot() or State()
    async for line in journal.events_after(state.seq):
        state, _ = again(state, line)
    return state


class Engine:
    """Steps events one at a time; ``post`` from anywhere, ``listen`` for what was committed."""

    def __init__(self, journal: Journal, state: State) -> None:
        self._log = log.bind()  # once: to find out how to log costs more than a line nobody asked for
        self._journal = journal
        self._state = state
        self._inbox: asyncio.Queue[Posted] = asyncio.Queue(INBOX_SIZE)
        self._listeners: list[Listener] = []
        self._waiting = 0
        self._stopped = False
        self._failure: BaseException | None = None

    @property
    def state(self) -> State:
        """The committed state; immutable, so it may be kept."""
        return self._state

    @property
    def idle(self) -> bool:
        """Whether every posted event is committed."""
        return not self._waiting

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` with each committed line, in order, after its commit."""
        self._listeners.append(listener)

    async def post(self, event: Event) -> Committed:
        """Queue ``event`` and wait for its commit. Raises FirstmateError once the engine has stopped."""
        return await (await self._queued(event))

    async def post_all(self, events: Iterable[Event]) -> list[Committed]:
        """Queue events one behind the other and wait for all; as far as there is room, one commit holds them."""
        waiters = [await self._queued(event) for event in events]
        try:
            return [await waiter for waiter in waiters]
        finally:
            for waiter in waiters:  # the first that failed speaks for all
                if waiter.done() and not waiter.cancelled():
                    waiter.exception()

    async def _queued(self, event: Event) -> asyncio.Future[Committed]:
        if self._stopped:
            raise FirstmateError("The engine has stopped.") from self._failure
        waiter: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        await self._inbox.put((event, waiter))
        self._waiting += 1
        if self._stopped:  # while this one waited for room
            self._abandon()
        return waiter

    async def settled(self) -> None:
        """Wait until every event posted so far is committed and announced."""
        await self._inbox.join()

    async def run(self) -> None:
        """Consume the inbox until cancelled; on a failure every waiter hears of it and the failure is raised."""
        try:
            while True:
                group = await self._together()
                try:
                    await self._handle(group)
                finally:
                    for _ in group:
                        self._waiting -= 1
                        self._inbox.task_done()
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            self._stopped = True
            self._abandon()

    async def _together(self) -> list[Posted]:
        """What waits in the inbox, at least one event: it is committed in one go."""
        group = [await self._inbox.get()]
        while len(group) < GROUP_MAX and not self._inbox.empty():
            group.append(self._inbox.get_nowait())
        return group

    async def _handle(self, group: Sequence[Posted]) -> None:
        changes, fault = _stepped(self._state, [event for event, _ in group])
        try:
            if changes:
                await self._commit(changes, group)
        finally:
            if fault:
                _refuse(group[len(changes) :], fault)
        if fault:
            raise fault

    async def _commit(self, changes: Sequence[Change], group: Sequence[Posted]) -> None:
        try:
            await self._journal.commit(*changes)
        except BaseException as failure:
            _refuse(group, failure)
            raise
        first, last = self._state, changes[-1].after
        self._state = last
        done = [self._done(change, waiter) for change, (_, waiter) in zip(changes, group, strict=False)]
        for committed in done:  # once everyone has an answer: acting on it may fail
            self._announce(committed)
        if first.seq // SNAPSHOT_EVERY != last.seq // SNAPSHOT_EVERY:
            await self._journal.save_snapshot(last)

    def _done(self, change: Change, waiter: asyncio.Future[Committed]) -> Committed:
        committed = Committed(change.after.seq, change.event, change.effects)
        self._logged(change)
        if not waiter.done():
            waiter.set_result(committed)
        return committed

    def _logged(self, change: Change) -> None:
        """A line for whoever looks; a bar that led to nothing but a decision is no news."""
        kinds = [type(effect).__name__ for effect in change.effects]
        tell = self._log.debug if kinds == ["Decided"] else self._log.info
        event = change.event
        tell("committed", trace=event.trace, seq=change.after.seq, kind=type(event).__name__, effects=kinds)

    def _announce(self, committed: Committed) -> None:
        for listener in self._listeners:
            listener(committed)

    def _abandon(self) -> None:
        while not self._inbox.empty():
            _, waiter = self._inbox.get_nowait()
            self._waiting -= 1
            self._inbox.task_done()
            if not waiter.done():
                waiter.set_exception(FirstmateError("The engine has stopped; nothing was done."))


def _stepped(state: State, events: Sequence[Event]) -> tuple[list[Change], Exception | None]:
    """The events stepped one after the other, as far as that goes, and what kept the next one from it."""
    changes: list[Change] = []
    for event in events:
        try:
            after, effects = step(state, event)
        except Exception as fault:
            return changes, fault
        changes.append(Change(state, after, event, effects))
        state = after
    return changes, None


def _refuse(group: Sequence[Posted], failure: BaseException) -> None:
    for _, waiter in group:
        if not waiter.done():
            waiter.set_exception(FirstmateError(getattr(failure, "user_text", "The engine has stopped.")))
