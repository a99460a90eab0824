"""How orders, trades and lists look on the wire: Binance's field names, numbers as text with 8 decimals.

Rule 1: pure: values in, plain dicts out.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.decide.venue import NO_LIST, Move, Moves, OrderList, VenueOrder, VenueTrade
from core.domain.orders import Side

Json = dict[str, object]


def num(value: Decimal | float) -> str:
    """A number as the exchange prints it."""
    return f"{value:.8f}"


def ack(order: VenueOrder) -> Json:
    """The shortest answer to a new order."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ms,
    }


def _state(order: VenueOrder) -> Json:
    shown: Json = {
        "price": num(order.price),
        "origQty": num(order.qty),
        "executedQty": num(order.filled_qty),
        "origQuoteOrderQty": num(order.quote_qty),
        "cummulativeQuoteQty": num(order.filled_quote),
        "status": order.status.value,
        "timeInForce": order.tif.value,
        "type": order.kind.value,
        "side": order.side.value,
        "workingTime": order.working_ms,
        "selfTradePreventionMode": "NONE",
    }
    if order.stop_price:
        shown["stopPrice"] = num(order.stop_price)
    if order.trail_bips:
        shown |= {"trailingDelta": order.trail_bips, "trailingTime": order.trail_ms}
    return shown


def result(order: VenueOrder) -> Json:
    """The answer with the order's state."""
    return {**ack(order), **_state(order)}


def full(order: VenueOrder, moves: Moves) -> Json:
    """The answer with the order's state and its fills."""
    trades = [m.trade for m in moves if isinstance(m, Move) and m.trade and m.order.order_id == order.order_id]
    return {**result(order), "fills": [_fill(t) for t in trades]}


def _fill(trade: VenueTrade) -> Json:
    return {
        "price": num(trade.price),
        "qty": num(trade.qty),
        "commission": num(trade.fee),
        "commissionAsset": trade.fee_asset,
        "tradeId": trade.trade_id,
    }


def order_view(order: VenueOrder) -> Json:
    """An order as the reading requests show it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        **_state(order),
        "stopPrice": num(order.stop_price),
        "icebergQty": num(0.0),
        "time": order.placed_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms >= 0,
    }


def canceled(order: VenueOrder, request_id: str) -> Json:
    """The answer to a cancellation."""
    return {**result(order), "origClientOrderId": order.client_id, "clientOrderId": request_id}


def trade_view(trade: VenueTrade) -> Json:
    """One of our trades."""
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "orderId": trade.order_id,
        "orderListId": trade.list_id,
        "price": num(trade.price),
        "qty": num(trade.qty),
        "quoteQty": num(trade.qty * trade.price),
        "commission": num(trade.fee),
        "commissionAsset": trade.fee_asset,
        "time": trade.at_ms,
        "isBuyer": trade.side is Side.BUY,
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def list_view(orders: OrderList) -> Json:
    """An order list."""
    pairs = zip(orders.order_ids, orders.client_ids, strict=True)
    return {
        "orderListId": orders.list_id,
        "contingencyType": orders.kind.value,
        "listStatusType": "ALL_DONE" if orders.done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if orders.done else "EXECUTING",
        "listClientOrderId": orders.client_id,
        "transactionTime": orders.at_ms,
        "symbol": orders.symbol,
        "orders": [{"symbol": orders.symbol, "orderId": i, "clientOrderId": c} for i, c in pairs],
    }


def list_result(orders: OrderList, members: Iterable[VenueOrder]) -> Json:
    """The answer to a new list."""
    return {**list_view(orders), "orderReports": [result(o) for o in members]}


def list_canceled(orders: OrderList, members: Iterable[VenueOrder], request_id: str) -> Json:
    """The answer to a cancelled list: the orders that this request ended."""
    return {**list_view(orders), "orderReports": [canceled(o, request_id) for o in members]}


def execution_report(move: Move, at_ms: int) -> Json:
    """The user stream's event for one move of one order."""
    order, trade = move.order, move.trade
    trailing: Json = {"d": order.trail_bips} if order.trail_bips else {}
    if order.trail_ms >= 0:
        trailing["D"] = order.trail_ms
    last_qty, last_price = (trade.qty, trade.price) if trade else (Decimal(0), Decimal(0))
    return {
        "e": "executionReport", "E": at_ms, "s": order.symbol, "c": order.client_id, "S": order.side.value,
        "o": order.kind.value, "f": order.tif.value, "q": num(order.qty), "p": num(order.price),
        "P": num(order.stop_price), "F": num(0.0), "g": order.list_id, "C": "",
        "x": "NEW" if move.motion == "TRIGGERED" else move.motion.value, "X": order.status.value, "r": "NONE",
        "i": order.order_id, "l": num(last_qty), "z": num(order.filled_qty), "L": num(last_price),
        "n": num(trade.fee) if trade else "0", "N": trade.fee_asset if trade else None, "T": order.updated_ms,
        "t": trade.trade_id if trade else NO_LIST, "I": order.order_id, "w": order.working_ms >= 0 and order.live,
        "m": trade.maker if trade else False, "M": False, "O": order.placed_ms, "Z": num(order.filled_quote),
        "Y": num(last_qty * last_price), "Q": num(order.quote_qty), "W": order.working_ms, "V": "NONE",
        **trailing,
    }  # fmt: skip


def list_status(orders: OrderList, at_ms: int) -> Json:
    """The user stream's event for a list that began or ended."""
    pairs = zip(orders.order_ids, orders.client_ids, strict=True)
    return {
        "e": "listStatus", "E": at_ms, "s": orders.symbol, "g": orders.list_id, "c": orders.kind.value,
        "l": "ALL_DONE" if orders.done else "EXEC_STARTED", "L": "ALL_DONE" if orders.done else "EXECUTING",
        "r": "NONE", "C": orders.client_id, "T": orders.at_ms,
        "O": [{"s": orders.symbol, "i": i, "c": c} for i, c in pairs],
    }  # fmt: skip
