"""Binance's rows as our values.

Rule 1: a number that is money comes from a string; a float is refused, because it has already lost digits.
Rule 2: an answer that lacks something, or holds what cannot be, is BadData naming what was asked for.
Rule 3: a name is short and can be printed; a number has no more digits than a number on an exchange can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.domain.errors import BadData
from core.domain.market import ZERO, Bar, Depth, Quote, from_ms
from core.domain.orders import Fill, OrderKind, OrderState, Side
from core.ports import OrderReport

Row = Mapping[str, Any]
_WHOLE_MAX = 10**18
_NAME_MAX = 64
_DIGITS_MAX = 30  # before the point, and after it
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?")
STATES: Mapping[str, OrderState] = {
    "NEW": OrderState.OPEN,
    "PENDING_NEW": OrderState.OPEN,
    "PENDING_CANCEL": OrderState.OPEN,
    "PARTIALLY_FILLED": OrderState.PARTIAL,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
}
# orders placed by hand may be of kinds we never use; each is shown as the one nearest to it
KINDS: Mapping[str, OrderKind] = {
    **{kind.value: kind for kind in OrderKind},
    "STOP_LOSS": OrderKind.STOP_LOSS_LIMIT,
    "TAKE_PROFIT": OrderKind.TAKE_PROFIT_LIMIT,
}


@contextmanager
def usable(what: str) -> Iterator[None]:
    """Turns the stumbles of reading an odd answer into BadData about ``what``."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise BadData(f"The exchange's answer about {what} cannot be used ({type(error).__name__})") from None


def number(raw: object) -> Decimal:
    """Exactly the finite decimal that was written. Raises ValueError on anything else, floats included."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        raise ValueError("not a number that keeps its digits")
    if isinstance(raw, str) and not _NUMBER.fullmatch(raw):
        raise ValueError("not a plain number")
    value = Decimal(raw)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or value.adjusted() >= _DIGITS_MAX or exponent < -_DIGITS_MAX:
        raise ValueError("not a finite number of a size an exchange has")
    return value


def amount(raw: object) -> Decimal:
    """The same, zero or more."""
    value = number(raw)
    if value < ZERO:
        raise ValueError("below zero")
    return value


def name(raw: object) -> str:
    """The name of a symbol, an asset or an order. Raises ValueError on what is empty, long or cannot be printed."""
    if not isinstance(raw, str) or not 0 < len(raw) <= _NAME_MAX or not raw.isprintable():
        raise ValueError("no name")
    return raw


def truth(raw: object) -> bool:
    """True or false, as such: the word "false" is neither."""
    if not isinstance(raw, bool):
        raise ValueError("neither true nor false")
    return raw


def whole(raw: object) -> int:
    """The integer that was written, as a number or as text, up to a quintillion."""
    value = number(raw)
    if abs(value) > _WHOLE_MAX or value != int(value):
        raise ValueError("not a whole number")
    return int(value)


def bars_of(rows: Sequence[Sequence[Any]], symbol: str, span: timedelta, now_ms: int) -> list[Bar]:
    """The bars of these klines that were complete at ``now_ms`` of the exchange's clock, oldest first."""
    span_ms = span // timedelta(milliseconds=1)
    bars: list[Bar] = []
    with usable(f"the bars of {symbol}"):
        for row in rows:
            open_ms = whole(row[0])
            if open_ms + span_ms > now_ms:
                break
            bar = Bar(symbol, from_ms(open_ms), span, *(number(part) for part in row[1:6]))
            if bars and bar.open_at <= bars[-1].open_at:
                raise BadData(f"The exchange sent the bars of {symbol} out of order")
            bars.append(bar)
    return bars


def quote_of(row: Row, now_ms: int) -> Quote:
    """Best bid and ask; the exchange gives them no time, so it is the moment they were asked for."""
    with usable("quotes"):
        numbers = (amount(row[part]) for part in ("bidPrice", "askPrice", "bidQty", "askQty"))
        return Quote(name(row["symbol"]), from_ms(now_ms), *numbers)


def depth_of(row: Row, symbol: str, levels: int) -> Depth:
    """The order book, ``levels`` deep on each side."""
    with usable(f"the book of {symbol}"):
        sides = ([(amount(price), amount(qty)) for price, qty in row[side][:levels]] for side in ("bids", "asks"))
        bids, asks = (tuple(side) for side in sides)
        return Depth(symbol, bids, asks)


def report_of(row: Row) -> OrderReport:
    """An order as the exchange shows it; an answer without a status only says that the order was taken."""
    with usable("an order"):
        list_id = whole(row.get("orderListId", -1))
        at = row.get("updateTime") or row.get("transactTime") or row.get("time")
        return OrderReport(
            # the answer to a cancel names the order in origClientOrderId
            client_id=name(row.get("origClientOrderId") or row["clientOrderId"]),
            symbol=name(row["symbol"]),
            exchange_id=str(whole(row["orderId"])),
            state=STATES[row.get("status", "NEW")],
            filled_qty=amount(row.get("executedQty", "0")),
            list_id="" if list_id < 0 else str(list_id),
            side=Side(row.get("side", Side.SELL)),
            kind=KINDS.get(str(row.get("type")), OrderKind.MARKET),
            qty=amount(row.get("origQty", "0")),
            price=_price(row, "price"),
            stop_price=_price(row, "stopPrice"),
            trail_bips=whole(row.get("trailingDelta") or 0),
            waiting=row.get("status") == "PENDING_NEW",
            at=None if at is None else from_ms(whole(at)),
            # the exchange writes -1 while a stop still waits for its price
            triggered=row.get("type") == "STOP_LOSS_LIMIT" and whole(row.get("workingTime") or -1) > 0,
        )


def _price(row: Row, part: str) -> Decimal | None:
    """The exchange writes a zero where an order has no such price."""
    return amount(row.get(part) or "0") or None


def fill_of(row: Row, client_id: str) -> Fill:
    """One trade of ours."""
    with usable("our trades"):
        return Fill(
            symbol=name(row["symbol"]),
            trade_id=str(whole(row["id"])),
            client_id=client_id,
            side=Side.BUY if truth(row["isBuyer"]) else Side.SELL,
            qty=amount(row["qty"]),
            price=amount(row["price"]),
            fee=number(row["commission"]),
            fee_asset=name(row["commissionAsset"]),
            at=from_ms(whole(row["time"])),
            maker=truth(row["isMaker"]),
        )


def balances_of(account: Row) -> dict[str, Decimal]:
    """Free and locked together of every asset that is not zero."""
    with usable("balances"):
        totals = {name(row["asset"]): amount(row["free"]) + amount(row["locked"]) for row in account["balances"]}
        return {asset: total for asset, total in totals.items() if total != ZERO}
