"""Numbers and times as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views import words

UTC_ZONE = ZoneInfo("UTC")
AT = datetime(2024, 3, 31, 0, 30, tzinfo=UTC)
MONEY = st.decimals(-(10**12), 10**12, allow_nan=False, places=8)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("43210.50", "43,210.5"), ("0.00001234", "0.00001234"), ("100", "100"), ("1E+3", "1,000"), ("0E-8", "0")],
)
def test_a_price_keeps_every_digit_that_carries_something(value: str, shown: str):
    """No rounding, no needless zeros, no powers of ten."""
    assert words.price(Decimal(value)) == shown


@given(st.decimals("0.00000001", 10**9, places=8))
def test_a_price_reads_back_as_itself(value: Decimal):
    """What stands on the card is what stands on the exchange."""
    assert Decimal(words.price(value).replace(",", "")) == value


@given(MONEY)
def test_money_never_loses_its_sign_or_more_than_half_a_cent(value: Decimal):
    """Two decimals, a real minus."""
    shown = words.signed(value)
    assert abs(Decimal(shown.replace(",", "").replace("−", "-")) - value) <= Decimal("0.005")
    assert shown[0] == ("−" if value < 0 else "+")


def test_an_average_has_seven_digits_that_matter():
    """A quotient does not fill the line with digits."""
    assert words.average(Decimal(1) / Decimal(3)) == "0.3333333"
    assert words.average(Decimal("0.000012345678")) == "0.00001234568"
    assert words.average(Decimal("136124.8765")) == "136,124.9"


@pytest.mark.parametrize(
    ("value", "digits", "shown"), [("0.1234", 1, "12.3%"), ("-0.05", 2, "−5.00%"), (0.5, 0, "50%"), ("0", 1, "0.0%")]
)
def test_a_share_is_shown_in_percent(value: str | float, digits: int, shown: str):
    """As the sentences of the machine write it, with a real minus."""
    assert words.percent(value if isinstance(value, float) else Decimal(value), digits) == shown


def test_a_gain_carries_its_plus():
    """Up and down look different at first sight."""
    assert words.signed_percent(Decimal("0.0783")) == "+7.8%"
    assert words.signed_percent(Decimal("-0.0391")) == "−3.9%"


@pytest.mark.parametrize(("value", "shown"), [("0.03", "3%"), ("0.025", "2.5%"), ("1", "100%"), ("0.60", "60%")])
def test_a_setting_reads_as_its_owner_would_write_it(value: str, shown: str):
    """3%, not 3.0%."""
    assert words.setting_percent(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "Sun 31 Mar 00:30"),
        ("Europe/Berlin", "Sun 31 Mar 01:30"),
        ("America/New_York", "Sat 30 Mar 20:30"),
        ("Asia/Kolkata", "Sun 31 Mar 06:00"),
    ],
)
def test_times_are_the_owners(zone: str, shown: str):
    """The same moment in four zones."""
    assert words.moment(AT, ZoneInfo(zone)) == shown


def test_summer_time_is_respected():
    """An hour later Berlin has jumped to 03:30."""
    assert words.clock(AT + timedelta(hours=1), ZoneInfo("Europe/Berlin")) == "03:30"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (-3, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (4 * 86_400, "4 d")]
)
def test_how_long_ago_is_one_number_and_one_unit(seconds: float, shown: str):
    """Coarse is readable."""
    assert words.ago(seconds) == shown


def test_one_is_singular():
    """1 order, 2 orders; 1 bar, 2 bars."""
    assert [words.plural(n, "order") for n in (0, 1, 2)] == ["0 orders", "1 order", "2 orders"]
    assert words.bars(1, timedelta(hours=1)) == "1 bar (60 min)"
    assert words.bars(96, timedelta(hours=1)) == "96 bars (4 d)"
