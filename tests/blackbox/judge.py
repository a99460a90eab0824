"""What came of a round, judged by the exchange's own account: each violation as its kind and one line of evidence.

Rule 1: a client is judged by what it did at the exchange and by its books, however it keeps them.
Rule 2: while something may still arrive, a difference is no violation; what is left when nothing moves any more is one.

kind           what is found
doubled        a symbol is bought again while it is held, a client id executed twice, one intent bought twice
oversold       more was sold than was bought
lost           the exchange has an order or a trade of the client that the client's books do not have
invented       the books have a trade that the exchange never had
unknown        the books do not know what became of an order
stuck          an order's end in the books is not its end at the exchange
unprotected    what is held has no live stop at the exchange, and the owner does not know
money          an asset's total in the books is not the exchange's
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
LIVE = frozenset({"NEW", "PARTIALLY_FILLED"})
STOPS = frozenset({"STOP_LOSS_LIMIT", "STOP_LOSS"})
DUST = Decimal(8)  # quote units: nothing below the minimum notional, and some room, can be sold
SHARE_MOST = Decimal("0.01")
IN_DOUBT = frozenset({"PLANNED", "MAYBE_SENT"})
NEVER = frozenset({"REJECTED", "ABSENT"})
FATES: Mapping[str, frozenset[str]] = {
    "OPEN": frozenset({"NEW", "PENDING_NEW", "PARTIALLY_FILLED"}),
    "PARTIAL": frozenset({"PARTIALLY_FILLED"}),
    "FILLED": frozenset({"FILLED"}),
    "CANCELED": frozenset({"CANCELED", "EXPIRED"}),
    "EXPIRED": frozenset({"CANCELED", "EXPIRED"}),
}
Trade = tuple[str, str, Decimal, Decimal, Decimal, str]
Finding = tuple[str, str]
Truth = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Booked:
    """One order in a client's books: its state by the program's names, and how much of it is filled."""

    state: str
    filled: Decimal
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Books:
    """What a client believes: orders by client id, trades as (symbol, id, qty, price, fee, fee asset), totals by asset.

    ``told`` holds the symbols of which the owner knows that they are without protection.
    """

    orders: Mapping[str, Booked]
    trades: frozenset[Trade]
    totals: Mapping[str, Decimal]
    told: frozenset[str] = frozenset()


@dataclass(slots=True)
class Held:
    """What of one symbol a client bought and has not sold."""

    qty: Decimal = ZERO
    price: Decimal = ZERO
    buyer: str = ""
    worth: Decimal = field(default=ZERO)


def findings(truth: Truth, books: Books) -> list[Finding]:
    """Every violation, as (kind, evidence)."""
    return [
        *_doubled(truth),
        *_orders(truth, books),
        *_trades(truth, books),
        *_unprotected(truth, books),
        *_money(truth, books),
    ]


def coarse(truth: Truth, believed: Mapping[str, Decimal]) -> list[Finding]:
    """The violations of a client that keeps no orders and trades: ``believed`` is how much it thinks to hold."""
    found = [*_doubled(truth), *_unprotected(truth, Books({}, frozenset(), {}))]
    real = held(truth)
    for symbol in sorted(real.keys() | believed.keys()):
        there, here = real.get(symbol, Held()), believed.get(symbol, ZERO)
        most = max(there.qty, here)
        if abs(there.qty - here) > most * SHARE_MOST and most * there.price > DUST:
            found.append(("lost", f"{symbol}: {here} in the books, {there.qty} bought and not sold"))
    return found


def foreign(client_id: str) -> bool:
    """Whether an order was made by hand in the exchange's own window."""
    return client_id.startswith("web_")


def _ours(truth: Truth) -> list[Mapping[str, Any]]:
    return [order for order in truth["orders"] if not foreign(order["clientOrderId"])]


def held(truth: Truth) -> dict[str, Held]:
    """What the client's own trades left in each symbol, fees in the base asset taken off."""
    left: dict[str, Held] = defaultdict(Held)
    for trade in truth["trades"]:
        if foreign(trade["clientOrderId"]):
            continue
        _move(left[trade["symbol"]], trade)
    return left


def _move(place: Held, trade: Mapping[str, Any]) -> None:
    qty, price = Decimal(trade["qty"]), Decimal(trade["price"])
    fee = Decimal(trade["commission"]) if trade["symbol"].startswith(trade["commissionAsset"]) else ZERO
    place.qty += (qty if trade["isBuyer"] else -qty) - fee
    place.price = price
    place.worth = place.qty * price


