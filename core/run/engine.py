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
from itertools import chain, islice

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
Posted = tuple[Sequence[Event], asyncio.Future[list[Committed]]]


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
        return (await self._posted((event,)))[0]

    async def post_all(self, events: Iterable[Event]) -> list[Committed]:
        """Queue events that belong together and wait for all; up to GROUP_MAX of them share a commit, with what waits
        beside them."""
        rest = tuple(events)
        done: list[Committed] = []
        while rest:
            done += await self._posted(rest[:GROUP_MAX])
            rest = rest[GROUP_MAX:]
        return done

    async def _posted(self, events: Sequence[Event]) -> list[Committed]:
        if self._stopped:
            raise FirstmateError("The engine has stopped.") from self._failure
        waiter: asyncio.Future[list[Committed]] = asyncio.get_running_loop().create_future()
        await self._inbox.put((events, waiter))
        self._waiting += 1
        if self._stopped:  # while this one waited for room
            self._abandon()
        return await waiter

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
        size = len(group[0][0])
        while size < GROUP_MAX and not self._inbox.empty():
            group.append(self._inbox.get_nowait())
            size += len(group[-1][0])
        return group

    async def _handle(self, group: Sequence[Posted]) -> None:
        changes, fault = _stepped(self._state, chain.from_iterable(events for events, _ in group))
        try:
            if changes:
                await self._commit(changes, group)
        except BaseException as failure:
            _refuse(group, failure)
            raise
        if fault:
            _refuse(group, fault)
            raise fault

    async def _commit(self, changes: Sequence[Change], group: Sequence[Posted]) -> None:
        await self._journal.commit(*changes)
        first, last = self._state, changes[-1].after
        self._state = last
        done = [Committed(change.after.seq, change.event, change.effects) for change in changes]
        _answer(group, done)
        for committed in done:  # once everyone has an answer: acting on it may fail
            self._logged(committed)
            self._announce(committed)
        if first.seq // SNAPSHOT_EVERY != last.seq // SNAPSHOT_EVERY:
            await self._journal.save_snapshot(last)

    def _logged(self, line: Committed) -> None:
        """A line for whoever looks; a bar that led to nothing but a decision is no news."""
        kinds = [type(effect).__name__ for effect in line.effects]
        tell = self._log.debug if kinds == ["Decided"] else self._log.info
        tell("committed", trace=line.event.trace, seq=line.seq, kind=type(line.event).__name__, effects=kinds)

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


def _stepped(state: State, events: Iterable[Event]) -> tuple[list[Change], Exception | None]:
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


def _answer(group: Sequence[Posted], done: Iterable[Committed]) -> None:
    """Give everyone their lines; whose events were not all stepped gets none."""
    lines = iter(done)
    for events, waiter in group:
        mine = list(islice(lines, len(events)))
        if len(mine) == len(events) and not waiter.done():
            waiter.set_result(mine)


def _refuse(group: Sequence[Posted], failure: BaseException) -> None:
    for _, waiter in group:
        if not waiter.done():
            waiter.set_exception(FirstmateError(getattr(failure, "user_text", "The engine has stopped.")))
