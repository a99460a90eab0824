from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.domain.forecast import Forecast
from core.domain.market import Bar, as_decimal, from_ms
from core.learn.analyst import Analyst
from core.learn.features import HOLE_BARS, WARM_UP
from tests.learn.markets import HOUR_MS, START_MS, recorded, times, walk

HOUR = timedelta(hours=1)
BARS = 1500


def analyst(symbol: str = "BTCUSDT", span: timedelta = HOUR) -> Analyst:
    return Analyst(symbol, span)


def bars(count: int, seed: int = 1, drift: float = 0.0005) -> list[Bar]:
    columns = walk(count, seed, drift=drift)
    return [
        Bar("BTCUSDT", from_ms(open_ms), HOUR, *map(as_decimal, row))
        for open_ms, *row in zip(times(count), *columns, strict=True)
    ]


def later(bar: Bar, hours: int) -> Bar:
    return replace(bar, open_at=bar.open_at + hours * HOUR)


def seen(one: Analyst, bar: Bar) -> tuple[Forecast | None, str]:
    """What the rule says of a bar, or the reason for silence."""
    look = one.look(bar)
    return (None, look.silence) if look.silence else (one.by_rule(look), "")


def told(one: Analyst, lived: list[Bar]) -> list[tuple[Forecast | None, str]]:
    return [seen(one, bar) for bar in lived]


def read_all(one: Analyst, history: tuple) -> None:
    """Take columns of the past, as the store gives them."""
    for row in zip(*history, strict=True):
        one.take(*row)


def test_it_says_how_far_its_warm_up_is():
    """Before the features are warm there is no forecast but a count."""
    said = told(analyst(), bars(WARM_UP))
    assert said[119] == (None, f"WARMING_UP: 120 of {WARM_UP} bars")
    assert said[-1][0] is not None


def test_history_and_live_bars_make_the_same_state():
    """A forecast is the same whether its past was lived through or read from the store."""
    lived, read = analyst(), analyst()
    told(lived, bars(BARS))
    read_all(read, (times(BARS), *walk(BARS, 1, drift=0.0005)))
    assert read.dump() == lived.dump()
    assert read.samples > 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, BARS - 1))
def test_a_restart_at_any_bar_leaves_no_trace(seed, cut):
    """Saved and restored anywhere, state and forecasts go on to the last bit."""
    history = bars(BARS, seed)
    whole, first, thawed = analyst(), analyst(), analyst()
    expected = told(whole, history)[cut:]
    told(first, history[:cut])
    thawed.restore(first.dump())
    assert told(thawed, history[cut:]) == expected
    assert thawed.dump() == whole.dump()


def test_an_old_bar_changes_nothing_and_is_told():
    """A bar delivered again is refused in words."""
    one = analyst()
    history = bars(WARM_UP + 1)
    told(one, history)
    before = one.dump()
    forecast, why = seen(one, history[-1])
    assert forecast is None
    assert why.startswith("OLD_BAR")
    assert one.dump() == before


def test_a_long_hole_starts_the_features_again():
    """After more bars are missing than the limit nothing is forecast until it is warm again."""
    one = analyst()
    history = bars(2 * WARM_UP + 1)
    told(one, history[:WARM_UP])
    shifted = [later(bar, HOLE_BARS + 1) for bar in history[WARM_UP:]]
    said = told(one, shifted)
    assert said[0] == (
        None,
        f"HOLE: {HOLE_BARS + 1} bars are missing before this one; the features warm up again, 1 of {WARM_UP} bars",
    )
    assert said[1] == (None, f"WARMING_UP: 2 of {WARM_UP} bars")
    assert said[WARM_UP - 1][0] is not None


def test_a_short_hole_is_lived_with():
    """An outage of a day costs no warm-up."""
    one = analyst()
    history = bars(WARM_UP + 1)
    told(one, history[:WARM_UP])
    assert seen(one, later(history[-1], HOLE_BARS))[0] is not None


def test_a_hole_keeps_the_record():
    """Past outcomes are not forgotten because the exchange was away."""
    one = analyst()
    read_all(one, (times(BARS), *walk(BARS, 1, drift=0.0005)))
    before = one.samples
    seen(one, later(bars(BARS)[-1], 500))
    assert one.samples >= before > 0


