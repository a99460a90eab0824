"""Order lifecycle as one table.

Rule 1: every legal transition stands in TRANSITIONS; nothing else changes an order's state.
Rule 2: this file knows nothing of exchanges, clocks or storage.
Rule 3: a happening that arrives late for a finished order changes nothing.
Rule 4: not knowing never overrules knowing: UNKNOWN and ABSENT move only an order that nothing is proven of.
Rule 5: the exchange's word counts even against its earlier word: money that moved is booked, whatever was said before.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from core.domain.errors import InvariantBroken
from core.domain.orders import Fill, Order, OrderState


class Happening(StrEnum):
    """What can happen to an order."""

    ACCEPTED = "ACCEPTED"
    PARTLY_FILLED = "PARTLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    ABSENT = "ABSENT"


S = OrderState
H = Happening

_UNSENT = {
    H.ACCEPTED: S.OPEN,
    H.PARTLY_FILLED: S.PARTIAL,
    H.FILLED: S.FILLED,
    H.CANCELED: S.CANCELED,
    H.EXPIRED: S.EXPIRED,
    H.REJECTED: S.REJECTED,
    H.UNKNOWN: S.MAYBE_SENT,
    H.ABSENT: S.ABSENT,
}
_WORKING = {
    H.ACCEPTED: S.OPEN,
    H.PARTLY_FILLED: S.PARTIAL,
    H.FILLED: S.FILLED,
    H.CANCELED: S.CANCELED,
    H.EXPIRED: S.EXPIRED,
}
# a cancel and a fill can cross on the wire: the fill is money and is booked, the end stays the end
_ENDED_EARLY = {H.PARTLY_FILLED, H.FILLED, H.CANCELED, H.EXPIRED, H.ACCEPTED}

_PROVEN = (S.OPEN, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED)

TRANSITIONS: dict[tuple[OrderState, Happening], OrderState] = {
    **{(S.PLANNED, h): s for h, s in _UNSENT.items()},
    **{(S.MAYBE_SENT, h): s for h, s in _UNSENT.items()},
    **{(S.OPEN, h): s for h, s in _WORKING.items()},
    **{(S.PARTIAL, h): s for h, s in _WORKING.items()},
    (S.PARTIAL, H.ACCEPTED): S.PARTIAL,
    # a reply can be lost, and a second sending refused, after the order has already been proven to be there
    **{(s, h): s for s in _PROVEN for h in (H.UNKNOWN, H.ABSENT, H.REJECTED)},
    # an order given up as absent may still turn out to exist: it is adopted
    **{(S.ABSENT, h): s for h, s in _WORKING.items()},
    (S.ABSENT, H.ABSENT): S.ABSENT,
    (S.ABSENT, H.UNKNOWN): S.ABSENT,
    (S.ABSENT, H.REJECTED): S.REJECTED,
    (S.FILLED, H.ACCEPTED): S.FILLED,
    (S.FILLED, H.FILLED): S.FILLED,
    (S.FILLED, H.CANCELED): S.FILLED,
    (S.FILLED, H.EXPIRED): S.FILLED,
    **{(S.CANCELED, h): S.CANCELED for h in _ENDED_EARLY},
    **{(S.EXPIRED, h): S.EXPIRED for h in _ENDED_EARLY},
    **{(S.REJECTED, h): s for h, s in _WORKING.items()},
}


def move(order: Order, happening: Happening, *, exchange_id: str = "", list_id: str = "", reason: str = "") -> Order:
    """``order`` after ``happening``. Raises InvariantBroken where the table has no such transition."""
    after = TRANSITIONS.get((order.state, happening))
    if after is None:
        raise InvariantBroken(f"Order {order.client_id} is {order.state} and cannot be {happening}")
    why = reason if reason and after is not order.state else order.reason
    number, group = exchange_id or order.exchange_id, list_id or order.list_id
    return replace(order, state=after, exchange_id=number, list_id=group, reason=why)


def fill(order: Order, trade: Fill) -> Order:
    """``order`` after one of its trades; the same trade again changes nothing."""
    if trade.trade_id in order.trade_ids:
        return order
    filled = order.filled_qty + trade.qty
    counted = replace(
        order,
        filled_qty=filled,
        filled_quote=order.filled_quote + trade.quote_qty,
        trade_ids=(*order.trade_ids, trade.trade_id),
    )
    return move(counted, H.FILLED if filled >= order.qty else H.PARTLY_FILLED)
