"""The judge of the black box: it finds each kind of harm in the smallest account that shows it, else none."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.blackbox import judge
from tests.blackbox.judge import Booked, Books

ENTRY, STOP = "fmxyz-BTCUSDT-s1-e0", "fmxyz-BTCUSDT-s1-s0"


def order(name: str, number: int, side: str, status: str, kind: str = "LIMIT", filled: str = "0") -> dict[str, Any]:
    """One order as the exchange tells it, for one coin."""
    return {
        "clientOrderId": name,
        "orderId": number,
        "symbol": "BTCUSDT",
        "side": side,
        "status": status,
        "type": kind,
        "origQty": "1",
        "executedQty": filled,
    }


def trade(name: str, number: int, buys: bool, qty: str = "1") -> dict[str, Any]:
    """One trade at 100, without a fee."""
    return {
        "clientOrderId": name,
        "orderId": number,
        "id": number,
        "symbol": "BTCUSDT",
        "qty": qty,
        "price": "100",
        "commission": "0",
        "commissionAsset": "BTC",
        "isBuyer": buys,
    }


def bought() -> dict[str, Any]:
    """An exchange where one coin was bought and a stop stands for it."""
    return {
        "orders": [order(ENTRY, 1, "BUY", "FILLED", filled="1"), order(STOP, 2, "SELL", "NEW", "STOP_LOSS_LIMIT")],
        "trades": [trade(ENTRY, 1, True)],
        "balances": {"BTC": {"free": "0", "locked": "1"}, "USDT": {"free": "900", "locked": "0"}},
    }


def booked() -> Books:
    """The books of whoever did that and knows it."""
    return Books(
        {ENTRY: Booked("FILLED", Decimal(1), "ENTRY"), STOP: Booked("OPEN", Decimal(0), "STOP")},
        frozenset({("BTCUSDT", "1", Decimal(1), Decimal(100), Decimal(0), "BTC")}),
        {"BTC": Decimal(1), "USDT": Decimal(900)},
    )


def kinds(truth: dict[str, Any], books: Books) -> set[str]:
    """The kinds of harm that are found."""
    return {kind for kind, _ in judge.findings(truth, books)}


def test_books_that_are_the_exchanges_are_fine():
    """Bought once, protected, known: nothing is found, so that what is found means something."""
    assert judge.findings(bought(), booked()) == []
    assert judge.coarse(bought(), {"BTCUSDT": Decimal(1)}) == []


def test_a_second_buy_of_what_is_held_is_doubled():
    """Two orders under two names for one decision: the harm that retries do."""
    truth = bought()
    truth["trades"].append(trade("fmxyz-BTCUSDT-s1-e1", 3, True))
    assert "doubled" in kinds(truth, booked())


def test_a_client_id_that_executed_twice_is_doubled():
    """A market order that was sent again under its own name: the exchange takes both."""
    truth = bought()
    truth["trades"] += [trade(STOP, 2, False), trade(ENTRY, 3, True)]
    assert "doubled" in kinds(truth, booked())


def test_more_fills_of_one_order_are_not_doubled():
    """One order may fill in many pieces."""
    truth = bought()
    truth["trades"] = [trade(ENTRY, 1, True, "0.4"), trade(ENTRY, 1, True, "0.6")]
    assert "doubled" not in kinds(truth, booked())


def test_a_sale_of_more_than_was_bought_is_oversold():
    """Coins the client never bought are not its to sell."""
    truth = bought()
    truth["trades"].append(trade(STOP, 2, False, "1.5"))
    assert "oversold" in kinds(truth, booked())


@pytest.mark.parametrize("forgotten", [ENTRY, STOP])
def test_an_order_that_the_books_do_not_have_is_lost(forgotten: str):
    """Sent before it was written down, and then forgotten."""
    books = booked()
    orders = {name: of for name, of in books.orders.items() if name != forgotten}
    assert kinds(bought(), replace(books, orders=orders)) == {"lost"}


def test_a_trade_that_the_books_do_not_have_is_lost_and_one_they_alone_have_is_invented():
    """Fills are those of the exchange's ledger, to the last unit of the fee."""
    other = frozenset({("BTCUSDT", "1", Decimal(1), Decimal(100), Decimal("0.001"), "BTC")})
    assert kinds(bought(), replace(booked(), trades=other)) == {"lost", "invented"}


