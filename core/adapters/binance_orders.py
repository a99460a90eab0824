"""Our orders as Binance wants them said.

Rule 1: every order carries our own client id; without one the library would put its own mark there.
Rule 2: numbers are written out in full, exactly as the Decimal has them.
Rule 3: a market order has a quantity and nothing else: with a price it would become an amount of money to spend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal

from core.domain.errors import Refused
from core.domain.orders import Order, OrderKind, Side

_PRICED = frozenset({OrderKind.LIMIT, OrderKind.LIMIT_MAKER, OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT})
_STOPPED = frozenset({OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT})
_TIMED = _PRICED - {OrderKind.LIMIT_MAKER}


def plain(value: Decimal) -> str:
    """``0.00001``, never ``1E-5``."""
    return format(value, "f")


def order_params(order: Order) -> dict[str, str]:
    """What to send for one order. Raises Refused when it lacks a price its kind needs."""
    params = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": order.kind.value,
        "quantity": plain(order.qty),
        "newClientOrderId": order.client_id,
        "newOrderRespType": "RESULT",
    }
    for name, text in _prices(order).items():
        params[name] = text
    return params


def pair_params(stop: Order, target: Order) -> dict[str, str]:
    """What to send for a stop and a target that cancel each other. Raises Refused when they are no such pair."""
    same = (stop.symbol, stop.side, stop.qty) == (target.symbol, target.side, target.qty)
    if not same or stop.kind is not OrderKind.STOP_LOSS_LIMIT or target.kind not in _PRICED - {stop.kind}:
        raise Refused(f"{stop.client_id} and {target.client_id} are no pair of a stop and a target", "NO_PAIR")
    # who sells wants more above and cuts losses below; who buys back, the other way round
    above, below = (target, stop) if stop.side is Side.SELL else (stop, target)
    return {
        "symbol": stop.symbol,
        "side": stop.side.value,
        "quantity": plain(stop.qty),
        "listClientOrderId": list_id_of(stop.client_id, target.client_id),
        "newOrderRespType": "RESULT",
        **_leg("above", above),
        **_leg("below", below),
    }


def list_id_of(stop_id: str, target_id: str) -> str:
    """The pair's own client id, the same for the same two orders; 26 characters."""
    return "p-" + hashlib.blake2b(f"{stop_id} {target_id}".encode(), digest_size=12).hexdigest()


def _leg(place: str, order: Order) -> Mapping[str, str]:
    kind = OrderKind.LIMIT_MAKER if order.kind is OrderKind.LIMIT else order.kind
    prices = {f"{place}{name[0].upper()}{name[1:]}": text for name, text in _prices(order, kind).items()}
    return {f"{place}Type": kind.value, f"{place}ClientOrderId": order.client_id, **prices}


def _prices(order: Order, kind: OrderKind | None = None) -> dict[str, str]:
    kind = kind or order.kind
    wanted = {"price": order.price if kind in _PRICED else None, "stopPrice": order.stop_price}
    if (kind in _PRICED and order.price is None) or (kind in _STOPPED and order.stop_price is None):
        raise Refused(f"{order.client_id} lacks a price that a {kind.value} order needs", "NO_PRICE")
    texts = {name: plain(value) for name, value in wanted.items() if value is not None and _wants(kind, name)}
    return {**texts, "timeInForce": "GTC"} if kind in _TIMED else texts


def _wants(kind: OrderKind, name: str) -> bool:
    return name == "price" or kind in _STOPPED
