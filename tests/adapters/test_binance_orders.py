"""Our orders as they are said to the exchange."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance_orders import bracket_params, list_id_of, order_params, pair_params, plain
from core.domain.errors import Refused
from core.domain.orders import Order, OrderKind, Purpose, Side, Tif

PRICES = st.none() | st.decimals(min_value="1e-12", max_value="1e9", allow_nan=False)
IDS = st.from_regex(r"\A[a-zA-Z0-9_-]{1,36}\Z")
ORDERS = st.builds(
    Order,
    client_id=IDS,
    symbol=st.just("BTCUSDT"),
    side=st.sampled_from(Side),
    kind=st.sampled_from(OrderKind),
    purpose=st.sampled_from(Purpose),
    qty=st.decimals(min_value="1e-12", max_value="1e9", allow_nan=False),
    created_at=st.just(datetime(2024, 1, 1, tzinfo=UTC)),
    price=PRICES,
    stop_price=PRICES,
    tif=st.sampled_from(Tif),
    trail_bips=st.sampled_from([0, 0, 10, 2000]),
)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_out_in_full_and_reads_back_as_itself(value: Decimal) -> None:
    """The exchange does not read 1E-5."""
    assert "E" not in plain(value).upper()
    assert Decimal(plain(value)) == value


@given(ORDERS)
def test_what_is_sent_is_the_order_and_nothing_more(order: Order) -> None:
    """Our id, our quantity, and only the prices its kind knows; never an amount of money to spend."""
    try:
        sent = order_params(order)
    except Refused:
        assert order.price is None or order.stop_price is None
        return
    assert sent["newClientOrderId"] == order.client_id
    assert Decimal(sent["quantity"]) == order.qty
    assert "quoteOrderQty" not in sent
    assert ("price" in sent) is (order.kind is not OrderKind.MARKET)
    waits = order.kind.endswith(("LOSS_LIMIT", "PROFIT_LIMIT"))
    assert ("stopPrice" in sent) is (waits and order.trail_bips == 0)
    assert sent.get("trailingDelta") == (str(order.trail_bips) if waits and order.trail_bips else None)
    assert sent.get("timeInForce") == (order.tif.value if order.kind.endswith("LIMIT") else None)


@given(ORDERS, ORDERS)
def test_a_pair_is_one_symbol_one_side_one_quantity_or_refused(stop: Order, target: Order) -> None:
    """Two orders that could both fill are no pair."""
    try:
        sent = pair_params(stop, target)
    except Refused:
        return
    assert (stop.side, stop.qty, stop.kind) == (target.side, target.qty, OrderKind.STOP_LOSS_LIMIT)
    assert {sent["aboveClientOrderId"], sent["belowClientOrderId"]} == {stop.client_id, target.client_id}


def bracket() -> tuple[Order, Order, Order]:
    """An entry of ours with its stop and target."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    entry = Order("fm-1-e", "XUSDT", Side.BUY, OrderKind.LIMIT, Purpose.ENTRY, Decimal(2), at, Decimal("10.1"))
    stop = replace(entry, client_id="fm-1-s", side=Side.SELL, kind=OrderKind.STOP_LOSS_LIMIT, qty=Decimal("1.998"))
    target = replace(stop, client_id="fm-1-t", kind=OrderKind.LIMIT_MAKER, price=Decimal(12))
    return replace(entry, tif=Tif.FOK), replace(stop, price=Decimal(8), stop_price=Decimal(9)), target


def test_a_bracket_says_all_three_orders_and_how_they_hang_together() -> None:
    """Every parameter by the exchange's own name; the pair is what is left after the fee."""
    sent = bracket_params(*bracket())
    name = sent.pop("listClientOrderId")
    assert name == list_id_of("fm-1-e", "fm-1-s", "fm-1-t")
    assert sent == {
        "symbol": "XUSDT",
        "newOrderRespType": "RESULT",
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingClientOrderId": "fm-1-e",
        "workingQuantity": "2",
        "workingPrice": "10.1",
        "workingTimeInForce": "FOK",
        "pendingSide": "SELL",
        "pendingQuantity": "1.998",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAboveClientOrderId": "fm-1-t",
        "pendingAbovePrice": "12",
        "pendingBelowType": "STOP_LOSS_LIMIT",
        "pendingBelowClientOrderId": "fm-1-s",
        "pendingBelowPrice": "8",
        "pendingBelowStopPrice": "9",
        "pendingBelowTimeInForce": "GTC",
    }


def test_a_stop_that_trails_names_its_distance_and_no_trigger() -> None:
    """It trails at once, from the price of the moment it stands."""
    entry, stop, target = bracket()
    trailing = replace(stop, trail_bips=150)
    sent = bracket_params(entry, trailing, target)
    assert sent["pendingBelowTrailingDelta"] == "150"
    assert "pendingBelowStopPrice" not in sent
    assert order_params(trailing)["trailingDelta"] == pair_params(trailing, target)["belowTrailingDelta"] == "150"


@pytest.mark.parametrize(
    "change",
    [{"qty": Decimal("1.9")}, {"side": Side.SELL}, {"symbol": "YUSDT"}, {"kind": OrderKind.MARKET}, {"price": None}],
    ids=str,
)
def test_an_entry_its_pair_does_not_belong_to_is_refused(change: dict[str, object]) -> None:
    """More sold than bought, the same side twice, another symbol, or an entry that cannot lead a list."""
    entry, stop, target = bracket()
    with pytest.raises(Refused):
        bracket_params(replace(entry, **change), stop, target)  # type: ignore[arg-type]


@given(IDS, IDS, IDS, IDS)
def test_the_pairs_own_id_is_the_same_for_the_same_pair_and_fits_the_exchange(a: str, b: str, c: str, d: str) -> None:
    """After a crash the same pair is recognised by the same name."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,36}", list_id_of(a, b))
    assert (list_id_of(a, b) == list_id_of(c, d)) is ((a, b) == (c, d))
