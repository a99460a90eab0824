"""A desk over a running engine, as the tests of questions and commands use it."""

from __future__ import annotations

import contextlib

from core.domain import events as ev
from core.domain.state import State
from core.run.desk import Asked, Desk
from core.run.engine import Engine
from core.run.questions import About, Check
from core.run.reconcile import Reconcile
from tests.run.fakes import Exchange, HandClock, ListMarket, MemoryBars, MemoryJournal, NoRecords
from tests.run.samples import HOUR, opening
from tests.run.shell import running


class Office:
    """A desk over a running engine, with what it writes to."""

    def __init__(self, *, approve_auto: bool) -> None:
        self.clock = HandClock()
        self.journal = MemoryJournal()
        self.engine = Engine(self.journal, State())
        self.bars = MemoryBars()
        self.approve_auto = approve_auto
        self.exchange = Exchange(self.clock)
        self.market = ListMarket(self.clock, {})
        self.reconcile = Reconcile(self.engine, self.exchange, self.clock)
        self.desk = Desk(
            self.engine,
            self.clock,
            self.bars,
            NoRecords(),
            About("paper", "", ("BTCUSDT", "ETHUSDT"), HOUR),
            lambda: [Check("bars", True, "last well 1 s ago")],
            self.reconcile,
            self.market,
        )

    def since(self, line: int) -> list[ev.Event]:
        return self.journal.events()[line:]


@contextlib.asynccontextmanager
async def office(*, approve_auto: bool = False):
    one = Office(approve_auto=approve_auto)
    async with running(one.engine.run):
        for event in opening("BTCUSDT", "ETHUSDT", approve_auto=approve_auto):
            await one.engine.post(event)
        one.desk.open()
        yield one


def asked(update_id: int = 7) -> Asked:
    return Asked(update_id, f"update:{update_id}")
