"""Numbers of a card stay short and plain, whatever number a file holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.cardpage.figures import brief, number, share

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_fractions_are_percent():
    """As many decimals as asked, a sign where it matters, and none before nothing."""
    assert (share(0.1234), share(0.1234, 2), share(0.1234, signed=True)) == ("12.3%", "12.34%", "+12.3%")
    assert (share(-0.0), share(-0.0, signed=True)) == ("0.0%", "+0.0%")


def test_numbers_have_thousands_apart():
    """And a sign where it matters."""
    assert (number(1234.5, 1), number(0.5, 2, signed=True), number(97_118)) == ("1,234.5", "+0.50", "97,118")


def test_what_is_beyond_all_sense_is_said_as_such():
    """Instead of a row of three hundred digits."""
    assert (share(1e308), share(-1e308)) == ("over 10,000%", "under -10,000%")
    assert (number(1e308), number(-1e308)) == ("over 1e+12", "under -1e+12")


@given(FINITE)
def test_no_number_is_long(value: float):
    """No cell of a table and no place in a sentence is broken by one."""
    for said in (share(value, 3, signed=True), number(value, 5, signed=True), brief(value)):
        assert len(said) <= 25
