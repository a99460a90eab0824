"""A small office for tests of the bot: a real engine and desk over journals, outbox and bars that live in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.decide import orders as lifecycle
from core.decide.exits import list_ends
from core.domain import events as ev
from core.domain.effects import Effect, Tell, Topic, TradeDone
from core.domain.errors import RetryLater
from core.domain.forecast import Contribution, Forecast
from core.domain.market import ZERO, Bar, Instrument, Quote
from core.domain.orders import Fill, Order, OrderState, Side
from core.domain.state import Config, State, Trade, put
from core.ports import Change, Committed, OrderReport, Parcel
from core.run.desk import Desk
from core.run.engine import Engine
from core.run.questions import About, Check
from core.run.reconcile import Reconcile

OWNER = 77
TOKEN = "424242:FAKE-TOKEN-for-tests"
HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000000MOGUSDT")


def instrument(symbol: str) -> Instrument:
    """Rules of a pair quoted in USDT."""
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        qty_min=Decimal("0.00001"),
        notional_min=Decimal(5),
        lists=False,
    )


def bar(hour: int, close: str = "100", symbol: str = "BTCUSDT") -> Bar:
    """The hourly bar that opens ``hour`` hours after START."""
    price = Decimal(close)
    return Bar(symbol, START + hour * HOUR, HOUR, price, price * 2, price / 2, price, Decimal(3))


def forecast(
    hour: int, symbol: str = "BTCUSDT", *, fires: bool = True, model_id: str = "rule:trend-pullback@1"
) -> Forecast:
    """A forecast good enough to buy on, where it fires."""
    return Forecast(
        symbol=symbol,
        bar_open_at=START + hour * HOUR,
        fires=fires,
        p_win=0.62,
        p_low=0.55,
        win_move=0.06,
        loss_move=0.03,
        horizon_bars=96,
        samples=55,
        volatility=0.5,
        model_id=model_id,
        contributions=(
            Contribution("trend", 0.049, 0.9, "The 50-bar average is 4.9% above the 200-bar one: an uptrend."),
            Contribution("price", 0.071, 0.8, "The price is 7.1% above its 200-bar average."),
            Contribution("new_high", -0.012, -0.6, "Not resumed: the close is 1.2% under the high before."),
        ),
    )


@dataclass
class StandingClock:
    """A clock that moves when told to."""

    at: datetime = START
    speed: float = 1.0

    def now(self) -> datetime:
        """Where it stands."""
        return self.at


@dataclass
class MemoryOutbox:
    """Messages in the order they were committed; ``sent`` holds what the courier noted."""

    parcels: list[Parcel] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)

    def put(self, tell: Tell, at: datetime = START, trace: str = "test") -> Parcel:
        """Add one message as a commit would."""
        parcel = Parcel(len(self.parcels) + 1, tell, at, trace)
        self.parcels.append(parcel)
        return parcel

    async def pending(self, limit: int) -> Sequence[Parcel]:
        """Undelivered ones, oldest first."""
        return [parcel for parcel in self.parcels if parcel.parcel_id not in self.sent][:limit]

    async def delivered(self, parcel_id: int, message_id: int) -> None:
        """Take one off the list."""
        self.sent.setdefault(parcel_id, message_id)

    async def message_id(self, topic: Topic, ref: str) -> int:
        """The chat's id of the newest delivered one of this kind."""
        ids = [
            self.sent.get(parcel.parcel_id, 0)
            for parcel in self.parcels
            if (parcel.tell.topic, parcel.tell.ref) == (topic, ref)
        ]
        return next((known for known in reversed(ids) if known), 0)


@dataclass
class MemoryJournal:
    """Commits to lists; tells go to the outbox, orders and trades to the records."""

    outbox: MemoryOutbox
    records: MemoryRecords
    lines: list[Committed] = field(default_factory=list)

    async def commit(self, *changes: Change) -> None:
        """Keep steps."""
        for change in changes:
            self._keep(change.before, change.after, change.event, change.effects)

    def _keep(self, before: State, after: State, event: ev.Event, effects: Sequence[Effect]) -> None:
        self.lines.append(Committed(after.seq, event, tuple(effects)))
        if isinstance(event, ev.Filled) and (order := before.orders.get(event.fill.client_id)):
            filled = lifecycle.fill(order, event.fill)  # an order that leaves the state keeps how it ended
            ended = list_ends(before.with_(orders=put(before.orders, filled.client_id, filled)), filled)
            self.records.book.update(ended.orders)
        self.records.book.update(after.orders)
        for effect in effects:
            if isinstance(effect, Tell):
                self.outbox.put(effect, event.at, event.trace)
            if isinstance(effect, TradeDone):
                self.records.done.append(effect.trade)

    async def save_snapshot(self, state: State) -> None:
        """Nothing is ever restored from here."""

    async def latest_snapshot(self) -> State | None:
        """None was kept."""
        return None

    async def events_after(self, seq: int) -> AsyncIterator[Committed]:
        """The lines after ``seq``."""
        for line in self.lines[seq:]:
            yield line


