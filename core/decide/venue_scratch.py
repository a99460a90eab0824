"""A venue under change: the one place where balances, orders and lists are rewritten.

Rule 1: a Scratch starts from a Venue, collects what moved, and ends as the next Venue; the first is never touched.
Rule 2: what an order holds is locked when it starts to work and given back when it ends; OCO legs share one hold.
Rule 3: a trade pays from the hold, credits what was received less the fee, and frees what a better price saved.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from core.decide.costs import Terms
from core.decide.venue import (
    FINAL,
    NO_LIST,
    Balance,
    ListMove,
    Motion,
    Move,
    Moves,
    OrderList,
    Placement,
    Status,
    Venue,
    VenueOrder,
    VenueTrade,
)
from core.decide.venue_filters import rejected
from core.domain.market import ZERO
from core.domain.orders import Side

FINISHED_KEPT = 500
NOTHING = Balance()


class Scratch:
    """Work on one symbol of one venue; ``done`` gives the next Venue and everything that moved, in order."""

    __slots__ = (
        "_next_list",
        "_next_order",
        "_next_trade",
        "_tracked",
        "_venue",
        "balances",
        "ended",
        "lists",
        "live",
        "moves",
        "woken",
    )

    def __init__(self, venue: Venue, symbol: str) -> None:
        self._venue = venue
        self.balances = dict(venue.balances)
        self.lists = dict(venue.lists)
        self.live = {o.order_id: o for o in venue.open.get(symbol, ())}
        self.moves: list[Move | ListMove] = []
        self.ended: dict[int, VenueOrder] = {}
        self.woken: set[int] = set()
        self._tracked = False
        self._next_order = venue.next_order_id
        self._next_trade = venue.next_trade_id
        self._next_list = venue.next_list_id

    @property
    def changed(self) -> bool:
        """Whether anything is different from the Venue this began with."""
        return self._tracked or bool(self.moves)

    def done(self, symbol: str) -> tuple[Venue, Moves]:
        """The next Venue and what moved, in order."""
        venue = self._venue
        orders = {**venue.open, symbol: tuple(self.live.values())}
        if not self.live:
            del orders[symbol]
        after = Venue(
            balances=self.balances,
            open=orders,
            lists=self.lists,
            finished=(*venue.finished, *self.ended.values())[-FINISHED_KEPT:],
            next_order_id=self._next_order,
            next_trade_id=self._next_trade,
            next_list_id=self._next_list,
        )
        return after, tuple(self.moves)

    def fresh(self, ask: Placement, qty: Decimal, terms: Terms, at_ms: int, list_id: int = NO_LIST) -> VenueOrder:
        """An order with the next id that holds nothing yet and is not on the book."""
        instrument = terms.instrument
        order = VenueOrder(
            order_id=self._next_order,
            list_id=list_id,
            client_id=ask.client_id,
            symbol=ask.symbol,
            side=ask.side,
            kind=ask.kind,
            tif=ask.tif,
            qty=qty,
            price=ask.price or ZERO,
            stop_price=ask.stop_price or ZERO,
            quote_qty=ask.quote_qty or ZERO,
            placed_ms=at_ms,
            updated_ms=at_ms,
            held_asset=instrument.quote if ask.side is Side.BUY else instrument.base,
            trail_bips=ask.trail_bips,
        )
        self._next_order += 1
        return order

    def new_list_id(self) -> int:
        """The next id of an order list."""
        self._next_list += 1
        return self._next_list - 1

    def hold(self, order: VenueOrder, amount: Decimal) -> VenueOrder:
        """``order`` holding ``amount``; Refused when that is not free."""
        asset = order.held_asset
        balance = self.balances.get(asset, NOTHING)
        if balance.free < amount:
            raise rejected("Account has insufficient balance for requested action.")
        self.balances[asset] = Balance(balance.free - amount, balance.locked + amount)
        return replace(order, held=order.held + amount)

    def loosen(self, order: VenueOrder, keep: Decimal) -> VenueOrder:
        """``order`` holding only ``keep`` (<= what it holds); the rest is free again."""
        excess = order.held - keep
        if not excess:
            return order
        balance = self.balances[order.held_asset]
        self.balances[order.held_asset] = Balance(balance.free + excess, balance.locked - excess)
        return replace(order, held=keep)

    def put(self, order: VenueOrder, motion: Motion, trade: VenueTrade | None = None) -> VenueOrder:
        """``order`` as it now stands on the book, or among the finished ones when nothing more can happen to it."""
        if order.status in FINAL:
            order = self.loosen(order, ZERO)
            self.live.pop(order.order_id, None)
            self.ended[order.order_id] = order
        else:
            self.live[order.order_id] = order
        self.moves.append(Move(motion, order, trade))
        return order

    def end(self, order: VenueOrder, status: Status, at_ms: int) -> VenueOrder:
        """``order`` cancelled or expired."""
        motion = Motion.CANCELED if status is Status.CANCELED else Motion.EXPIRED
        return self.put(replace(order, status=status, updated_ms=at_ms), motion)

    def trigger(self, order: VenueOrder, at_ms: int) -> VenueOrder:
        """A stop that went live as a limit order."""
        return self.put(replace(order, triggered=True, updated_ms=at_ms, working_ms=at_ms), Motion.TRIGGERED)

    def track(self, order: VenueOrder, best: Decimal, at_ms: int) -> VenueOrder:
        """A trailing stop with the best price it has seen, which starts its following of the market."""
        after = replace(order, best=best, trail_ms=order.trail_ms if order.best else at_ms)
        self.live[order.order_id] = after
        self._tracked = True
        return after

    def fill(
        self, order: VenueOrder, parts: list[tuple[Decimal, Decimal]], maker: bool, terms: Terms, at_ms: int
    ) -> VenueOrder:
        """``order`` after one execution in ``parts`` of (quantity, price)."""
        for qty, price in parts:
            order = self.trade(order, qty, price, maker, terms, at_ms)
        return order

    def trade(
        self, order: VenueOrder, qty: Decimal, price: Decimal, maker: bool, terms: Terms, at_ms: int
    ) -> VenueOrder:
        """``order`` after one execution of ``qty`` (<= remaining) at ``price``."""
        bnb = self.balances.get("BNB", NOTHING)
        fee_asset, fee = terms.fees.charge(terms.instrument, order.side, qty, price, maker, bnb)
        order = self._settle(order, qty, price, terms)
        self._credit(fee_asset, -fee)
        trade = VenueTrade(
            trade_id=self._next_trade,
            order_id=order.order_id,
            list_id=order.list_id,
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            fee=fee,
            fee_asset=fee_asset,
            at_ms=at_ms,
            maker=maker,
        )
        self._next_trade += 1
        filled = order.filled_qty + qty
        status = Status.FILLED if filled == order.qty else Status.PARTIALLY_FILLED
        quote = order.filled_quote + qty * price
        after = replace(order, filled_qty=filled, filled_quote=quote, status=status, updated_ms=at_ms)
        return self.put(after, Motion.TRADE, trade)

    def _settle(self, order: VenueOrder, qty: Decimal, price: Decimal, terms: Terms) -> VenueOrder:
        """The hold pays, the other asset comes in."""
        buying = order.side is Side.BUY
        paid = qty * price if buying else qty
        asset = order.held_asset
        balance = self.balances[asset]
        self.balances[asset] = Balance(balance.free, balance.locked - paid)
        self._credit(*((terms.instrument.base, qty) if buying else (terms.instrument.quote, qty * price)))
        after = replace(order, held=order.held - paid)
        left = order.remaining - qty
        # a market buy holds exactly its cost; a limit buy holds its limit price for what is left
        needed = min(left * order.price if buying else left, after.held)
        return self.loosen(after, needed) if order.price else after

    def _credit(self, asset: str, amount: Decimal) -> None:
        balance = self.balances.get(asset, NOTHING)
        self.balances[asset] = Balance(balance.free + amount, balance.locked)

    # lists ---------------------------------------------------------------------------------------------------------

    def others(self, order: VenueOrder) -> list[VenueOrder]:
        """Live orders of the same list."""
        if order.list_id == NO_LIST:
            return []
        return [o for o in self.live.values() if o.list_id == order.list_id and o.order_id != order.order_id]

    def take_hold_of(self, order: VenueOrder, sister: VenueOrder) -> tuple[VenueOrder, VenueOrder]:
        """Both legs after the whole shared hold went to ``order``, cut to what it needs."""
        merged = replace(order, held=order.held + sister.held)
        emptied = replace(sister, held=ZERO)
        merged = self.loosen(merged, min(need(merged), merged.held))
        self.live[merged.order_id] = merged
        self.live[emptied.order_id] = emptied
        return merged, emptied

    def begin_list(self, orders: OrderList) -> None:
        """A list now exists."""
        self.lists[orders.list_id] = orders
        self.moves.append(ListMove(orders))

    def close_list(self, order: VenueOrder) -> None:
        """End the order's list if none of its orders lives any more."""
        if order.list_id in self.lists and not any(o.list_id == order.list_id for o in self.live.values()):
            ended = replace(self.lists.pop(order.list_id), done=True)
            self.moves.append(ListMove(ended))


def need(order: VenueOrder) -> Decimal:
    """What must be locked for the rest of a priced order, in its held asset."""
    return order.remaining * order.price if order.side is Side.BUY else order.remaining


def within(order: VenueOrder, price: Decimal) -> Decimal:
    """``price``, but never worse than the order's own limit."""
    return min(price, order.price) if order.side is Side.BUY else max(price, order.price)


def parts_of(
    order: VenueOrder, qty: Decimal, price: Decimal, maker: bool, terms: Terms
) -> list[tuple[Decimal, Decimal]]:
    """Trades of (quantity, price) that ``qty`` around ``price`` comes in; who takes pays a tick more for each."""
    pieces = terms.fills.pieces(qty, terms.instrument.lot, f"{order.order_id}:{order.filled_qty}")
    if maker:
        return [(piece, price) for piece in pieces]
    tick = terms.instrument.tick if order.side is Side.BUY else -terms.instrument.tick
    prices = [max(price + tick * i, terms.instrument.tick) for i in range(len(pieces))]
    return [(piece, within(order, each) if order.price else each) for piece, each in zip(pieces, prices, strict=True)]