@pytest.mark.parametrize("state", ["PLANNED", "MAYBE_SENT"])
def test_an_order_in_doubt_at_the_end_is_unknown(state: str):
    """Once all had time to settle, nothing is in doubt any more."""
    books = booked()
    orders = {**books.orders, STOP: Booked(state, Decimal(0), "STOP")}
    assert kinds(bought(), replace(books, orders=orders)) == {"unknown"}


@pytest.mark.parametrize("state", ["CANCELED", "FILLED", "PARTIAL", "ABSENT"])
def test_an_order_with_another_end_in_the_books_is_stuck(state: str):
    """What stands at the exchange is not ended in the books."""
    books = booked()
    orders = {**books.orders, STOP: Booked(state, Decimal(0), "STOP")}
    assert kinds(bought(), replace(books, orders=orders)) == {"stuck"}


def test_an_entry_that_was_given_up_and_never_was_there_is_fine_with_its_legs():
    """At most once: an entry in doubt may end as never sent, and its stop and target with it."""
    given_up = {
        "fmxyz-BTCUSDT-s2-e0": Booked("ABSENT", Decimal(0), "ENTRY"),
        "fmxyz-BTCUSDT-s2-s0": Booked("EXPIRED", Decimal(0), "STOP"),
    }
    books = booked()
    assert judge.findings(bought(), replace(books, orders={**books.orders, **given_up})) == []


def test_an_order_that_the_exchange_never_had_is_invented():
    """An open order in the books alone protects nobody."""
    books = booked()
    orders = {**books.orders, "fmxyz-BTCUSDT-s1-s1": Booked("OPEN", Decimal(0), "STOP")}
    assert kinds(bought(), replace(books, orders=orders)) == {"invented"}


def test_what_is_held_without_a_live_stop_is_unprotected_unless_the_owner_knows():
    """A stop that still waits, or was cancelled, protects nothing."""
    truth = bought()
    truth["orders"][1]["status"] = "CANCELED"
    books = booked()
    books = replace(books, orders={**books.orders, STOP: Booked("CANCELED", Decimal(0), "STOP")})
    assert kinds(truth, books) == {"unprotected"}
    assert kinds(truth, replace(books, told=frozenset({"BTCUSDT"}))) == set()


def test_one_unit_more_or_less_is_wrong_money():
    """Ledgers are equal to the last unit of each asset, or they are not."""
    totals = {"BTC": Decimal(1), "USDT": Decimal("900.00000001")}
    assert kinds(bought(), replace(booked(), totals=totals)) == {"money"}


def test_what_the_owner_does_by_hand_is_not_the_clients():
    """An order in the exchange's own window doubles nothing and needs no stop of ours."""
    truth = bought()
    truth["orders"].append(order("web_9", 9, "BUY", "FILLED", "MARKET", "1"))
    truth["trades"].append(trade("web_9", 9, True))
    truth["balances"]["BTC"] = {"free": "1", "locked": "1"}
    books = booked()
    by_hand = books.trades | {("BTCUSDT", "9", Decimal(1), Decimal(100), Decimal(0), "BTC")}
    assert kinds(truth, replace(books, trades=by_hand, totals={**books.totals, "BTC": Decimal(2)})) == set()


@pytest.mark.parametrize("believed", ["0", "2"])
def test_the_control_is_found_out_by_how_much_it_believes_to_hold(believed: str):
    """It keeps no orders and trades to compare, but what it thinks it holds can be wrong."""
    assert {kind for kind, _ in judge.coarse(bought(), {"BTCUSDT": Decimal(believed)})} == {"lost"}
