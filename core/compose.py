"""Where everything is put together: plain constructors, one row a mode.

Rule 1: a mode is a row in MODES, never an ``if`` elsewhere.
Rule 2: what is opened here is closed here, in reverse order.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from core.adapters import audit
from core.adapters.bars import SqliteBars
from core.adapters.binance import Binance
from core.adapters.clock import WallClock
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, MAIN_FILE
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.adapters.outbox import SqliteOutbox
from core.adapters.owner import owner_of
from core.adapters.paper import SqlitePaperAccount
from core.adapters.records import SqliteRecords
from core.adapters.statelock import prepare
from core.configuration import QUOTE, config_of
from core.domain.events import Configured
from core.domain.market import SPANS, Bar
from core.ports import Account, Broker, Clock, MarketData, Stream
from core.run.access import Access
from core.run.analysts import Analysts
from core.run.assistant import Assistant, Parts
from core.run.desk import Desk
from core.run.ears import Ears
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.feed import Feed, at_once
from core.run.questions import About
from core.run.reconcile import Reconcile
from core.run.reconciliation import Reconciliation
from core.run.rules import Rules
from core.run.twin import Twin, TwinKept, TwinParts
from core.run.vitals import Vitals
from core.setting_kinds import Secret
from core.settings import Settings
from core.sim.exchange.world import SimExchange
from core.sim.paper import open_paper
from core.sim.twin import open_twin

INSTALL_FILE = "install"
TWIN_FOLDER = "twin"
START_PATIENCE_S = 300.0
PROBE_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0


async def elsewhere(bars: Sequence[Bar]) -> None:
    """Bars meet our orders at the exchange, not in this process."""


@dataclass(frozen=True, slots=True)
class World:
    """What one mode gives the shell of the outside; ``play`` lets closed bars meet orders that are matched here.

    ``stream`` tells of our orders where an exchange does; ``account`` is set where the key's rights matter;
    ``first_trades`` entries are of reduced size; ``twinned`` where a paper twin shows what real fills cost;
    ``guarded`` where raising the stakes needs a second proof; with ``real_money`` the rule does not trade.
    """

    clock: Clock
    market: MarketData
    broker: Broker
    staged: str
    lockstep: bool = False
    play: Callable[[Sequence[Bar]], Awaitable[None]] = elsewhere
    stream: Stream | None = None
    account: Account | None = None
    first_trades: int = 0
    twinned: bool = False
    guarded: bool = False
    real_money: bool = False


@dataclass(frozen=True, slots=True)
class Stores:
    """The two databases of a state folder, opened and up to date."""

    main: Database
    bars: Database


@dataclass(frozen=True, slots=True)
class Whole:
    """A composed assistant with what the bot needs beside its desk."""

    assistant: Assistant
    parts: Parts
    outbox: SqliteOutbox
    vitals: Vitals
    access: Access | None
    twin: Twin | None


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[Stores]:
    """Both databases, migrated; closed at the end. Raises StoreUnusable."""
    prepare(folder)
    migrate(folder / MAIN_FILE, "main")
    migrate(folder / BARS_FILE, "bars")
    async with AsyncExitStack() as stack:
        main = await Database.open(folder / MAIN_FILE, durable=True)
        stack.push_async_callback(main.close)
        bars = await Database.open(folder / BARS_FILE, durable=False)
        stack.push_async_callback(bars.close)
        yield Stores(main, bars)


async def _clock_after(kept: Stores) -> WallClock:
    """A clock that goes on from where the last run's was."""
    return WallClock(last=await SqliteJournal(kept.main).last_at())


@asynccontextmanager
async def demo_world(exchange: SimExchange, url: str, key: str, secret: str) -> AsyncIterator[World]:
    """The simulated exchange over loopback, through ccxt, its time and all."""
    staged = "SIMULATED" if exchange.market.simulated else "REPLAYED"
    binance = Binance(url, exchange, key, secret, paced=False)
    try:
        yield World(exchange, binance, binance, staged, lockstep=exchange.lockstep)
    finally:
        await binance.close()


@asynccontextmanager
async def paper_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """Binance's public data; orders go to the matching engine in this process and nowhere else."""
    clock = await _clock_after(kept)
    binance = Binance(settings.exchange_url, clock)
    account = SqlitePaperAccount(kept.main)
    cash = {QUOTE: settings.paper_cash}
    span = SPANS[settings.timeframe]
    broker = await open_paper(binance, clock, span, cash, save=account.save, load=account.load)

    async def play(bars: Sequence[Bar]) -> None:
        for bar in bars:
            await broker.on_bar(bar)

    try:
        yield World(clock, binance, broker, staged="", play=play)
    finally:
        await binance.close()


@asynccontextmanager
async def testnet_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """The exchange's testnet; it has no say about rights, and its money is worth nothing."""
    async with connected(settings, settings.testnet_url) as binance:
        stream = binance.stream(settings.user_stream_url)
        clock = await _clock_after(kept)
        yield World(clock, binance, binance, staged="", stream=stream, twinned=True, guarded=True)


@asynccontextmanager
async def live_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """The owner's account."""
    async with connected(settings, settings.exchange_url) as binance:
        yield World(
            await _clock_after(kept),
            binance,
            binance,
            staged="",
            stream=binance.stream(settings.user_stream_url),
            account=binance,
            first_trades=settings.first_trades,
            twinned=True,
            guarded=True,
            real_money=True,
        )


@asynccontextmanager
async def probe(settings: Settings) -> AsyncIterator[Binance]:
    """The owner's account for a look before going live: to be asked and tried out, never to trade."""
    async with connected(settings, settings.exchange_url, timeout_s=PROBE_TIMEOUT_S) as binance:
        yield binance


@asynccontextmanager
async def connected(settings: Settings, url: str, timeout_s: float = ANSWER_TIMEOUT_S) -> AsyncIterator[Binance]:
    """The account of the settings' key at this address."""
    key, secret = revealed(settings.api_key), revealed(settings.api_secret)
    binance = Binance(url, WallClock(), key, secret, timeout_s=timeout_s)
    try:
        yield binance
    finally:
        await binance.close()


def revealed(secret: Secret | None) -> str:
    """The text of a secret, empty where none is set."""
    return secret.reveal() if secret else ""


Worlds = Callable[[Settings, Stores], AbstractAsyncContextManager[World]]
MODES: Mapping[str, Worlds] = {"paper": paper_world, "testnet": testnet_world, "live": live_world}
"""The worlds of the modes that run by themselves; a demo brings its exchange along (``demo_world``)."""


def install_mark(folder: Path) -> str:
    """The mark of this installation in client ids, five characters, made once and kept."""
    path = folder / INSTALL_FILE
    if not path.exists():
        beside = path.with_suffix(".new")
        beside.write_text("fm" + "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(3)) + "\n")
        beside.replace(path)  # never half a mark: orders of two installations must not look alike
    return path.read_text().strip()


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
    analysts = Analysts(symbols, span, bars, float(settings.bucket_correlation))

    pace = 1.0 if world.lockstep else max(1.0, world.clock.speed)

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
        wanted=Configured(
            world.clock.now(),
            "start",
            config_of(settings, install, approve_window_s, pace, world.first_trades, world.real_money),
        ),
    )
    if twin:
        parts.desk.add_check(twin.check)
    return Whole(Assistant(parts), parts, SqliteOutbox(kept.main), vitals, access, twin)
