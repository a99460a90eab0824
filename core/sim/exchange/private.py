"""Requests about our account: orders, lists, trades, balances.

Rule 1: every change goes through the exchange's own ``submit``, ``submit_list`` and ``cancel``.
Rule 2: what was refused by the matching engine is answered with its code; nothing has changed then.
"""

from __future__ import annotations

from typing import TypeVar

from core.decide.venue import Move, Moves, OrderList, Placement, VenueOrder
from core.domain.orders import OrderKind
from core.sim.exchange import asks, show
from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params
from core.sim.exchange.world import SimExchange

PAGE = 500
PAGE_MOST = 1000
T = TypeVar("T")
FULL_BY_DEFAULT = (OrderKind.MARKET, OrderKind.LIMIT)


def _next_name(ex: SimExchange) -> str:
    """The client id of an order whose client named none."""
    return f"sim-{ex.venue.next_order_id}"


def new_order(ex: SimExchange, q: Params) -> object:
    """Place an order."""
    ask = asks.read_order(q, ex.market.symbols, _next_name(ex))
    moves = ex.submit(ask)
    return _answer(q, ask, moves)


def test_order(ex: SimExchange, q: Params) -> object:
    """Check an order and place nothing."""
    ex.submit(asks.read_order(q, ex.market.symbols, _next_name(ex)), test_only=True)
    return {}


def _answer(q: Params, ask: Placement, moves: Moves) -> show.Json:
    order = [m.order for m in moves if isinstance(m, Move)][-1]
    default = "FULL" if ask.kind in FULL_BY_DEFAULT else "ACK"
    wanted = q.optional("newOrderRespType", default)
    if wanted == "FULL":
        return show.full(order, moves)
    return show.result(order) if wanted == "RESULT" else show.ack(order)


def _named_order(ex: SimExchange, q: Params, error: str) -> VenueOrder:
    """The order that ``orderId`` or ``origClientOrderId`` names."""
    symbol = q.symbol(ex.market.symbols)
    if not (q.has("orderId") or q.has("origClientOrderId")):
        raise fail("either", one="origClientOrderId", other="orderId")
    ex.now_ms()
    found = ex.history.order(symbol, q.optional_number("orderId"), q.optional("origClientOrderId"))
    if found is None:
        raise fail(error)
    return next((o for o in ex.venue.open.get(symbol, ()) if o.order_id == found.order_id), found)


def get_order(ex: SimExchange, q: Params) -> object:
    """One order."""
    return show.order_view(_named_order(ex, q, "no_order"))


def cancel_order(ex: SimExchange, q: Params) -> object:
    """Cancel an order; a leg takes its list with it."""
    order = _named_order(ex, q, "cancel")
    if not order.live:
        raise fail("cancel")
    moves = ex.cancel(order.symbol, order.client_id)
    return _cancel_views(moves, q.optional("newClientOrderId", f"cancel-{order.order_id}"))[0]


def _cancel_views(moves: Moves, request_id: str) -> list[show.Json]:
    """Cancelled orders one by one, and those of a list as that list."""
    views: list[show.Json] = []
    for move in moves:
        if not isinstance(move, Move):
            ended = [m.order for m in moves if isinstance(m, Move)]
            views.append(show.list_canceled(move.orders, ended, request_id))
        elif move.order.list_id < 0:
            views.append(show.canceled(move.order, request_id))
    return views


def open_orders(ex: SimExchange, q: Params) -> object:
    """Open orders of a symbol or of all."""
    ex.now_ms()
    symbols = [q.symbol(ex.market.symbols)] if q.has("symbol") else list(ex.market.symbols)
    return [show.order_view(o) for symbol in symbols for o in ex.venue.open.get(symbol, ())]


def cancel_open_orders(ex: SimExchange, q: Params) -> object:
    """Cancel every open order of a symbol."""
    symbol = q.symbol(ex.market.symbols)
    ex.now_ms()
    views: list[show.Json] = []
    while orders := ex.venue.open.get(symbol, ()):
        moves = ex.cancel(symbol, orders[0].client_id)
        views += _cancel_views(moves, f"cancel-{orders[0].order_id}")
    if not views:
        raise fail("cancel")
    return views


def all_orders(ex: SimExchange, q: Params) -> object:
    """Orders of a symbol: from an id, within a time, or the newest."""
    symbol = q.symbol(ex.market.symbols)
    ex.now_ms()
    orders = [o for o in ex.history.of_symbol(symbol) if o.order_id >= q.number("orderId", 0)]
    orders = [o for o in orders if _within(q, o.placed_ms)]
    return [show.order_view(o) for o in _page(q, orders, "orderId")]