@dataclass
class MemoryRecords:
    """What happened, in lists; outlives the office, as a database would."""

    done: list[Trade] = field(default_factory=list)
    book: dict[str, Order] = field(default_factory=dict)
    updates: dict[int, str] = field(default_factory=dict)

    async def trades(self, limit: int) -> Sequence[Trade]:
        """Newest first."""
        return self.done[::-1][:limit]

    async def orders(self, limit: int) -> Sequence[Order]:
        """Newest first."""
        return sorted(self.book.values(), key=lambda order: order.created_at, reverse=True)[:limit]

    async def seen(self, update_id: int) -> bool:
        """Whether it was noted."""
        return update_id in self.updates

    async def note(self, update_id: int, at: datetime, text: str) -> None:
        """Note it."""
        self.updates[update_id] = text


@dataclass
class MemoryBars:
    """Bars as they were seen."""

    kept: list[Bar] = field(default_factory=list)

    async def save(self, bars: Sequence[Bar]) -> int:
        """Keep them."""
        self.kept.extend(bars)
        return len(bars)

    async def last(self, symbol: str, span: timedelta) -> Bar | None:
        """The newest of a symbol."""
        return next((kept for kept in reversed(self.kept) if kept.symbol == symbol), None)

    async def stream(self, symbol: str, span: timedelta, since: datetime | None = None) -> AsyncIterator[Sequence[Bar]]:
        """All of a symbol from ``since`` on, in one block."""
        yield [kept for kept in self.kept if kept.symbol == symbol and (since is None or kept.open_at >= since)]

    def stream_columns(self, symbol: str, span: timedelta, since: datetime | None = None) -> Any:
        """Charts are drawn from bars."""
        raise NotImplementedError

    async def holes(self, symbol: str, span: timedelta) -> Sequence[Any]:
        """None."""
        return ()


