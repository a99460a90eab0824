"""A small office for tests of the bot: a real engine and desk over journals, outbox and bars that live in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.base import BaseSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import TelegramMethod
from aiogram.types import Chat, Message, Update, User

from bot.gate import Gate
from bot.handlers import root
from bot.keyboards import Confirmations
from bot.pictures import PictureFailed
from bot.views.chartspec import ChartSpec
from core.decide import orders as lifecycle
from core.decide.exits import sister_ends
from core.domain import events as ev
from core.domain.forecast import Contribution, Forecast
from core.domain.market import Bar, Instrument
from core.domain.orders import Fill, Order, Side
from core.domain.state import Config, State, Trade, put
from core.ports import Committed, Parcel
from core.run.desk import About, Check, Desk
from core.run.engine import Engine

OWNER = 77
TOKEN = "424242:FAKE-TOKEN-for-tests"
HOUR = timedelta(hours=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "1000000MOGUSDT")
PNG = b"\x89PNG\r\n\x1a\n a picture"


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
        simulated=True,
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

    def put(self, tell: ev.Tell, at: datetime = START, trace: str = "test") -> Parcel:
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

    async def message_id(self, topic: ev.Topic, ref: str) -> int:
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

    async def commit(self, before: State, after: State, event: ev.Event, effects: Sequence[ev.Effect]) -> None:
        """Keep one step."""
        self.lines.append(Committed(after.seq, event, tuple(effects)))
        if isinstance(event, ev.Filled) and (order := before.orders.get(event.fill.client_id)):
            filled = lifecycle.fill(order, event.fill)  # an order that leaves the state keeps how it ended
            ended = sister_ends(before.with_(orders=put(before.orders, filled.client_id, filled)), filled)
            self.records.book.update(ended.orders)
        self.records.book.update(after.orders)
        for effect in effects:
            if isinstance(effect, ev.Tell):
                self.outbox.put(effect, event.at, event.trace)
            if isinstance(effect, ev.TradeDone):
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
class Easel:
    """Draws the same small picture every time, or never while ``broken``."""

    broken: bool = False
    png: bytes = PNG
    drawn: list[ChartSpec] = field(default_factory=list)

    async def draw(self, spec: ChartSpec, timeout_s: float = 10.0) -> bytes:
        """A picture, or PictureFailed."""
        if self.broken:
            raise PictureFailed("No picture: the easel is broken")
        self.drawn.append(spec)
        return self.png


class PocketChat(BaseSession):
    """A chat in memory behind aiogram's session: keeps every call, answers as a Bot API would."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[TelegramMethod[Any]] = []
        self._failures: dict[str, deque[Callable[[TelegramMethod[Any]], Exception]]] = defaultdict(deque)
        self._last_id = 0

    def fail(self, method: str, *failures: Callable[[TelegramMethod[Any]], Exception]) -> None:
        """Let the next calls of ``method`` (as in the Bot API) fail, one after the other."""
        self._failures[method].extend(failures)

    def of(self, method: str) -> list[Any]:
        """Every call of one method, oldest first."""
        return [call for call in self.calls if call.__api_method__ == method]

    @property
    def said(self) -> list[str]:
        """What the owner could read, oldest first: texts, captions, edits, toasts."""
        texts = [getattr(call, "text", None) or getattr(call, "caption", None) for call in self.calls]
        return [text for text in texts if text]

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Keep the call, then answer it or fail as told."""
        self.calls.append(method)
        if self._failures[method.__api_method__]:
            raise self._failures[method.__api_method__].popleft()(method)
        if method.__api_method__ == "getMe":
            return User(id=424242, is_bot=True, first_name="firstmate", username="firstmate")
        if method.__api_method__.startswith(("send", "editMessage")):
            self._last_id += 1
            message = Message(message_id=self._last_id, date=START, chat=Chat(id=OWNER, type="private"))
            return message.as_(bot)
        return True

    async def close(self) -> None:
        """Nothing is open."""

    async def stream_content(self, *args: Any, **kwargs: Any) -> Any:
        """No files here."""
        raise NotImplementedError
        yield b""


class FaultySession(AiohttpSession):
    """The real session over HTTP; ``fail`` puts failures before the next calls of a method."""

    def __init__(self, url: str) -> None:
        super().__init__(api=TelegramAPIServer.from_base(url))
        self._failures: dict[str, deque[Callable[[TelegramMethod[Any]], Exception]]] = defaultdict(deque)
        self.calls: list[str] = []
        self.failed = asyncio.Event()

    def fail(self, method: str, *failures: Callable[[TelegramMethod[Any]], Exception]) -> None:
        """Let the next calls of ``method`` fail, one after the other."""
        self._failures[method].extend(failures)

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Fail as told, else ask the server."""
        self.calls.append(method.__api_method__)
        if self._failures[method.__api_method__]:
            raise self._failures[method.__api_method__].popleft()(method)
        try:
            return await super().make_request(bot, method, timeout)
        except Exception:
            self.failed.set()
            raise


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
    simulated: bool = True,
    mode: str = "demo",
    records: MemoryRecords | None = None,
    symbols: tuple[str, ...] = SYMBOLS,
    zone: str = "UTC",
) -> AsyncIterator[Office]:
    """An office that has opened: configured, with rules and 10,000 USDT."""
    outbox, kept, bars, clock = MemoryOutbox(), records or MemoryRecords(), MemoryBars(), StandingClock()
    journal = MemoryJournal(outbox, kept)
    engine = Engine(journal, State())
    about = About(mode, simulated, symbols, HOUR)
    desk = Desk(
        engine, clock, bars, kept, about, lambda: (Check("feed", True, "4 s ago"), Check("disk", False, "full"))
    )
    running = asyncio.ensure_future(engine.run())
    await engine.post(ev.Configured(START, "start", Config(approve_auto=auto, time_zone=zone)))
    await engine.post(ev.InstrumentsSeen(START, "start", {symbol: instrument(symbol) for symbol in symbols}))
    await engine.post(ev.BalancesSeen(START, "start", {"USDT": Decimal(10_000)}))
    try:
        yield Office(engine, desk, journal, outbox, kept, bars, clock)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@dataclass
