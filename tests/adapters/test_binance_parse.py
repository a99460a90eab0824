"""The exchange's rows, whatever they hold."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import binance_parse as parse
from core.adapters.binance_rules import instrument_of
from core.domain.errors import BadData
from core.domain.orders import OrderState

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["symbol", "orderId", "clientOrderId", "status", "executedQty", "orderListId", "id", "price", "qty", "balances"]
)
ROWS = st.dictionaries(NAMES, JSON, max_size=10)


@given(st.decimals(min_value=-(10**18), max_value=10**18, places=8))
def test_a_number_keeps_every_digit_it_was_written_with(value: Decimal) -> None:
    """Money goes in and comes out as the same text."""
    assert str(parse.number(str(value))) == str(value)


@pytest.mark.parametrize("raw", [0.1, True, None, "NaN", "Infinity", "1,5", "1e-999999999x", "", [], {}])
def test_what_is_no_exact_number_is_refused(raw: object) -> None:
    """A float above all: it has lost digits already."""
    with pytest.raises(BadData), parse.usable("a test"):
        parse.number(raw)


def test_a_number_too_big_to_be_an_id_is_refused_before_it_is_built() -> None:
    """A row of nine digits of exponent must not eat the memory."""
    for written in ("1e99", "1e999999999"):
        with pytest.raises(BadData), parse.usable("a test"):
            parse.whole(written)


@given(ROWS)
def test_an_odd_row_is_bad_data_and_nothing_else(row: dict[str, object]) -> None:
    """No answer of the exchange can break the reader of it."""
    for read in (
        parse.report_of,
        parse.balances_of,
        lambda r: parse.fill_of(r, "x"),
        lambda r: parse.quote_of(r, 0),
        lambda r: parse.depth_of(r, "X", 5),
        lambda r: instrument_of(r, Decimal(0), Decimal(0)),
    ):
        with suppress(BadData):
            read(row)


@given(st.lists(st.lists(JSON, max_size=8), max_size=4))
def test_odd_bars_are_bad_data_and_nothing_else(rows: list[list[object]]) -> None:
    """A bar is whole and possible, or there is none."""
    try:
        bars = parse.bars_of(rows, "X", timedelta(hours=1), 10**13)
    except BadData:
        return
    assert all(bar.low <= bar.open <= bar.high for bar in bars)


@pytest.mark.parametrize(
    ("kind", "working_ms", "triggered"),
    [("STOP_LOSS_LIMIT", -1, False), ("STOP_LOSS_LIMIT", 1_700_000_000_000, True), ("LIMIT_MAKER", 1, False)],
)
def test_a_stop_that_went_to_the_book_is_known_by_its_working_time(kind: str, working_ms: int, triggered: bool) -> None:
    """Before its trigger a stop works at no time; a target works from the beginning and is never triggered."""
    row = {"symbol": "X", "orderId": 1, "clientOrderId": "c", "type": kind, "workingTime": working_ms}
    assert parse.report_of(row).triggered is triggered


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("NEW", OrderState.OPEN),
        ("PARTIALLY_FILLED", OrderState.PARTIAL),
        ("FILLED", OrderState.FILLED),
        ("CANCELED", OrderState.CANCELED),
        ("EXPIRED_IN_MATCH", OrderState.EXPIRED),
        ("REJECTED", OrderState.REJECTED),
    ],
)
def test_each_of_the_exchanges_words_for_an_order_has_its_state(said: str, state: OrderState) -> None:
    """A word we do not know is bad data, not a guess."""
    row = {"symbol": "X", "orderId": 1, "clientOrderId": "c", "status": said, "executedQty": "0"}
    assert parse.report_of(row).state is state
    with pytest.raises(BadData):
        parse.report_of({**row, "status": "SLEEPING"})


GOOD_TRADE = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 7, "price": "100", "qty": "1", "commission": "0.1",
    "commissionAsset": "币安人生", "time": 1_704_067_200_000, "isBuyer": True, "isMaker": False,
}  # fmt: skip


@pytest.mark.parametrize("name", ["isBuyer", "isMaker"])
@pytest.mark.parametrize("said", ["false", "true", 0, 1, None, []])
def test_a_side_is_true_or_false_and_never_a_word_for_it(name: str, said: object) -> None:
    """The word "false" must not turn a sale into a purchase."""
    with pytest.raises(BadData, match="our trades"):
        parse.fill_of({**GOOD_TRADE, name: said}, "fm-1-e")


@pytest.mark.parametrize("said", ["", "BTC\nUSDT", "\x1b[2J", "x" * 65, 7, None, ["BTC"], "\u202eTDSU"])
def test_a_name_that_is_empty_endless_or_cannot_be_printed_is_refused(said: object) -> None:
    """Names reach terminals and chats; those in other alphabets are names like any other."""
    assert parse.fill_of(GOOD_TRADE, "fm-1-e").fee_asset == "币安人生"
    for part in ("symbol", "commissionAsset"):
        with pytest.raises(BadData, match="our trades"):
            parse.fill_of({**GOOD_TRADE, part: said}, "fm-1-e")


@pytest.mark.parametrize(
    "said", ["-1", "-0.00000001", "1e99", "1E-99", "9" * 31, "0." + "0" * 30 + "1", " 1", "1_0", "٣"]
)
def test_an_amount_below_zero_or_beyond_every_exchange_is_refused(said: str) -> None:
    """Nobody holds less than nothing, and nothing has ninety digits."""
    with pytest.raises(BadData, match="balances"):
        parse.balances_of({"balances": [{"asset": "BTC", "free": said, "locked": "0"}]})