@dataclass
class MirrorExchange:
    """An exchange that holds just what our books say, and what a test adds: ``foreign`` orders, ``moved`` balances.

    ``down`` is raised by every question; ``held`` lets every question wait until it is set.
    """

    engine: Engine
    foreign: list[OrderReport] = field(default_factory=list)
    moved: dict[str, Decimal] = field(default_factory=dict)
    down: Exception | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.held.set()

    async def _asked(self) -> None:
        await self.held.wait()
        if self.down:
            raise self.down

    def _report(self, order: Order) -> OrderReport:
        return OrderReport(
            order.client_id,
            order.symbol,
            "1",
            OrderState.OPEN,
            order.filled_qty,
            side=order.side,
            kind=order.kind,
            qty=order.qty,
            price=order.price,
            stop_price=order.stop_price,
        )

    async def open_orders(self, symbol: str = "") -> Sequence[OrderReport]:
        """Ours that can still fill, then the foreign ones."""
        await self._asked()
        ours = [self._report(order) for order in self.engine.state.orders.values() if order.live]
        return [report for report in (*ours, *self.foreign) if not symbol or report.symbol == symbol]

    async def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order as our books have it."""
        await self._asked()
        order = self.engine.state.orders.get(client_id)
        return self._report(order) if order and order.live else None

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        """None that is not booked."""
        await self._asked()
        return ()

    async def newest_trade_id(self, symbol: str) -> int:
        """The newest one booked."""
        await self._asked()
        return self.engine.state.last_trades.get(symbol, -1)

    async def balances(self) -> Mapping[str, Decimal]:
        """Our books' balances and what moved beside them."""
        await self._asked()
        books = self.engine.state.balances
        return {asset: books.get(asset, ZERO) + self.moved.get(asset, ZERO) for asset in {*books, *self.moved}}

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Nobody can say in time: proposals are gated at the last closed bar."""
        raise RetryLater("the market does not answer")


@dataclass
class Office:
    """Everything behind the bot's door, and what a test may do to it."""

    engine: Engine
    desk: Desk
    journal: MemoryJournal
    outbox: MemoryOutbox
    records: MemoryRecords
    bars: MemoryBars
    clock: StandingClock
    exchange: MirrorExchange

    async def see(self, hour: int, close: str = "100", symbol: str = "BTCUSDT", *, fires: bool = False) -> Committed:
        """A bar closes, with its forecast."""
        closed = bar(hour, close, symbol)
        await self.bars.save([closed])
        self.clock.at = max(self.clock.at, closed.close_at)
        return await self.engine.post(
            ev.BarSeen(closed.close_at, f"bar:{hour}", closed, forecast(hour, symbol, fires=fires))
        )

    async def propose(self, hour: int = 1, symbol: str = "BTCUSDT") -> str:
        """A bar that brings a proposal; its intent."""
        await self.see(hour, symbol=symbol, fires=True)
        return next(name for name, p in self.desk.state.proposals.items() if p.wanted.symbol == symbol)

    async def buy(self, hour: int = 1, symbol: str = "BTCUSDT") -> None:
        """A proposal approved, filled at its price, and protected."""
        intent = await self.propose(hour, symbol)
        at = self.clock.now()
        await self.engine.post(ev.OwnerApproved(at, "test", 900_000 + hour, intent))
        await self.fill(symbol)
        for order in self.live(symbol):
            await self.engine.post(ev.Accepted(at, "test", order.client_id, f"x{order.client_id}"))

    async def fill(self, symbol: str, price: str = "100", trade_id: str = "1") -> None:
        """The first live order of a symbol fills."""
        order = self.live(symbol)[0]
        side = order.side
        got = Fill(
            symbol, trade_id, order.client_id, side, order.qty, Decimal(price), Decimal(0), "USDT", self.clock.now()
        )
        await self.engine.post(ev.Filled(self.clock.now(), "test", got))

    async def sell(self, order: Order) -> None:
        """An order of ours fills whole, at its own price."""
        price = order.price or Decimal(100)
        got = Fill(
            order.symbol, "2", order.client_id, order.side, order.qty, price, Decimal(0), "USDT", self.clock.now()
        )
        await self.engine.post(ev.Filled(self.clock.now(), "test", got))

    def live(self, symbol: str) -> list[Order]:
        """Orders of a symbol that can still fill."""
        return [order for order in self.desk.state.orders.values() if order.symbol == symbol and order.live]

    @property
    def sides(self) -> list[Side]:
        """Every order ever planned, by its side."""
        return [order.side for order in self.records.book.values()]

    def seq(self) -> int:
        """How many events were committed."""
        return len(self.journal.lines)


@contextlib.asynccontextmanager
async def office(
    *,
    auto: bool = False,
    staged: str = "SIMULATED",
    mode: str = "demo",
    records: MemoryRecords | None = None,
    symbols: tuple[str, ...] = SYMBOLS,
    zone: str = "UTC",
    guarded: bool = False,
) -> AsyncIterator[Office]:
    """An office that has opened: configured, with rules and 10,000 USDT."""
    outbox, kept, bars, clock = MemoryOutbox(), records or MemoryRecords(), MemoryBars(), StandingClock()
    journal = MemoryJournal(outbox, kept)
    engine = Engine(journal, State())
    about = About(mode, staged, symbols, HOUR, guarded)
    exchange = MirrorExchange(engine)
    desk = Desk(
        engine,
        clock,
        bars,
        kept,
        about,
        lambda: (Check("feed", True, "4 s ago"), Check("disk", False, "full")),
        Reconcile(engine, exchange, clock),  # type: ignore[arg-type]
        exchange,  # type: ignore[arg-type]
    )
    running = asyncio.ensure_future(engine.run())
    await engine.post(ev.Configured(START, "start", Config(approve_auto=auto, time_zone=zone)))
    await engine.post(ev.InstrumentsSeen(START, "start", {symbol: instrument(symbol) for symbol in symbols}))
    await engine.post(ev.BalancesSeen(START, "start", {"USDT": Decimal(10_000)}))
    desk.open()
    try:
        yield Office(engine, desk, journal, outbox, kept, bars, clock, exchange)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def with_contributions(given: Forecast, *texts: tuple[str, float]) -> Forecast:
    """The forecast with other reasons: (text, effect)."""
    return replace(given, contributions=tuple(Contribution(f"c{i}", 1.0, e, t) for i, (t, e) in enumerate(texts)))
