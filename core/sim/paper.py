"""Paper trading: the Broker port over the matching engine, in this process, on real market data.

Rule 1: the book is saved before a change is answered, so a restart goes on with what was told.
Rule 2: a bar is played once, however often it is fed; it meets every order that was open when it closed, so a few
        seconds between a bar's open and an order's placing count as if the order had been there: against us, if at all.
Rule 3: a taker meets the market's best bid and ask of the moment, with the volume and volatility of recent bars.
Rule 4: memory is bounded: the newest trades and finished orders are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import msgspec

from core.decide.costs import Fees, Fills, Terms, bar_sigma
from core.decide.matching import cancel, on_bar, place, place_list, validate
from core.decide.venue import (
    NO_LIST,
    Balance,
    Liquidity,
    ListPlacement,
    Move,
    Moves,
    Placement,
    Rules,
    Status,
    Venue,
    VenueOrder,
    VenueTrade,
)
from core.domain.errors import StoreUnusable
from core.domain.market import ZERO, Bar, from_ms, to_ms
from core.domain.orders import Fill, Order, OrderState
from core.ports import Clock, MarketData, OrderReport

TRADES_KEPT = 2_000
TYPICAL_BARS = 24
STATES = {
    Status.PENDING_NEW: OrderState.OPEN,
    Status.NEW: OrderState.OPEN,
    Status.PARTIALLY_FILLED: OrderState.PARTIAL,
    Status.FILLED: OrderState.FILLED,
    Status.CANCELED: OrderState.CANCELED,
    Status.EXPIRED: OrderState.EXPIRED,
}

Save = Callable[[bytes], Awaitable[None]]
Load = Callable[[], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class PaperBook:
    """What survives a restart: the venue, its newest trades, and up to where each symbol was played."""

    venue: Venue
    trades: tuple[VenueTrade, ...] = ()
    played_ms: Mapping[str, int] = field(default_factory=dict)


class PaperBroker:
    """A broker that fills against quotes and bars; build it with ``open_paper``."""

    def __init__(
        self, book: PaperBook, market: MarketData, clock: Clock, span: timedelta, save: Save, fills: Fills
    ) -> None:
        self._book = book
        self._market = market
        self._clock = clock
        self._span = span
        self._save = save
        self._fills = fills
        self._terms: dict[str, Terms] = {}
        self._recent: dict[str, tuple[Bar, ...]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def on_bar(self, bar: Bar) -> Sequence[Fill]:
        """Our trades in this closed bar; none when it was played before."""
        async with self._one_at_a_time:
            self._recent[bar.symbol] = (*self._recent.get(bar.symbol, ()), bar)[-TYPICAL_BARS:]
            open_ms = to_ms(bar.open_at)
            if open_ms <= self._book.played_ms.get(bar.symbol, -1):
                return ()
            book = replace(self._book, played_ms={**self._book.played_ms, bar.symbol: open_ms})
            venue, moves = on_bar(book.venue, bar, await self._terms_of(bar.symbol))
            if not moves and bar.symbol not in venue.open:
                self._book = book
                return ()
            await self._adopt(book, venue, moves)
            return [fill_of(trade) for trade in _trades(moves)]

    async def submit(self, order: Order) -> OrderReport:
        """Place one order. Raises Refused."""
        async with self._one_at_a_time:
            terms, market = await self._meet(order.symbol)
            venue, moves = place(self._book.venue, placement(order), market, terms, self._now_ms())
            await self._adopt(self._book, venue, moves)
            return _reports(moves)[0]

    async def submit_pair(self, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Place both as an OCO. Raises Refused; then neither exists."""
        return await self._submit_list(ListPlacement(f"{stop.client_id}-oco", (placement(stop), placement(target))))

    async def submit_bracket(self, entry: Order, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Place an entry with the pair its full fill places (OTOCO). Raises Refused; then none of them exists."""
        legs = placement(stop), placement(target)
        return await self._submit_list(ListPlacement(f"{entry.client_id}-oto", legs, placement(entry)))

    async def _submit_list(self, ask: ListPlacement) -> Sequence[OrderReport]:
        """Place a list; each of its orders as it stands afterwards, in the order of placement."""
        async with self._one_at_a_time:
            symbol = ask.legs[0].symbol
            terms, market = await self._meet(symbol)
            venue, moves = place_list(self._book.venue, ask, market, terms, self._now_ms())
            await self._adopt(self._book, venue, moves)
            return _reports(moves)

    async def try_out(self, order: Order) -> None:
        """Check the form and size of an order and place nothing, as the exchange's own test does. Raises Refused."""
        async with self._one_at_a_time:
            terms, market = await self._meet(order.symbol)
            validate(placement(order), market, terms)

    async def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel an order and its list. Raises Refused when it is not open."""
        async with self._one_at_a_time:
            venue, moves = cancel(self._book.venue, symbol, client_id, self._now_ms())
            await self._adopt(self._book, venue, moves)

    async def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """The newest order of that id, open or finished."""
        venue = self._book.venue
        known = (*venue.finished, *venue.open.get(symbol, ()))
        return next((_report(o) for o in reversed(known) if (o.symbol, o.client_id) == (symbol, client_id)), None)

    async def open_orders(self, symbol: str = "") -> Sequence[OrderReport]:
        """Open orders of a symbol, or of every one, oldest first."""
        kept = self._book.venue.open
        orders = kept.get(symbol, ()) if symbol else [o for some in kept.values() for o in some]
        return [_report(order) for order in sorted(orders, key=lambda o: o.order_id)]

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        """Trades of a symbol with a higher id, oldest first."""
        after = int(after_id) if after_id else 0
        return [fill_of(t) for t in self._book.trades if t.symbol == symbol and t.trade_id > after]

    async def newest_trade_id(self, symbol: str) -> int:
        """The id of our newest trade of a symbol, -1 for none."""
        return max((t.trade_id for t in self._book.trades if t.symbol == symbol), default=-1)

    async def balances(self) -> Mapping[str, Decimal]:
        """Total of each asset held."""
        return self._book.venue.totals()

    async def sync_clock(self) -> float:
        """0 ms: this exchange lives in the same process, its clock is ours."""
        return 0.0

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    async def _adopt(self, book: PaperBook, venue: Venue, moves: Moves) -> None:
        """Save the changed book, then let it be so; a save that is cut off leaves the old one in force."""
        after = replace(book, venue=venue, trades=(*book.trades, *_trades(moves))[-TRADES_KEPT:])
        await self._save(msgspec.json.encode(after))
        self._book = after

    async def _terms_of(self, symbol: str) -> Terms:
        if symbol not in self._terms:
            instrument = (await self._market.instruments([symbol]))[symbol]
            fees = Fees(instrument.maker_fee, instrument.taker_fee)
            self._terms[symbol] = Terms(Rules(instrument), fees, self._fills)
        return self._terms[symbol]

    async def _meet(self, symbol: str) -> tuple[Terms, Liquidity]:
        """The terms of a symbol and the market an order would meet now."""
        terms = await self._terms_of(symbol)
        quote = (await self._market.quotes([symbol]))[symbol]
        if not self._recent.get(symbol):
            self._recent[symbol] = tuple(await self._market.bars(symbol, self._span, None, TYPICAL_BARS))
        bars = self._recent[symbol]
        count = max(len(bars), 1)
        volume = sum((bar.volume for bar in bars), ZERO) / count
        sigma = sum((bar_sigma(bar) for bar in bars), ZERO) / count
        return terms, Liquidity(quote.bid, quote.ask, volume, sigma)


async def open_paper(
    market: MarketData,
    clock: Clock,
    span: timedelta,
    balances: Mapping[str, Decimal],
    *,
    save: Save,
    load: Load,
    fills: Fills = Fills(),  # noqa: B008 - a frozen value
) -> PaperBroker:
    """A paper broker that goes on with the saved book, or begins with ``balances``. Raises StoreUnusable."""
    saved = await load()
    if saved is None:
        book = PaperBook(Venue(balances={asset: Balance(amount) for asset, amount in balances.items()}))
    else:
        book = _decode(saved)
    return PaperBroker(book, market, clock, span, save, fills)


def _decode(saved: bytes) -> PaperBook:
    try:
        return msgspec.json.decode(saved, type=PaperBook)
    except msgspec.MsgspecError as fault:
        raise StoreUnusable(f"the paper account cannot be read ({fault}): restore it from a backup") from fault


def placement(order: Order) -> Placement:
    """Our order as the venue wants to hear of it; one that trails follows from the start, as it is sent to Binance.

    With its stop price it would protect nothing before the market had fallen to it, and then a whole distance later.
    """
    return Placement(
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        client_id=order.client_id,
        qty=order.qty,
        price=order.price,
        stop_price=None if order.trail_bips else order.stop_price,
        tif=order.tif,
        trail_bips=order.trail_bips,
    )


def fill_of(trade: VenueTrade) -> Fill:
    """A trade of the venue as a fill of ours."""
    return Fill(
        symbol=trade.symbol,
        trade_id=str(trade.trade_id),
        client_id=trade.client_id,
        side=trade.side,
        qty=trade.qty,
        price=trade.price,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        at=from_ms(trade.at_ms),
        maker=trade.maker,
    )


def _trades(moves: Moves) -> list[VenueTrade]:
    return [m.trade for m in moves if isinstance(m, Move) and m.trade is not None]


def _reports(moves: Moves) -> list[OrderReport]:
    """Each order that moved as it stands now, the one placed first first."""
    newest = {m.order.order_id: m.order for m in moves if isinstance(m, Move)}
    return [_report(newest[order_id]) for order_id in sorted(newest)]


def _report(order: VenueOrder) -> OrderReport:
    return OrderReport(
        client_id=order.client_id,
        symbol=order.symbol,
        exchange_id=str(order.order_id),
        state=STATES[order.status],
        filled_qty=order.filled_qty,
        list_id="" if order.list_id == NO_LIST else str(order.list_id),
        side=order.side,
        kind=order.kind,
        qty=order.qty,
        price=order.price or None,
        stop_price=order.stop_price or None,
        trail_bips=order.trail_bips,
        waiting=order.status is Status.PENDING_NEW,
        at=from_ms(order.placed_ms),
        triggered=order.triggered,
    )