def test_a_dead_market_gets_no_bet():
    """Where the price has not moved at all there is no stop to set, and it says so."""
    one = analyst()
    flat = [1.0] * WARM_UP
    read_all(one, (times(WARM_UP), flat, flat, flat, flat, [0.0] * WARM_UP))
    one_ = Decimal(1)
    bar = Bar("BTCUSDT", from_ms(START_MS + WARM_UP * HOUR_MS), HOUR, one_, one_, one_, one_, Decimal(0))
    forecast, why = seen(one, bar)
    assert forecast is None
    assert why.startswith("NO_RANGE")


def test_a_bar_of_another_symbol_or_length_is_refused():
    """Bars cannot be mixed up."""
    bar = bars(1)[0]
    with pytest.raises(BadData):
        analyst("ETHUSDT").look(bar)
    with pytest.raises(BadData):
        analyst(span=timedelta(minutes=1)).look(bar)


def test_a_saved_state_of_another_symbol_is_refused():
    """One symbol's state cannot be loaded into another."""
    one, other = analyst(), analyst("ETHUSDT")
    told(one, bars(3))
    before = other.dump()
    with pytest.raises(BadData):
        other.restore(one.dump())
    assert other.dump() == before


def test_it_remembers_the_newest_bar_it_took():
    """After a restart the feed knows from which bar to go on."""
    one, thawed = analyst(), analyst()
    assert one.open_at is None
    told(one, bars(3))
    thawed.restore(one.dump())
    assert thawed.open_at == bars(3)[-1].open_at


def test_what_it_forecasts_is_a_bet_of_a_rule():
    """A forecast names its rule, its barriers, its record and its reasons."""
    one = analyst()
    read_all(one, (times(BARS), *walk(BARS, 1, drift=0.0005)))
    forecast, _ = seen(one, later(bars(BARS)[-1], 1))
    assert forecast.model_id.startswith("rule:")
    assert forecast.win_move == pytest.approx(2 * forecast.loss_move)
    assert forecast.samples == one.samples
    assert {one.name for one in forecast.contributions} == {"trend", "price", "pullback", "new_high", "record"}


def test_on_recorded_hours_its_record_finds_bets_in_2022():
    """On the recorded market the rule fires in early 2022 with a record that pays its costs at the lower bound."""
    open_ms, columns = recorded("ETHUSDT")
    one = analyst("ETHUSDT")
    cut = open_ms.index(1_640_995_200_000)
    read_all(one, (open_ms[:cut], *(column[:cut] for column in columns)))
    fired = []
    for at, *row in zip(open_ms[cut : cut + 2000], *(column[cut : cut + 2000] for column in columns), strict=True):
        forecast, _ = seen(one, Bar("ETHUSDT", from_ms(at), HOUR, *map(as_decimal, row)))
        fired += [forecast] if forecast and forecast.fires else []
    cost = 0.0024
    paying = [one for one in fired if one.p_low / (one.loss_move + cost) > (1 - one.p_low) / (one.win_move - cost)]
    assert paying


def test_the_collapse_of_a_coin_is_survived():
    """A coin that collapses, vanishes for 18 days and returns as another gets forecasts or reasons, no errors."""
    open_ms, columns = recorded("LUNAUSDT")
    one = analyst("LUNAUSDT")
    start = 9000
    read_all(one, (open_ms[:start], *(column[:start] for column in columns)))
    said = [
        seen(one, Bar("LUNAUSDT", from_ms(at), HOUR, *map(as_decimal, row)))
        for at, *row in zip(
            open_ms[start : start + 2000], *(column[start : start + 2000] for column in columns), strict=True
        )
    ]
    assert any(why.startswith("HOLE: 437") for _, why in said)
    assert all((forecast is None) == bool(why) for forecast, why in said)


def test_the_analyst_needs_no_numeric_library():
    """The resident process forecasts without numpy, pandas or numba in memory."""
    code = "import sys, core.learn.analyst; print({'numpy', 'pandas', 'numba', 'scipy', 'asyncio'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "set()"
