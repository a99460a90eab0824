"""Our orders as they are said to the exchange."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance_orders import list_id_of, order_params, pair_params, plain
from core.domain.errors import Refused
from core.domain.orders import Order, OrderKind, Purpose, Side

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
    assert ("stopPrice" in sent) is order.kind.endswith(("LOSS_LIMIT", "PROFIT_LIMIT"))
    assert ("timeInForce" in sent) is order.kind.endswith("LIMIT")


@given(ORDERS, ORDERS)
def test_a_pair_is_one_symbol_one_side_one_quantity_or_refused(stop: Order, target: Order) -> None:
    """Two orders that could both fill are no pair."""
    try:
        sent = pair_params(stop, target)
    except Refused:
        return
    assert (stop.side, stop.qty, stop.kind) == (target.side, target.qty, OrderKind.STOP_LOSS_LIMIT)
    assert {sent["aboveClientOrderId"], sent["belowClientOrderId"]} == {stop.client_id, target.client_id}


@given(IDS, IDS, IDS, IDS)
def test_the_pairs_own_id_is_the_same_for_the_same_pair_and_fits_the_exchange(a: str, b: str, c: str, d: str) -> None:
    """After a crash the same pair is recognised by the same name."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,36}", list_id_of(a, b))
    assert (list_id_of(a, b) == list_id_of(c, d)) is ((a, b) == (c, d))