def my_trades(ex: SimExchange, q: Params) -> object:
    """Our trades of a symbol: from an id, of an order, within a time, or the newest."""
    symbol = q.symbol(ex.market.symbols)
    ex.now_ms()
    order_id = q.optional_number("orderId")
    found = [t for t in ex.history.trades(symbol, q.number("fromId", 0)) if _within(q, t.at_ms)]
    if order_id is not None:
        found = [t for t in found if t.order_id == order_id]
    return [show.trade_view(t) for t in _page(q, found, "fromId")]


def _within(q: Params, at_ms: int) -> bool:
    return q.number("startTime", 0) <= at_ms <= q.number("endTime", 1 << 62)


def _page(q: Params, found: list[T], from_name: str) -> list[T]:
    """At most ``limit``: the first ones where a beginning was named, else the newest."""
    limit = max(q.number("limit", PAGE, most=PAGE_MOST), 1)
    return found[:limit] if q.has(from_name) or q.has("startTime") else found[-limit:]


def account(ex: SimExchange, q: Params) -> object:
    """Balances and rights."""
    now_ms = ex.now_ms()
    assets = {a for s in ex.market.symbols for a in (ex.terms(s).instrument.base, ex.terms(s).instrument.quote)}
    balances = ex.venue.balances
    shown = sorted(set(balances) if q.optional("omitZeroBalances") == "true" else assets | set(balances))
    fees = ex.terms(ex.market.symbols[0]).fees
    rates = {
        "maker": show.num(fees.maker),
        "taker": show.num(fees.taker),
        "buyer": show.num(0.0),
        "seller": show.num(0.0),
    }
    return {
        "makerCommission": int(fees.maker * 10_000),
        "takerCommission": int(fees.taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates,
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [_balance_view(ex, asset) for asset in shown],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def _balance_view(ex: SimExchange, asset: str) -> show.Json:
    held = ex.venue.balances.get(asset)
    free, locked = (held.free, held.locked) if held else (0.0, 0.0)
    return {"asset": asset, "free": show.num(free), "locked": show.num(locked)}


def api_restrictions(ex: SimExchange, q: Params) -> object:
    """What the key may do."""
    return {"createTime": ex.tape.market.first_ms, **ex.rights}


# lists ---------------------------------------------------------------------------------------------------------------


def new_oco(ex: SimExchange, q: Params) -> object:
    """Place a pair of which one cancels the other."""
    return _new_list(ex, ex.submit_list(asks.read_oco(q, ex.market.symbols, _next_name(ex))))


def new_oto(ex: SimExchange, q: Params) -> object:
    """Place an order that places another."""
    return _new_list(ex, ex.submit_list(asks.read_oto(q, ex.market.symbols, _next_name(ex))))


def new_otoco(ex: SimExchange, q: Params) -> object:
    """Place an order that places a pair."""
    return _new_list(ex, ex.submit_list(asks.read_otoco(q, ex.market.symbols, _next_name(ex))))


def _new_list(ex: SimExchange, moves: Moves) -> show.Json:
    lists = [m.orders for m in moves if not isinstance(m, Move)]
    return _list_answer(ex, lists[-1])


def _list_answer(ex: SimExchange, orders: OrderList) -> show.Json:
    return show.list_result(orders, [ex.history.orders[i] for i in orders.order_ids])


def _named_list(ex: SimExchange, q: Params, client_name: str) -> OrderList:
    if not (q.has("orderListId") or q.has(client_name)):
        raise fail("either", one=client_name, other="orderListId")
    ex.now_ms()
    found = ex.history.order_list(q.optional_number("orderListId"), q.optional(client_name))
    if found is None:
        raise fail("no_list")
    return found


def get_list(ex: SimExchange, q: Params) -> object:
    """One list."""
    return show.list_view(_named_list(ex, q, "origClientOrderId"))


def cancel_list(ex: SimExchange, q: Params) -> object:
    """Cancel a whole list."""
    found = _named_list(ex, q, "listClientOrderId")
    live = [ex.history.orders[i] for i in found.order_ids if ex.history.orders[i].live]
    if not live:
        raise fail("cancel")
    moves = ex.cancel(found.symbol, live[0].client_id)
    return _cancel_views(moves, q.optional("newClientOrderId", f"cancel-{live[0].order_id}"))[0]


def open_lists(ex: SimExchange, q: Params) -> object:
    """Lists that are not done."""
    ex.now_ms()
    return [show.list_view(o) for o in ex.venue.lists.values()]


def all_lists(ex: SimExchange, q: Params) -> object:
    """Every list there ever was, the newest ``limit``."""
    ex.now_ms()
    return [show.list_view(o) for o in _page(q, list(ex.history.lists.values()), "fromId")]
