"""Where everything is put together: plain constructors, the same in every mode.

Rule 1: what differs between modes comes with the world (``core.worlds``), never by an ``if`` here.
Rule 2: what is opened here is closed here, in reverse order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from core.adapters import audit
from core.adapters.bars import SqliteBars
from core.adapters.forecaster import ProcessForecaster
from core.adapters.journal import SqliteJournal
from core.adapters.outbox import SqliteOutbox
from core.adapters.owner import owner_of
from core.adapters.paper import SqlitePaperAccount
from core.adapters.records import SqliteRecords
from core.adapters.statefolder import Stores, stores
from core.configuration import QUOTE, config_of
from core.domain.events import Configured
from core.domain.market import SPANS, Bar
from core.laboratory import laboratory
from core.run.access import Access
from core.run.analysts import Analysts
from core.run.asking import Asking
from core.run.assistant import Assistant, Parts
from core.run.desk import Desk
from core.run.ears import Ears
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.feed import Feed, at_once
from core.run.labdesk import LabDesk
from core.run.questions import About
from core.run.reconcile import Reconcile
from core.run.reconciliation import Reconciliation
from core.run.rules import Rules
from core.run.twin import Twin, TwinKept, TwinParts
from core.run.vitals import Vitals
from core.settings import Settings
from core.sim.twin import open_twin
from core.worlds import World

TWIN_FOLDER = "twin"
START_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A composed assistant with what the bot needs beside its desk."""

    assistant: Assistant
    parts: Parts
    outbox: SqliteOutbox
    vitals: Vitals
    access: Access | None
    twin: Twin | None
    lab: LabDesk


def twin_beside(
    live: Engine, journal: SqliteJournal, records: SqliteRecords, world: World, span: timedelta, folder: Path
) -> Twin:
    """The same decisions once more, on paper, in a folder of its own that is opened once the twin runs."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[TwinKept]:
        async with stores(folder) as own:
            account = SqlitePaperAccount(own.main)
            begin = partial(open_twin, world.market, world.clock, span, save=account.save, load=account.load)
            yield TwinKept(SqliteJournal(own.main), SqliteRecords(own.main), begin)

    return Twin(TwinParts(live, journal, records, world.clock, opened))


def _journal(settings: Settings, kept: Stores) -> SqliteJournal:
    """The journal, whose audit names the owner where one is bound."""
    owner_id = owner_of(settings)
    return SqliteJournal(kept.main, audit.owner(owner_id)) if owner_id else SqliteJournal(kept.main)


def _wanted(settings: Settings, world: World, install: str, approve_window_s: int) -> Configured:
    """The owner's configuration, as the first event of a start."""
    pace = 1.0 if world.lockstep else max(1.0, world.clock.speed)
    config = config_of(settings, install, approve_window_s, pace, world.first_trades, world.real_money)
    return Configured(world.clock.now(), "start", config)


async def compose(
    settings: Settings, mode: str, kept: Stores, world: World, install: str, approve_window_s: int
) -> Whole:
    """An assistant in this world, restored from its journal, not yet awake."""
    span = SPANS[settings.timeframe]
    journal = _journal(settings, kept)
    bars = SqliteBars(kept.bars)
    records = SqliteRecords(kept.main)
    vitals = Vitals()
    vitals.expect("start", START_PATIENCE_S)
    engine = Engine(journal, await restore(journal))
    reconcile = Reconcile(engine, world.broker, world.clock)
    executor = Executor(engine, world.broker, world.clock, follow=reconcile.symbol, one_lane=world.lockstep)
    held = tuple(s for s in sorted(engine.state.positions) if s not in settings.symbols)
    symbols = (*settings.symbols, *held)
    rules = Rules(engine, world.market, world.clock, symbols, QUOTE)
    forecaster = ProcessForecaster(span)
    asking = Asking(forecaster)
    analysts = Analysts(symbols, span, bars, float(settings.bucket_correlation), asking)

    async def before(closed: Sequence[Bar]) -> None:
        await world.play(closed)
        await rules.freshen()
        await reconcile.poll()

    async def keep(report: Reconciliation) -> None:
        await records.keep_reconciliation(report.at, report)

    access = Access(world.account, engine, world.clock) if world.account else None
    beside = kept.main.path.parent / TWIN_FOLDER
    twin = twin_beside(engine, journal, records, world, span, beside) if world.twinned else None
    about = About(mode, world.staged, symbols, span, world.guarded)
    parts = Parts(
        engine=engine,
        executor=executor,
        reconcile=reconcile,
        rules=rules,
        feed=Feed(
            engine,
            world.market,
            bars,
            analysts,
            world.clock,
            symbols=symbols,
            only_to_leave=held,
            span=span,
            history_bars=settings.history_bars,
            before=before,
            pace=executor.settled if world.lockstep else at_once,
        ),
        desk=Desk(engine, world.clock, bars, records, about, vitals.checks, reconcile, world.market, keep),
        vitals=vitals,
        journal=journal,
        records=records,
        market=world.market,
        broker=world.broker,
        clock=world.clock,
        about=about,
        ears=Ears(world.stream, reconcile) if world.stream else None,
        twin=twin,
        access=access,
        wanted=_wanted(settings, world, install, approve_window_s),
    )
    if twin:
        parts.desk.add_check(twin.check)
    lab = laboratory(settings, kept, parts, analysts, asking, forecaster)
    return Whole(Assistant(parts, lab.work), parts, SqliteOutbox(kept.main), vitals, access, twin, lab.desk)
