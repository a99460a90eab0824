"""Our orders as Binance wants them said.

Rule 1: every order carries our own client id; without one the library would put its own mark there.
Rule 2: numbers are written out in full, exactly as the Decimal has them.
Rule 3: a market order has a quantity and nothing else: with a price it would become an amount of money to spend.
Rule 4: every order of a list has its own name, and so has the list: whatever is lost, each can be asked for.
Rule 5: an order that trails names no trigger of its own: the exchange sets it, from the price of the moment it stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
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
    return {**params, **_prices(order)}


def pair_params(stop: Order, target: Order) -> dict[str, str]:
    """What to send for a stop and a target that cancel each other. Raises Refused when they are no such pair."""
    _check_pair(stop, target)
    return {
        "symbol": stop.symbol,
        "side": stop.side.value,
        "quantity": plain(stop.qty),
        "listClientOrderId": list_id_of(stop.client_id, target.client_id),
        "newOrderRespType": "RESULT",
        **_legs(stop, target, "above", "below"),
    }


def bracket_params(entry: Order, stop: Order, target: Order) -> dict[str, str]:
    """What to send for an entry whose full fill places its stop and target. Raises Refused when they do not belong.

    The pair may be smaller than the entry, by what the fee will take, never larger.
    """
    _check_pair(stop, target)
    around = entry.symbol == stop.symbol and entry.side is not stop.side and entry.qty >= stop.qty
    if not around or entry.kind is not OrderKind.LIMIT:
        raise Refused(f"{entry.client_id} is no entry that {stop.client_id} can protect", "NO_BRACKET")
    return {
        "symbol": entry.symbol,
        "listClientOrderId": list_id_of(entry.client_id, stop.client_id, target.client_id),
        "newOrderRespType": "RESULT",
        **_leg("working", entry),
        "workingSide": entry.side.value,
        "workingQuantity": plain(entry.qty),
        "pendingSide": stop.side.value,
        "pendingQuantity": plain(stop.qty),
        **_legs(stop, target, "pendingAbove", "pendingBelow"),
    }


def list_id_of(*client_ids: str) -> str:
    """The list's own client id, the same for the same orders; 26 characters."""
    return "p-" + hashlib.blake2b(" ".join(client_ids).encode(), digest_size=12).hexdigest()


def _check_pair(stop: Order, target: Order) -> None:
    same = (stop.symbol, stop.side, stop.qty) == (target.symbol, target.side, target.qty)
    if not same or stop.kind is not OrderKind.STOP_LOSS_LIMIT or target.kind not in _PRICED - {stop.kind}:
        raise Refused(f"{stop.client_id} and {target.client_id} are no pair of a stop and a target", "NO_PAIR")


def _legs(stop: Order, target: Order, above: str, below: str) -> Mapping[str, str]:
    """Who sells wants more above and cuts losses below; who buys back, the other way round."""
    places = (below, above) if stop.side is Side.SELL else (above, below)
    # a LIMIT target would be refused in a list, where only a LIMIT_MAKER rests
    kind = OrderKind.LIMIT_MAKER if target.kind is OrderKind.LIMIT else target.kind
    return {**_leg(places[0], stop), **_leg(places[1], replace(target, kind=kind))}


def _leg(place: str, order: Order) -> Mapping[str, str]:
    prices = {f"{place}{name[0].upper()}{name[1:]}": text for name, text in _prices(order).items()}
    return {f"{place}Type": order.kind.value, f"{place}ClientOrderId": order.client_id, **prices}


def _prices(order: Order) -> dict[str, str]:
    """Price, trigger, trailing distance and duration: those of them that this kind of order knows."""
    said: dict[str, str] = {}
    if order.kind in _PRICED:
        said["price"] = plain(_needed(order, order.price))
    if order.kind in _STOPPED:
        trails = order.trail_bips > 0
        said |= (
            {"trailingDelta": str(order.trail_bips)}
            if trails
            else {"stopPrice": plain(_needed(order, order.stop_price))}
        )
    if order.kind in _TIMED:
        said["timeInForce"] = order.tif.value
    return said


def _needed(order: Order, price: Decimal | None) -> Decimal:
    if price is None:
        raise Refused(f"{order.client_id} lacks a price that a {order.kind.value} order needs", "NO_PRICE")
    return price
