"""Bars, grids and the two bridges between money and statistics: core.domain.market."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.domain.market import SPANS, Bar, Quote, as_decimal, as_float, from_ms, span_name, to_ms
from tests.builders import HOUR, START, a_bar, an_instrument

D = Decimal
money = st.decimals("0.00000001", 10**9, places=8)
steps = st.sampled_from([D("0.00001"), D("0.01"), D("0.05"), D(1), D(5)])


@pytest.mark.parametrize(
    "prices",
    [
        ("0", "1", "1", "1"),
        ("1", "1", "-1", "1"),
        ("1", "NaN", "1", "1"),
        ("1", "Infinity", "1", "1"),
        ("3", "2", "1", "2"),
        ("2", "2", "1", "3"),
        ("1", "3", "2", "2"),
        ("2", "3", "2", "1"),
        ("2", "1", "3", "2"),
    ],
)
def test_an_impossible_bar_cannot_be_built(prices: tuple[str, ...]):
    """No zero, negative or endless price, and open and close lie between low and high."""
    with pytest.raises(BadData, match="BTCUSDT 2024-01-01 12:00"):
        Bar("BTCUSDT", START, HOUR, *(D(p) for p in prices), D(1))


@pytest.mark.parametrize("volume", ["-1", "NaN", "Infinity"])
def test_an_impossible_volume_cannot_be_built(volume: str):
    """Volume is a number from zero up."""
    with pytest.raises(BadData, match="volume"):
        Bar("BTCUSDT", START, HOUR, D(1), D(1), D(1), D(1), D(volume))


def test_a_bar_without_trades_is_a_bar():
    """An hour in which nobody traded is possible."""
    assert Bar("BTCUSDT", START, HOUR, D(1), D(1), D(1), D(1), D(0)).close_at == START + HOUR


def test_a_bar_cannot_be_changed():
    """What was seen stays as it was seen."""
    with pytest.raises(AttributeError):
        a_bar().close = D(1)  # type: ignore[misc]


@given(value=money, step=steps)
def test_rounding_stays_on_the_grid_and_on_its_side(value: Decimal, step: Decimal):
    """Down is never above, up never below, nearest never more than half a step away, all on the grid."""
    rules = an_instrument(lot=step, tick=step)
    down, up, near = rules.floor_price(value), rules.ceil_price(value), rules.round_price(value)
    assert down <= value <= up
    assert up - down in (0, step)
    assert abs(near - value) <= step / 2
    assert rules.floor_qty(value) == down
    assert not any(price % step for price in (down, up, near))


def test_a_grid_without_a_step_leaves_values_alone():
    """Some filters of the exchange have a step of zero: it means any value."""
    assert an_instrument(lot=D(0)).floor_qty(D("1.23456789")) == D("1.23456789")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_crosses_into_money_and_back_unchanged(number: float):
    """The bridge between statistics and money loses nothing."""
    assert as_float(as_decimal(number)) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_never_becomes_money(number: float):
    """Not-a-number stops at the bridge."""
    with pytest.raises(BadData):
        as_decimal(number)


@given(st.integers(-(10**12), 4 * 10**12))
def test_milliseconds_read_back_exactly(ms: int):
    """Times lose not a millisecond on their way into arrays and back."""
    assert to_ms(from_ms(ms)) == ms


def test_milliseconds_count_from_the_epoch_in_any_zone():
    """An aware time in another zone is the same moment."""
    assert to_ms(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400_000
    assert from_ms(0).tzinfo is UTC


@pytest.mark.parametrize("name", SPANS)
def test_every_span_has_its_name(name: str):
    """A bar's length is written as the exchange writes it."""
    assert span_name(SPANS[name]) == name
    assert SPANS[name] >= timedelta(minutes=1)


def test_the_middle_of_a_quote():
    """The middle lies between bid and ask."""
    assert Quote("BTCUSDT", START, D(99), D(102)).mid == D("100.5")
