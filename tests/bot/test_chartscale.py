"""Where things go on a chart."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.views import chartscale as scales
from bot.views.chartspec import Candle, ChartSpec, FillMark, PriceLine, Tone

HOUR_MS = 3_600_000
PRICES = st.floats(1e-8, 1e6, allow_nan=False)


def flat(price: float, **more: object) -> ChartSpec:
    """A chart of three bars around ``price``, each reaching 1 % up and down."""
    bars = tuple(Candle(i * HOUR_MS, price, price * 1.01, price * 0.99, price, 1.0) for i in range(3))
    return ChartSpec("X", bars, 2, **more)  # type: ignore[arg-type]


@given(PRICES, PRICES, PRICES)
def test_a_higher_price_is_never_drawn_lower(middle: float, one: float, other: float) -> None:
    """Up on the picture is up in the market."""
    scale = scales.price_scale(flat(middle), 100, 600)
    low, high = sorted((one, other))
    assert 100 <= scale.row(high) <= scale.row(low) <= 600


@given(PRICES)
def test_every_candle_lies_inside_the_scale(price: float) -> None:
    """No wick is cut off."""
    scale = scales.price_scale(flat(price), 100, 600)
    assert scale.holds(price * 1.01)
    assert scale.holds(price * 0.99)


def test_a_stop_nearby_stretches_the_scale_and_one_far_away_does_not() -> None:
    """A stop at half the price would flatten every candle to a dash."""
    near = scales.price_scale(flat(100.0, lines=(PriceLine("stop", 96.0, Tone.STOP),)), 0, 100)
    far = scales.price_scale(flat(100.0, lines=(PriceLine("stop", 50.0, Tone.STOP),)), 0, 100)
    assert near.holds(96.0)
    assert not far.holds(50.0)


def test_a_fill_outside_the_candles_is_on_the_scale_too() -> None:
    """An arrow points at the price that was paid."""
    assert scales.price_scale(flat(100.0, fills=(FillMark(0, 98.0, True),)), 0, 100).holds(98.0)


@given(PRICES, st.floats(1e-5, 10), st.integers(2, 10))
def test_ticks_are_round_inside_and_neither_few_nor_many(low: float, share: float, about: int) -> None:
    """The axis reads 43,000 and 43,500, not 42,983.77."""
    high = low * (1 + share)
    ticks = scales.round_ticks(low, high, about)
    slack = (high - low) * 1e-6
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert about // 2 - 1 <= len(ticks) <= about + 1


def test_ticks_show_the_decimals_they_need_and_no_more() -> None:
    """Bitcoin's axis has no cents, a coin of a hundred-thousandth has all eight places."""
    assert scales.tick_decimals([43_000, 43_500], 2) == 0
    assert scales.tick_decimals([1.25, 1.5], 4) == 2
    assert scales.tick_decimals([0.00001234, 0.00001235], 8) == 8


def test_prices_are_written_with_thousands_apart_and_the_ticks_places() -> None:
    """A price on the picture reads like the price in the message."""
    assert scales.price_text(104233.5, 2) == "104,233.50"
    assert scales.price_text(0.00001234, 8) == "0.00001234"


@given(st.lists(st.integers(0, 500), min_size=1, max_size=8), st.integers(10, 50))
def test_labels_never_cover_each_other_and_stay_where_they_fit(rows: list[int], height: int) -> None:
    """Entry, last price and stop can be a tick apart and all stay readable."""
    placed = scales.apart(rows, height, 0, 500)
    middles = sorted(placed)
    assert all(b - a >= height for a, b in pairwise(middles))
    assert middles[0] >= height // 2
    assert middles[-1] + height // 2 <= 500 or len(rows) * height > 499


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8, unique=True))
def test_labels_keep_the_order_of_their_prices(rows: list[int]) -> None:
    """The target's label is never below the entry's."""
    placed = scales.apart(rows, 30, 0, 500)
    assert sorted(range(len(rows)), key=rows.__getitem__) == sorted(range(len(rows)), key=placed.__getitem__)


def test_labels_with_room_stand_exactly_at_their_price() -> None:
    """Nothing moves that need not."""
    assert scales.apart([100, 200, 300], 40, 0, 500) == [100, 200, 300]


def test_times_are_the_owners_not_utc() -> None:
    """Midnight on the axis is the owner's midnight."""
    opens = [hour * HOUR_MS for hour in range(48)]
    kolkata = scales.time_ticks(opens, "Asia/Kolkata", 6)
    utc = scales.time_ticks(opens, "UTC", 6)
    assert [t.index for t in utc if t.strong] == [24]
    assert [t.index for t in kolkata if t.strong] == [19, 43]


@given(st.integers(0, 2_000_000_000), st.sampled_from([1, 5, 15, 60, 240, 1440]), st.integers(1, 240))
def test_time_ticks_are_never_more_than_asked_for(start_s: int, minutes: int, bars: int) -> None:
    """Labels under the chart have room whatever the bar length."""
    opens = [start_s * 1000 + i * minutes * 60_000 for i in range(bars)]
    assert len(scales.time_ticks(opens, "America/New_York", 7)) <= 7
