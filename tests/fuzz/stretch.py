"""A stretch of updates through the real bot: polled as JSON, read by aiogram, judged by the gate, in front of a real
engine; after each hundred is looked at what came of them.

Rule 1: strangers' updates change nothing and get nothing; the one answer there is, is to leave a group.
Rule 2: the owner's own updates, one in a thousand, are strewn among them and must work, or all of this proves nothing.
Rule 3: the last of those comes once more under its number, and is not heard again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiogram import Bot
from aiogram.methods import GetUpdates, TelegramMethod

import bot.app
from bot.app import App, ChatAddress
from bot.gate import Gate
from bot.groups import LEFT_MAX, LEFT_WITHIN_S
from bot.keyboards import Refresh
from tests.bot.fakes import OWNER, TOKEN, Office, office
from tests.bot.phones import PocketChat, message_json, press_json
from tests.fuzz.updates import Row, Strangers

STRETCH = 12_500
BATCH = 100
BLOCKS_MAX = 1_000  # a first use of this or that; one kept update alone is some 20
OWNERS_ONE_IN = 1000
SECONDS_EACH = 0.05
DIRTY = 0.15  # share of batches that hold updates out of shape
# what the owner does in turn: the update, the words of the answer, and how many events it makes
OWN: tuple[tuple[Row, str, int], ...] = (
    ({"message": message_json("/pause")}, "Paused", 1),
    ({"message": message_json("/balance")}, "Balances", 0),
    ({"message": message_json("/resume")}, "Trading is active again", 1),
    ({"callback_query": press_json(Refresh(what="status").pack())}, "", 0),
)
NEVER_LOGGED = ("an update could not be handled", "a handler failed", "a log line could not be written")


@dataclass
class Outcome:
    """What a stretch showed; ``blocks`` and ``rss_kb`` are what memory grew by after its first half."""

    fed: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    left: int = 0
    owners: int = 0
    blocks: int = 0
    rss_kb: int = 0
    violations: list[str] = field(default_factory=list)


class Wire(PocketChat):
    """The chat's server: hands out hundreds of updates and judges, at each new poll, what came of the last."""

    def __init__(self, there: Office, strangers: Strangers, seed: int, total: int) -> None:
        super().__init__()
        self.outcome = Outcome()
        self.at = 0.0
        self.done = asyncio.Event()
        self._there = there
        self._strangers = strangers
        self._random = random.Random(f"wire {seed}")
        self._total = total
        self._number = 1
        self._turn = 0
        self._last_own: Row | None = None
        self._expected: list[tuple[str, int]] = []
        self._seq = 0
        self._polls = 0
        self._memory = (0, 0)

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Answer; a poll with the next hundred, as JSON, read by aiogram as it would come over the wire."""
        if not isinstance(method, GetUpdates):
            return await super().make_request(bot, method, timeout)
        await asyncio.sleep(0)
        self._judge()
        if self._number > self._total:
            self.done.set()
            await asyncio.Event().wait()
        if self._polls == self._total // BATCH // 2:
            self._memory = memory()
        self._polls += 1
        return self.check_response(bot, method, 200, json.dumps({"ok": True, "result": self._hundred()})).result

    def grown(self) -> None:
        """Note what memory grew by since the first half."""
        blocks, rss_kb = memory()
        self.outcome.blocks, self.outcome.rss_kb = blocks - self._memory[0], rss_kb - self._memory[1]

    def _hundred(self) -> list[Any]:
        dirty = self._random.random() < DIRTY
        return [self._numbered(dirty) for _ in range(BATCH)]

    def _numbered(self, dirty: bool) -> Any:
        self.at += SECONDS_EACH
        number, self._number = self._number, self._number + 1
        if number % OWNERS_ONE_IN == OWNERS_ONE_IN // 2:
            return self._own(number)
        if self._last_own and number % OWNERS_ONE_IN == OWNERS_ONE_IN // 2 + 7:
            return self._count("the owner's, once more", self._last_own)
        if dirty and self._random.random() < 0.2:
            kind, row = self._strangers.bent()
        else:
            kind, row = self._strangers.draw()
        return self._count(kind, {"update_id": number, **row})

    def _count(self, kind: str, row: Any) -> Any:
        self.outcome.fed[kind] += 1
        return row

    def _own(self, number: int) -> Row:
        row, words, events = OWN[self._turn % len(OWN)]
        self._turn += 1
        self._expected.append((words, events))
        self._last_own = {"update_id": number, **row}
        return self._last_own

    def _judge(self) -> None:
        """What the last hundred did, against what the owner asked for in it."""
        if self._polls:
            answered = [call for call in self.calls if call.__api_method__ != "leaveChat"]
            self.outcome.left += len(self.calls) - len(answered)
            self._judge_answers(answered)
            events = sum(count for _, count in self._expected)
            if self._there.engine.state.seq != self._seq + events:
                self._violated(f"{self._there.engine.state.seq - self._seq} events, {events} by the owner")
            if self._there.seq() != events or self._there.outbox.parcels:
                self._violated("the journal or the outbox changed")
            if len(self._there.records.updates) > len(self._expected) + 1:
                self._violated(f"noted as handled: {self._there.records.updates}")
        self._begin()

    def _judge_answers(self, answered: list[TelegramMethod[Any]]) -> None:
        presses = sum(not words for words, _ in self._expected)  # the box of a press is an answer of its own
        said = [text for text in (getattr(call, "text", None) for call in answered) if text]
        wanted = [words for words, _ in self._expected]
        if len(said) != len(wanted) or not all(map(str.startswith, said, wanted)):
            self._violated(f"answered {said}, wanted {wanted}")
        if len(answered) != len(wanted) + presses:
            self._violated(f"requests: {[call.__api_method__ for call in answered]}")
        self.outcome.owners += len(wanted)

    def _violated(self, what: str) -> None:
        self.outcome.violations.append(f"before update {self._number}: {what}"[:500])

    def _begin(self) -> None:
        """Forget what was judged, so that nothing of the test's own grows; the owner's last note stays."""
        self._seq = self._there.engine.state.seq
        self._expected.clear()
        self.calls.clear()
        self._there.journal.lines.clear()
        self._there.outbox.parcels.clear()
        updates = self._there.records.updates
        for number in [*updates][:-1]:
            del updates[number]


def memory() -> tuple[int, int]:
    """Blocks Python has allocated, and kilobytes the process has in memory, 0 where the system does not tell."""
    gc.collect()
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    return sys.getallocatedblocks(), pages * 4


def left_most(updates: int) -> int:
    """How many groups may be left in a stretch of so many updates."""
    return LEFT_MAX * (1 + int(updates * SECONDS_EACH / LEFT_WITHIN_S) + 1)


@contextlib.contextmanager
def _counted_logs(logged: Counter[str]) -> Iterator[None]:
    """Log lines are counted by their event, and go nowhere."""

    def count(_: object, __: str, event: Any) -> Any:
        logged[str(event["event"])] += 1
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[count], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def _gated(gate: type[Gate], clock: Callable[[], float]) -> Iterator[None]:
    """The app is built with this gate, which counts by this clock: a stretch is fed faster than any chat."""
    before = bot.app.Gate
    bot.app.Gate = functools.partial(gate, monotonic=clock)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        bot.app.Gate = before  # type: ignore[misc]


async def feed(seed: int, total: int, gate: type[Gate] = Gate) -> Outcome:
    """Feed ``total`` updates, drawn by ``seed``, and tell what came of them."""
    logged: Counter[str] = Counter()
    with _counted_logs(logged):
        outcome = await _fed(seed, total, gate)
    outcome.unread = logged["passed over an update that cannot be read"]
    outcome.violations += [f"logged {logged[line]} times: {line}" for line in NEVER_LOGGED if logged[line]]
    if outcome.blocks > BLOCKS_MAX:
        outcome.violations.append(f"memory grew by {outcome.blocks} blocks in half of {total} updates")
    if outcome.left > left_most(total):
        outcome.violations.append(f"{outcome.left} groups left")
    return outcome


async def _fed(seed: int, total: int, gate: type[Gate]) -> Outcome:
    async with office() as there:
        intent = await there.propose()
        wire = Wire(there, Strangers(seed, [intent]), seed, total)
        with _gated(gate, lambda: wire.at):
            app = App(ChatAddress("http://127.0.0.1:1", TOKEN, OWNER, 0.0), there.desk, there.outbox, there.engine)
            wire.middleware = app.bot.session.middleware
            app.bot.session = wire
            polling = asyncio.ensure_future(app.poll())
            finished = asyncio.ensure_future(wire.done.wait())
            await asyncio.wait({polling, finished}, return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
            if polling.done():
                polling.result()
            wire.grown()
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling
        if intent not in there.desk.state.proposals:
            wire.outcome.violations.append("the open proposal is gone")
    return wire.outcome