def _doubled(truth: Truth) -> Iterator[Finding]:
    """Bought while held, by another order than the one that bought what is held; sold beyond what was bought."""
    left: dict[str, Held] = defaultdict(Held)
    executed: dict[str, int] = {}
    for trade in truth["trades"]:
        name, symbol = trade["clientOrderId"], trade["symbol"]
        if foreign(name):
            continue
        place = left[symbol]
        if executed.setdefault(name, trade["orderId"]) != trade["orderId"]:
            yield "doubled", f"{name} executed as order {executed[name]} and as {trade['orderId']}"
        if trade["isBuyer"]:
            if place.worth > DUST and place.buyer != str(trade["orderId"]):
                yield "doubled", f"{symbol}: {place.qty} held by order {place.buyer}, bought again as {name}"
            place.buyer = str(trade["orderId"])
        _move(place, trade)
        if place.qty < ZERO:
            yield "oversold", f"{symbol}: {-place.qty} more sold than bought, the last by {name}"
            place.qty = ZERO


def _orders(truth: Truth, books: Books) -> Iterator[Finding]:
    real = {order["clientOrderId"]: order for order in _ours(truth)}
    for name, order in real.items():
        if name not in books.orders:
            yield "lost", f"{name} is at the exchange ({order['status']}), not in the books"
    never = {_intent(n) for n, o in books.orders.items() if o.state in NEVER and o.purpose == "ENTRY"}
    for name, booked in books.orders.items():
        there = real.get(name)
        if booked.state in IN_DOUBT:
            yield "unknown", f"{name} is {booked.state} in the books, {_fate(there)} at the exchange"
        elif there is None:
            # the legs of an entry that never was ended with it
            if booked.state not in NEVER and not (booked.state == "EXPIRED" and _intent(name) in never):
                yield "invented", f"{name} is {booked.state} in the books, the exchange never had it"
        elif not _agree(booked, there):
            yield "stuck", f"{name} is {booked.state} ({booked.filled}) in the books, {_fate(there)} at the exchange"


def _agree(booked: Booked, there: Mapping[str, Any]) -> bool:
    return there["status"] in FATES.get(booked.state, ()) and Decimal(there["executedQty"]) == booked.filled


def _fate(there: Mapping[str, Any] | None) -> str:
    return f"{there['status']} ({Decimal(there['executedQty']).normalize():f})" if there else "nothing"


def _intent(client_id: str) -> str:
    return client_id.rpartition("-")[0]


def _trades(truth: Truth, books: Books) -> Iterator[Finding]:
    real = {
        (
            trade["symbol"],
            str(trade["id"]),
            Decimal(trade["qty"]),
            Decimal(trade["price"]),
            Decimal(trade["commission"]),
            trade["commissionAsset"],
        ): trade["clientOrderId"]
        for trade in truth["trades"]
    }
    for missing in sorted(real.keys() - books.trades):
        yield "lost", f"trade {missing[:4]} of {real[missing]} is not in the books"
    for more in sorted(books.trades - real.keys()):
        yield "invented", f"trade {more[:4]} is in the books alone"


def _unprotected(truth: Truth, books: Books) -> Iterator[Finding]:
    stops: dict[str, Decimal] = defaultdict(Decimal)
    for order in _ours(truth):
        if order["status"] in LIVE and order["type"] in STOPS:
            stops[order["symbol"]] += Decimal(order["origQty"]) - Decimal(order["executedQty"])
    for symbol, place in held(truth).items():
        account = truth["balances"].get(symbol.removesuffix("USDT"), {"free": "0", "locked": "0"})
        have = min(place.qty, Decimal(account["free"]) + Decimal(account["locked"]))
        bare = have - stops[symbol]
        if bare * place.price > DUST and bare > have * SHARE_MOST and symbol not in books.told:
            yield "unprotected", f"{symbol}: {have} held, a live stop for {stops[symbol]}"


def _money(truth: Truth, books: Books) -> Iterator[Finding]:
    real = {a: Decimal(b["free"]) + Decimal(b["locked"]) for a, b in truth["balances"].items()}
    for asset in sorted(real.keys() | books.totals.keys()):
        if real.get(asset, ZERO) != books.totals.get(asset, ZERO):
            yield "money", f"{asset}: {books.totals.get(asset, ZERO)} in the books, {real.get(asset, ZERO)} there"
