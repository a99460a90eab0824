"""A world in memory for the tests of the shell: clock, journal, bars, market and a small exchange that behave."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.adapters.columns import Columns
from core.domain.errors import InvariantBroken, OutcomeUnknown, Refused, RetryLater
from core.domain.events import Event
from core.domain.market import ZERO, Bar, Depth, Instrument, Quote, as_float, to_ms
from core.domain.orders import Fill, Order, OrderKind, OrderState, Side, Tif
from core.domain.state import State, Trade
from core.ports import Change, Committed, Hole, OrderReport
from tests.run.samples import CASH, START, instrument


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at
        self.speed = 1.0

    def now(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        self.at += timedelta(**time)


class MemoryJournal:
    """A journal in memory; ``held`` stops commits until it is set, ``broken`` is raised by the next one.

    ``reached`` is set once a commit has begun while it was held.
    """

    def __init__(self) -> None:
        self.lines: list[Committed] = []
        self.commits: list[int] = []  # how many lines each held
        self.snapshots: list[State] = []
        self.held = asyncio.Event()
        self.held.set()
        self.reached = asyncio.Event()
        self.broken: Exception | None = None

    async def commit(self, *changes: Change) -> None:
        if not self.held.is_set():
            self.reached.set()
        await self.held.wait()
        if self.broken:
            raise self.broken
        self.commits.append(len(changes))
        for change in changes:
            if change.after.seq != len(self.lines) + 1 or change.before.seq != len(self.lines):
                raise InvariantBroken(f"line {change.after.seq} does not follow line {len(self.lines)}")
            self.lines.append(Committed(change.after.seq, change.event, change.effects))

    async def save_snapshot(self, state: State) -> None:
        self.snapshots.append(state)

    async def latest_snapshot(self) -> State | None:
        return self.snapshots[-1] if self.snapshots else None

    async def events_after(self, seq: int) -> AsyncIterator[Committed]:
        for line in [each for each in self.lines if each.seq > seq]:
            yield line

    def events(self) -> list[Event]:
        return [line.event for line in self.lines]


class MemoryBars:
    """Stored bars and folded states in memory; ``torn`` names the fold at whose saving the power goes."""

    def __init__(self) -> None:
        self.bars: dict[str, dict[datetime, Bar]] = {}
        self.folds: dict[str, tuple[str, datetime, bytes]] = {}
        self.torn = ""

    async def save(self, bars: Sequence[Bar]) -> int:
        kept = self.bars.setdefault(bars[0].symbol, {})
        new = [each for each in bars if each.open_at not in kept]
        kept.update({each.open_at: each for each in new})
        return len(new)

    async def last(self, symbol: str, span: timedelta) -> Bar | None:
        kept = self.bars.get(symbol)
        return kept[max(kept)] if kept else None

    async def stream(self, symbol: str, span: timedelta, since: datetime | None = None) -> AsyncIterator[Sequence[Bar]]:
        kept = self.bars.get(symbol, {})
        yield [kept[at] for at in sorted(kept) if since is None or at >= since]

    async def stream_columns(
        self, symbol: str, span: timedelta, since: datetime | None = None
    ) -> AsyncIterator[Columns]:
        columns = Columns(symbol, span // timedelta(milliseconds=1))
        async for block in self.stream(symbol, span, since):
            for each in block:
                numbers = (each.open, each.high, each.low, each.close, each.volume)
                columns.append(to_ms(each.open_at), tuple(map(as_float, numbers)))
        yield columns

    async def holes(self, symbol: str, span: timedelta) -> Sequence[Hole]:
        return ()

    async def save_fold(self, symbol: str, span: timedelta, version: str, open_at: datetime, body: bytes) -> None:
        if symbol == self.torn:
            raise ConnectionAbortedError("the power went")
        self.folds[symbol] = (version, open_at, body)

    async def load_fold(self, symbol: str, span: timedelta, version: str) -> tuple[datetime, bytes] | None:
        kept = self.folds.get(symbol)
        return kept[1:] if kept and kept[0] == version else None


class NoRecords:
    """Records of a life without any; which updates were handled is remembered."""

    def __init__(self) -> None:
        self.noted: dict[int, str] = {}

    async def trades(self, limit: int) -> Sequence[Trade]:
        return ()

    async def orders(self, limit: int) -> Sequence[Order]:
        return ()

    async def seen(self, update_id: int) -> bool:
        return update_id in self.noted

    async def note(self, update_id: int, at: datetime, text: str) -> None:
        self.noted[update_id] = text

    async def tidy(self, before: datetime) -> int:
        return 0


class ListMarket:
    """A market that is a list of bars a symbol; ``down`` raises for a symbol, or for "" at every question."""

    def __init__(self, clock: HandClock, bars: Mapping[str, Sequence[Bar]]) -> None:
        self.clock = clock
        self.bars_of = {symbol: list(each) for symbol, each in bars.items()}
        self.rules = {symbol: instrument(symbol) for symbol in bars}
        self.down: dict[str, Exception] = {}
        self.price: Decimal | None = None

    def _answering(self, symbol: str = "") -> None:
        for name in ("", symbol):
            if name in self.down:
                raise self.down[name]

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        self._answering()
        return {symbol: self.rules[symbol] for symbol in symbols}

    async def bars(self, symbol: str, span: timedelta, since: datetime | None, limit: int) -> Sequence[Bar]:
        self._answering(symbol)
        closed = [each for each in self.bars_of[symbol] if each.close_at <= self.clock.now()]
        if since is None:
            return closed[-limit:]
        return [each for each in closed if each.open_at >= since][:limit]

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """The price of now is ``price``; without one nobody can say."""
        self._answering("quotes")
        price = self.price
        if price is None:
            raise RetryLater("no quote")
        return {s: Quote(s, self.clock.now(), price, price) for s in symbols}

    async def depth(self, symbol: str, levels: int) -> Depth:
        raise NotImplementedError

    async def server_time(self) -> datetime:
        return self.clock.now()


@dataclass(frozen=True, slots=True)
class Placed:
    """One order as the exchange holds it."""

    order: Order
    number: str
    list_id: str = ""
    state: OrderState = OrderState.OPEN
    filled: Decimal = ZERO
    waiting: bool = False


class Exchange:
    """A small exchange: market orders fill at once at ``price``, others when ``hit``; it can lie, lag and lose.

    A bracket's entry fills whole at ``price`` or all of it expires; its legs then stand as far as the coins reach.
    A list whose orders are there already is answered as the adapter does: shown again, or in doubt where hidden.
    ``faults``: what the next sends and cancels raise, if anything, and whether they came through all the same.
    ``hidden`` orders (those placed while ``lagging``) and their trades are not shown by reads.
    ``triggered`` stops went to the book and have not sold.
    ``down`` is raised by every read, ``held`` stops every send until set.
    """

    def __init__(self, clock: HandClock, fee: str = "0") -> None:
        self.clock = clock
        self.fee = Decimal(fee)
        self.price = Decimal(100)
        self.placed: dict[str, Placed] = {}
        self.fills: list[Fill] = []
        self.held_assets: dict[str, Decimal] = {"USDT": CASH}
        self.sent: list[str] = []
        self.tried: list[str] = []
        self.syncs = 0
        self.cancels: list[str] = []
        self.asked: list[str] = []
        self.faults: deque[tuple[Exception | None, bool]] = deque()
        self.lagging = False
        self.hidden: set[str] = set()
        self.triggered: set[str] = set()
        self.down: Exception | None = None
        self.held = asyncio.Event()
        self.held.set()

    async def submit(self, order: Order) -> OrderReport:
        self.sent.append(order.client_id)
        await self.held.wait()
        self._place(order)
        return self._report(order.client_id)

    async def submit_pair(self, stop: Order, target: Order) -> Sequence[OrderReport]:
        return await self._submit_list(stop, target)

    async def submit_bracket(self, entry: Order, stop: Order, target: Order) -> Sequence[OrderReport]:
        return await self._submit_list(entry, stop, target)

    async def _submit_list(self, *orders: Order) -> Sequence[OrderReport]:
        self.sent += [order.client_id for order in orders]
        await self.held.wait()
        there = [o.client_id for o in orders if o.client_id in self.placed and not self.faults]
        if any(name in self.hidden for name in there):
            raise OutcomeUnknown(f"{there[0]} is at the exchange but not shown yet", there[0])
        if not there:
            self._place(*orders)
        return [self._report(order.client_id) for order in orders]

    async def try_out(self, order: Order) -> None:
        self.tried.append(order.client_id)

    async def sync_clock(self) -> float:
        self.syncs += 1
        return 0.0

    def _place(self, *orders: Order) -> None:
        error, came_through = self.faults.popleft() if self.faults else (None, True)
        group = f"list-{len(self.placed)}" if len(orders) > 1 else ""
        for order in orders if came_through else ():
            self.placed[order.client_id] = Placed(
                order, str(len(self.placed) + 1), group, waiting=bool(order.waits_for and len(orders) > 2)
            )
            if self.lagging:
                self.hidden.add(order.client_id)
            if order.kind is OrderKind.MARKET:
                self.hit(order.client_id)
        if came_through and orders[0].tif is Tif.FOK:
            self._fill_or_kill(orders[0], orders[1:])
        if error:
            raise error

    def _fill_or_kill(self, entry: Order, legs: Sequence[Order]) -> None:
        """The entry fills whole at the price of now and its legs stand, or nothing of it remains."""
        if entry.price is not None and self.price > entry.price:
            return self._finish((entry, *legs))
        base = entry.symbol.removesuffix("USDT")
        beside = self._free(base)
        fill = self._trade(entry, entry.qty, self.price)
        self.placed[entry.client_id] = replace(self.placed[entry.client_id], state=OrderState.FILLED, filled=entry.qty)
        kept = beside + fill.qty - (fill.fee if fill.fee_asset == base else ZERO)
        if any(leg.qty > kept for leg in legs):
            return self._finish(legs)
        for leg in legs:
            self.placed[leg.client_id] = replace(self.placed[leg.client_id], waiting=False)
        return None

    def _finish(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self.placed[order.client_id] = replace(self.placed[order.client_id], state=OrderState.EXPIRED)

    def _free(self, base: str) -> Decimal:
        """Coins no open sale locks; a pair locks once."""
        locks = {
            placed.list_id or name: placed.order.qty - placed.filled
            for name, placed in self.placed.items()
            if placed.state is OrderState.OPEN and not placed.waiting
            if placed.order.side is Side.SELL and placed.order.symbol.removesuffix("USDT") == base
        }
        return self.held_assets.get(base, ZERO) - sum(locks.values(), ZERO)

    def hit(self, client_id: str, qty: str | None = None, price: str | None = None) -> Fill:
        """The market trades with an order, wholly or ``qty`` of it; the sister of a pair ends."""
        placed = self.placed[client_id]
        amount = Decimal(qty) if qty else placed.order.qty - placed.filled
        at_price = Decimal(price) if price else placed.order.price or self.price
        fill = self._trade(placed.order, amount, at_price)
        filled = placed.filled + amount
        state = OrderState.FILLED if filled == placed.order.qty else OrderState.PARTIAL
        self.placed[client_id] = replace(placed, state=state, filled=filled)
        self._end_list(client_id, OrderState.EXPIRED)
        return fill

    def _trade(self, order: Order, qty: Decimal, price: Decimal) -> Fill:
        base, buys = order.symbol.removesuffix("USDT"), order.side is Side.BUY
        fee = qty * self.fee if buys else qty * price * self.fee
        number = str(len(self.fills) + 1)
        fill = Fill(
            order.symbol,
            number,
            order.client_id,
            order.side,
            qty,
            price,
            fee,
            base if buys else "USDT",
            self.clock.now(),
        )
        sign = 1 if buys else -1
        for asset, change in ((base, sign * qty), ("USDT", -sign * qty * price), (fill.fee_asset, -fee)):
            self.held_assets[asset] = self.held_assets.get(asset, ZERO) + change
        self.fills.append(fill)
        return fill

    def _end_list(self, client_id: str, state: OrderState) -> None:
        group = self.placed[client_id].list_id
        for name, other in self.placed.items():
            if group and name != client_id and other.list_id == group and other.state is OrderState.OPEN:
                self.placed[name] = replace(other, state=state)

    async def cancel(self, symbol: str, client_id: str) -> None:
        self.cancels.append(client_id)
        error, came_through = self.faults.popleft() if self.faults else (None, True)
        if came_through:
            self.end(client_id)
        if error:
            raise error

    def end(self, client_id: str) -> None:
        """The order ends as cancelled, its sister with it."""
        placed = self.placed.get(client_id)
        if placed is None or placed.state not in (OrderState.OPEN, OrderState.PARTIAL):
            raise Refused("Unknown order sent.", "-2011")
        self.placed[client_id] = replace(placed, state=OrderState.CANCELED)
        self._end_list(client_id, OrderState.CANCELED)

    def _report(self, client_id: str) -> OrderReport:
        placed = self.placed[client_id]
        order = placed.order
        return OrderReport(
            client_id,
            order.symbol,
            placed.number,
            placed.state,
            placed.filled,
            list_id=placed.list_id,
            side=order.side,
            kind=order.kind,
            qty=order.qty,
            price=order.price,
            stop_price=order.stop_price,
            trail_bips=order.trail_bips,
            waiting=placed.waiting,
            at=order.created_at,
            triggered=client_id in self.triggered,
        )

    def _shown(self, symbol: str) -> list[str]:
        if self.down:
            raise self.down
        placed = self.placed.items()
        return [n for n, one in placed if symbol in ("", one.order.symbol) and n not in self.hidden]

    async def find(self, symbol: str, client_id: str) -> OrderReport | None:
        self.asked.append(f"find {client_id}")
        return self._report(client_id) if client_id in self._shown(symbol) else None

    async def open_orders(self, symbol: str = "") -> Sequence[OrderReport]:
        self.asked.append(f"open {symbol}".strip())
        open_ = (OrderState.OPEN, OrderState.PARTIAL)
        return [self._report(name) for name in self._shown(symbol) if self.placed[name].state in open_]

    async def newest_trade_id(self, symbol: str) -> int:
        self.asked.append(f"newest {symbol}")
        return max((int(f.trade_id) for f in self.fills if f.symbol == symbol), default=-1)

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        self.asked.append(f"trades {symbol}")
        shown = self._shown(symbol)
        return [f for f in self.fills if f.client_id in shown and int(f.trade_id) > int(after_id or 0)]

    async def balances(self) -> Mapping[str, Decimal]:
        self.asked.append("balances")
        if self.down:
            raise self.down
        return {asset: amount for asset, amount in self.held_assets.items() if amount}