class Phone:
    """The owner's side of a chat in memory: everything goes through the gate and the real handlers."""

    office: Office
    chat: PocketChat
    bot: Bot
    dispatcher: Dispatcher
    easel: Easel
    next_id: int = 1

    async def feed(self, **update: Any) -> None:
        """Any update, as JSON of the Bot API."""
        body = {"update_id": self.next_id, **update}
        self.next_id = max(self.next_id, body["update_id"]) + 1
        await self.dispatcher.feed_update(self.bot, Update.model_validate(body, context={"bot": self.bot}))

    async def say(self, text: str) -> list[str]:
        """Type a message; what came back."""
        known = len(self.chat.said)
        await self.feed(message=message_json(text))
        return self.chat.said[known:]

    async def press(self, data: str, message_id: int = 1) -> list[str]:
        """Press a button; what came back."""
        known = len(self.chat.said)
        await self.feed(callback_query=press_json(data, message_id))
        return self.chat.said[known:]

    def button(self, label: str) -> str:
        """Data of the newest button whose label holds ``label``."""
        for call in reversed(self.chat.calls):
            for row in getattr(getattr(call, "reply_markup", None), "inline_keyboard", None) or ():
                for button in row:
                    if label in button.text:
                        return str(button.callback_data)
        raise AssertionError(f"no button {label}")


def person(user_id: int = OWNER) -> dict[str, Any]:
    """A User of the Bot API."""
    return {"id": user_id, "is_bot": False, "first_name": "Somebody"}


def private(chat_id: int = OWNER) -> dict[str, Any]:
    """A private Chat of the Bot API."""
    return {"id": chat_id, "type": "private", "first_name": "Somebody"}


def message_json(text: str, **changes: Any) -> dict[str, Any]:
    """A Message of the owner in the private chat, with changes."""
    return {"message_id": 1, "date": 1_700_000_000, "from": person(), "chat": private(), "text": text, **changes}


def press_json(data: str, message_id: int = 1, **changes: Any) -> dict[str, Any]:
    """A CallbackQuery of the owner on a message in the private chat, with changes."""
    under = {"message_id": message_id, "date": 1_700_000_000, "chat": private(), "text": "card"}
    return {"id": "1", "from": person(), "chat_instance": "1", "message": under, "data": data, **changes}


def phone(office: Office, monotonic: Callable[[], float] | None = None) -> Phone:
    """A phone for this office, with a clock of its own for rates and confirmations where one is given."""
    chat, easel = PocketChat(), Easel()
    bot = Bot(TOKEN, session=chat)
    timed = {"monotonic": monotonic} if monotonic else {}
    dispatcher = Dispatcher(desk=office.desk, pictures=easel, confirmations=Confirmations(**timed))
    dispatcher.update.outer_middleware(Gate(OWNER, office.desk, **timed))
    dispatcher.include_router(root())
    return Phone(office, chat, bot, dispatcher, easel)


def with_contributions(given: Forecast, *texts: tuple[str, float]) -> Forecast:
    """The forecast with other reasons: (text, effect)."""
    return replace(given, contributions=tuple(Contribution(f"c{i}", 1.0, e, t) for i, (t, e) in enumerate(texts)))
