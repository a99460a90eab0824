"""What a 200 to a change proves, and what it only seems to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance_proof import proven, proven_cancel, proven_list
from core.domain.errors import OutcomeUnknown
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side

ENTRY = Order(
    "fm-1-e",
    "BTCUSDT",
    Side.BUY,
    OrderKind.LIMIT,
    Purpose.ENTRY,
    Decimal("0.1"),
    datetime(2024, 1, 1, tzinfo=UTC),
    Decimal(9),
)
STOP = replace(ENTRY, client_id="fm-1-s", side=Side.SELL, kind=OrderKind.STOP_LOSS_LIMIT, stop_price=Decimal(8))
TARGET = replace(ENTRY, client_id="fm-1-t", side=Side.SELL, kind=OrderKind.LIMIT_MAKER, price=Decimal(11))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def row(client_id: str, number: int, status: str = "NEW", filled: str = "0.0") -> dict[str, object]:
    """An order in an answer."""
    known = {"symbol": "BTCUSDT", "orderId": number, "orderListId": 3, "clientOrderId": client_id}
    return {**known, "status": status, "executedQty": filled}


def listed(*rows: dict[str, object], **changes: object) -> dict[str, object]:
    """An answer about a list."""
    named = [{"symbol": r["symbol"], "orderId": r["orderId"], "clientOrderId": r["clientOrderId"]} for r in rows]
    status = {"contingencyType": "OTO", "listStatusType": "EXEC_STARTED", "listOrderStatus": "EXECUTING"}
    return {"orderListId": 3, "symbol": "BTCUSDT", **status, "orders": named, "orderReports": [*rows], **changes}


WHOLE = listed(row("fm-1-t", 3), row("fm-1-e", 1, "FILLED", "0.1"), row("fm-1-s", 2))


def test_every_order_of_a_list_is_proven_by_its_own_report() -> None:
    """The entry may be filled in the very answer; the reports come in the order they were asked for."""
    reports = proven_list(WHOLE, (ENTRY, STOP, TARGET))
    assert [r.client_id for r in reports] == ["fm-1-e", "fm-1-s", "fm-1-t"]
    assert [r.state for r in reports] == [OrderState.FILLED, OrderState.OPEN, OrderState.OPEN]


@pytest.mark.parametrize("change", [{"listStatusType": "RESPONSE"}, {"listOrderStatus": "REJECT"}])
def test_a_list_that_only_answers_proves_nothing_though_it_names_our_orders(change: dict[str, object]) -> None:
    """These are the exchange's words for what was not carried out: each order has to be looked up."""
    with pytest.raises(OutcomeUnknown):
        proven_list({**WHOLE, **change}, (ENTRY, STOP, TARGET))
    with pytest.raises(OutcomeUnknown):
        proven_cancel({**WHOLE, **change}, "fm-1-s")


@pytest.mark.parametrize("missing", range(3))
def test_a_list_of_which_one_order_is_not_shown_is_unknown(missing: int) -> None:
    """Two thirds of a proof are none."""
    rows = [row("fm-1-e", 1), row("fm-1-s", 2), row("fm-1-t", 3)]
    with pytest.raises(OutcomeUnknown) as raised:
        proven_list(listed(*rows[:missing], *rows[missing + 1 :]), (ENTRY, STOP, TARGET))
    assert raised.value.client_id == ("fm-1-e", "fm-1-s", "fm-1-t")[missing]


def test_an_answer_about_our_name_on_another_symbol_proves_nothing() -> None:
    """Names are unique among the open orders of a symbol, not of the exchange."""
    with pytest.raises(OutcomeUnknown):
        proven({**row("fm-1-e", 1), "symbol": "ETHUSDT"}, ENTRY)


def test_a_cancel_is_proven_by_the_order_or_by_the_list_that_names_it() -> None:
    """A leg takes its list with it, and the answer is then about the list."""
    proven_cancel({**row("cancel-9", 1, "CANCELED"), "origClientOrderId": "fm-1-e"}, "fm-1-e")
    proven_cancel(WHOLE, "fm-1-t")
    proven_cancel({"orders": WHOLE["orders"], "orderListId": 3}, "fm-1-s")
    renamed = [{**row("cancel-2", 2, "CANCELED"), "origClientOrderId": "fm-1-s"}]
    proven_cancel({**WHOLE, "orders": [], "orderReports": renamed}, "fm-1-s")


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, "", {"orderId": 5}, {"orderListId": 3}, {"orderId": 5, "origClientOrderId": "of-another"}, WHOLE],
    ids=lambda answer: str(answer)[:30],
)
def test_a_cancel_whose_answer_does_not_name_the_order_is_unknown(answer: object) -> None:
    """Something was cancelled, perhaps; nobody can say what."""
    with pytest.raises(OutcomeUnknown):
        proven_cancel(answer, "fm-2-s")


@given(JSON | st.dictionaries(st.sampled_from(["orders", "orderReports", "orderId", "listStatusType"]), JSON))
def test_no_answer_breaks_the_reader_or_proves_an_order_it_does_not_name(answer: object) -> None:
    """Whatever comes back, the order is either named in it or unknown."""
    with suppress(OutcomeUnknown):
        proven_cancel(answer, "fm-1-e")
        raise AssertionError("a cancel was proven by nothing")
    with pytest.raises(OutcomeUnknown):
        proven_list(answer, (ENTRY, STOP))
    with pytest.raises(OutcomeUnknown):
        proven(answer, ENTRY)
