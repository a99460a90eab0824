"""From request parameters to what the matching engine is asked for, with the exchange's own complaints.

Rule 1: which parameters an order type needs and which it must not have stands in NEEDS and nowhere else.
Rule 2: which leg of a pair may lie above and which below is said with the exchange's own codes.
Rule 3: legs of lists carry their parameters under a prefix (``above``, ``belowPrice`` …) and are read by the same code.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from core.decide.venue import STOP_KINDS, ListPlacement, Placement
from core.decide.venue_filters import goes_above
from core.domain.orders import OrderKind, Side, Tif
from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params

# kind: (needed beyond quantity, not allowed); a stop needs stopPrice, trailingDelta or both besides
NEEDS: dict[OrderKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    OrderKind.MARKET: ((), ("price", "stopPrice", "timeInForce", "trailingDelta")),
    OrderKind.LIMIT: (("timeInForce", "price"), ("stopPrice", "trailingDelta")),
    OrderKind.LIMIT_MAKER: (("price",), ("stopPrice", "timeInForce", "trailingDelta")),
    OrderKind.STOP_LOSS_LIMIT: (("timeInForce", "price"), ()),
    OrderKind.TAKE_PROFIT_LIMIT: (("timeInForce", "price"), ()),
}
# what a pair may be made of, and how the errors call it
LEGS = {
    OrderKind.LIMIT_MAKER: "limit",
    OrderKind.STOP_LOSS_LIMIT: "stop_loss",
    OrderKind.TAKE_PROFIT_LIMIT: "take_profit",
}


@dataclass(frozen=True, slots=True)
class Names:
    """How one order's parameters are called in a request; ``default_id`` is used where the client gave none."""

    kind: str
    client_id: str
    prefix: str
    quantity: str
    side: str
    default_id: str

    def of(self, name: str) -> str:
        """The request's name for price, stopPrice, trailingDelta or timeInForce."""
        return f"{self.prefix}{name[0].upper()}{name[1:]}" if self.prefix else name


def read_order(q: Params, known: Collection[str], default_id: str) -> Placement:
    """One order as asked for by POST order."""
    names = Names("type", "newClientOrderId", "", "quantity", "side", default_id)
    return _read(q, q.symbol(known), names)


def _read(q: Params, symbol: str, names: Names) -> Placement:
    side = q.choice(names.side, Side, "side")
    kind = q.choice(names.kind, OrderKind, "order_type")
    needed, barred = NEEDS[kind]
    for name in needed:
        q.text(names.of(name))
    q.refuse(*(names.of(name) for name in barred))
    stop, trail = names.of("stopPrice"), names.of("trailingDelta")
    if kind in STOP_KINDS and not (q.has(stop) or q.has(trail)):
        raise fail("either", one=stop, other=trail)
    ask = Placement(
        symbol=symbol,
        side=side,
        kind=kind,
        client_id=q.client_id(names.client_id, names.default_id),
        price=q.optional_decimal(names.of("price")),
        stop_price=q.optional_decimal(stop),
        trail_bips=q.number(trail, 0),
        tif=q.choice(names.of("timeInForce"), Tif, "time_in_force") if "timeInForce" in needed else Tif.GTC,
    )
    return _with_quantity(q, ask, names.quantity)


def _with_quantity(q: Params, ask: Placement, name: str) -> Placement:
    """``ask`` with its base quantity, or for a market order the amount of quote instead."""
    if ask.kind is OrderKind.MARKET and q.has("quoteOrderQty"):
        q.refuse(name)
        return replace(ask, quote_qty=q.decimal("quoteOrderQty"))
    return replace(ask, qty=q.decimal(name))


def read_oco(q: Params, known: Collection[str], default_id: str) -> ListPlacement:
    """Two legs, below first; one cancels the other."""
    symbol = q.symbol(known)
    legs = tuple(_leg(q, symbol, place, "", default_id) for place in ("below", "above"))
    return ListPlacement(q.client_id("listClientOrderId", default_id), legs)


def read_oto(q: Params, known: Collection[str], default_id: str) -> ListPlacement:
    """A working order that places one pending order once it is filled."""
    symbol = q.symbol(known)
    names = Names("pendingType", "pendingClientOrderId", "pending", "pendingQuantity", "pendingSide", f"{default_id}-p")
    pending = _read(q, symbol, names)
    return ListPlacement(q.client_id("listClientOrderId", default_id), (pending,), _working(q, symbol, default_id))


def read_otoco(q: Params, known: Collection[str], default_id: str) -> ListPlacement:
    """A working order that places a pair once it is filled."""
    symbol = q.symbol(known)
    legs = tuple(_leg(q, symbol, place, "pending", default_id) for place in ("below", "above"))
    return ListPlacement(q.client_id("listClientOrderId", default_id), legs, _working(q, symbol, default_id))


def _working(q: Params, symbol: str, default_id: str) -> Placement:
    names = Names("workingType", "workingClientOrderId", "working", "workingQuantity", "workingSide", f"{default_id}-w")
    working = _read(q, symbol, names)
    if working.kind not in (OrderKind.LIMIT, OrderKind.LIMIT_MAKER):
        raise fail("order_type")
    return working


def _leg(q: Params, symbol: str, place: str, group: str, default_id: str) -> Placement:
    """The ``above`` or ``below`` leg, of an OCO itself or of the pending pair of an OTOCO."""
    prefix = f"{group}{place.capitalize()}" if group else place
    quantity, side = (f"{group}Quantity", f"{group}Side") if group else ("quantity", "side")
    names = Names(f"{prefix}Type", f"{prefix}ClientOrderId", prefix, quantity, side, f"{default_id}-{place[0]}")
    leg = _read(q, symbol, names)
    if leg.kind not in LEGS:
        raise fail("leg_type")
    if goes_above(leg.side, leg.kind) != (place == "above"):
        raise fail(_misplaced(leg))
    return leg


def _misplaced(leg: Placement) -> str:
    """The error for a leg on the wrong side of the market."""
    return f"{leg.side.value.lower()}_{LEGS[leg.kind]}"
