from __future__ import annotations

import math
from array import array
from datetime import timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import ta
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.domain.market import Bar, as_decimal, from_ms
from core.learn import cross, features
from core.learn.features import AT, NAMES, WARM_UP, WARM_UPS, WIDTH
from tests.learn.markets import HOUR_MS, START_MS, Columns, recorded, times, walk

HOUR = timedelta(hours=1)


def rows_of(columns: Columns) -> np.ndarray:
    return np.array(list(features.fold(times(len(columns[0])), columns, features.new_state(HOUR))))


def part(columns: Columns, start: int, stop: int) -> Columns:
    opens, highs, lows, closes, volumes = (column[start:stop] for column in columns)
    return opens, highs, lows, closes, volumes


def judged(columns: Columns) -> dict[str, pd.Series]:
    """The same features by ta and pandas, on a plain integer index."""
    _, high, low, close, volume = (pd.Series(column) for column in columns)
    macd = ta.trend.MACD(close)
    adx = ta.trend.ADXIndicator(high, low, close, 14)
    bands = ta.volatility.BollingerBands(close, 20, 2)
    atr = ta.volatility.AverageTrueRange(high, low, close, 14).average_true_range()
    logs = np.log(close)
    found = {
        "rsi_14": ta.momentum.RSIIndicator(close, 14).rsi(),
        "macd": macd.macd(),
        "macd_signal": macd.macd_signal(),
        "macd_hist": macd.macd_diff(),
        "atr_14": atr,
        "atr_share": atr / close,
        "adx_14": adx.adx(),
        "di_plus": adx.adx_pos(),
        "di_minus": adx.adx_neg(),
        "bb_width": bands.bollinger_wband() / 100,
        "bb_place": bands.bollinger_pband(),
        "volume_ratio": volume / volume.rolling(20).mean(),
        "over_high_20": close / high.rolling(20).max().shift(1) - 1,
        "volatility": np.sqrt((logs.diff() ** 2).ewm(span=100, adjust=False).mean() * 8766),
    }
    found |= {f"ema_{n}": ta.trend.EMAIndicator(close, n).ema_indicator() for n in (20, 50, 200)}
    found |= {f"ret_{k}": logs.diff(k) for k in (1, 3, 12, 24, 72, 168)}
    found["ret_1_lag_1"] = logs.diff().shift(1)
    found["from_low_55"] = close / low.rolling(55).min() - 1
    found["drawdown_168"] = close / high.rolling(168).max() - 1
    return (
        found | judged_leads(found, close) | judged_swings(columns) | judged_spread(logs, found) | judged_clock(close)
    )


def judged_leads(found: dict[str, pd.Series], close: pd.Series) -> dict[str, pd.Series]:
    sides = np.sign(found["macd_hist"]).to_numpy()
    ages, age = [], math.inf
    for k in range(len(sides)):
        crossed = k >= 105 and sides[k] == -sides[k - 1]
        age = 0 if crossed else age + 1
        ages.append(age)
    crossings = pd.Series([side / (1 + age) if age <= 100 else 0.0 for side, age in zip(sides, ages, strict=True)])
    rsi = found["rsi_14"]
    return {
        "over_ema_20": close / found["ema_20"] - 1,
        "over_ema_200": close / found["ema_200"] - 1,
        "ema_20_50": found["ema_20"] / found["ema_50"] - 1,
        "ema_50_200": found["ema_50"] / found["ema_200"] - 1,
        "macd_atr": found["macd"] / found["atr_14"],
        "macd_hist_atr": found["macd_hist"] / found["atr_14"],
        "di_lead": found["di_plus"] - found["di_minus"],
        "rsi_change_6": rsi.diff(6),
        "macd_cross": crossings,
        "rsi_macd": (rsi - 50) / 50 * crossings,
    }


def judged_swings(columns: Columns) -> dict[str, pd.Series]:
    _, high, low, close, volume = (pd.Series(column) for column in columns)
    stochastic = ta.momentum.StochasticOscillator(high, low, close, 14, 3)
    signed = np.sign(close.diff()).fillna(0) * volume
    return {
        "stoch_k": stochastic.stoch(),
        "cci_20": ta.trend.CCIIndicator(high, low, close, 20).cci(),
        "mfi_14": ta.volume.MFIIndicator(high, low, close, volume, 14).money_flow_index(),
        "obv_24": signed.rolling(24).sum() / signed.abs().rolling(24).sum(),
    }


def judged_spread(logs: pd.Series, found: dict[str, pd.Series]) -> dict[str, pd.Series]:
    window = np.lib.stride_tricks.sliding_window_view(logs.diff().to_numpy(), 24)

    def padded(values: np.ndarray) -> pd.Series:
        return pd.Series(np.concatenate((np.full(23, np.nan), values)))

    return {
        "mean_24": padded(window.mean(axis=1)),
        "std_24": padded(window.std(axis=1)),
        "min_24": padded(window.min(axis=1)),
        "max_24": padded(window.max(axis=1)),
        "skew_24": padded(scipy.stats.skew(window, axis=1)),
        "volatility_ratio": padded(window.std(axis=1)) * math.sqrt(8766) / found["volatility"],
    }


def judged_clock(close: pd.Series) -> dict[str, pd.Series]:
    at = pd.to_datetime(pd.Series(times(len(close))), unit="ms", utc=True)
    hour = at.dt.hour + at.dt.minute / 60
    week = at.dt.day_of_week * 24 + hour
    return {
        "hour_sin": np.sin(2 * np.pi * hour / 24),
        "hour_cos": np.cos(2 * np.pi * hour / 24),
        "week_sin": np.sin(2 * np.pi * week / 168),
        "week_cos": np.cos(2 * np.pi * week / 168),
    }


@cache
def both(source: str) -> tuple[np.ndarray, dict[str, pd.Series]]:
    columns = recorded(source, 6000)[1] if source.endswith("USDT") else walk(3000, int(source))
    return rows_of(columns), judged(columns)


@pytest.mark.parametrize("source", ["1", "2", "BTCUSDT"])
@pytest.mark.parametrize("name", NAMES)
def test_a_feature_equals_the_ta_package_after_its_warm_up(name, source):
    """What a card calls RSI or ADX is what every textbook and charting site calls RSI or ADX."""
    rows, judge = both(source)
    first = WARM_UPS[AT[name]] - 1
    ours, theirs = rows[first:, AT[name]], judge[name].to_numpy()[first:]
    # pandas moves its window's variance along and loses digits where the bands are very narrow
    tolerance = 1e-7 if name == "bb_place" else 1e-9
    assert np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max())


def test_the_place_in_the_bands_equals_its_definition():
    """The place between the Bollinger bands is right to 1e-9 even where pandas itself is not."""
    columns = walk(1000, 3)
    windows = np.lib.stride_tricks.sliding_window_view(np.array(columns[3]), 20)
    low = windows.mean(axis=1) - 2 * windows.std(axis=1)
    place = (windows[:, -1] - low) / (4 * windows.std(axis=1))
    assert np.abs(rows_of(columns)[19:, AT["bb_place"]] - place).max() < 1e-9


def test_a_feature_is_silent_through_its_warm_up_and_never_after():
    """Before its warm-up is over a feature says nothing, afterwards always something."""
    rows = rows_of(walk(WARM_UP + 50, 4))
    for k, bars in enumerate(WARM_UPS):
        assert np.isnan(rows[: bars - 1, k]).all(), NAMES[k]
        assert np.isfinite(rows[bars - 1 :, k]).all(), NAMES[k]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 899))
def test_cutting_off_the_future_changes_nothing(seed, cut):
    """No feature of a bar depends on any later bar."""
    columns = walk(900, seed, flat_share=0.1)
    whole = rows_of(columns)
    assert rows_of(part(columns, 0, cut)).tobytes() == whole[:cut].tobytes()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 899))
def test_a_state_saved_at_any_bar_goes_on_to_the_last_bit(seed, cut):
    """A restart in the middle leaves no trace in any later feature."""
    columns = walk(900, seed, flat_share=0.1)
    state = features.new_state(HOUR)
    open_ms = times(900)
    before = list(features.fold(open_ms[:cut], part(columns, 0, cut), state))
    thawed = array("d")
    thawed.frombytes(array("d", state).tobytes())
    after = list(features.fold(open_ms[cut:], part(columns, cut, 900), thawed))
    assert np.array(before + after).tobytes() == rows_of(columns).tobytes()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.95, 1.0]))
def test_hours_without_a_trade_make_no_impossible_numbers(seed, flat_share):
    """An outage of flat, empty bars never puts a NaN or an infinity on a card."""
    rows = rows_of(walk(WARM_UP + 100, seed, flat_share=flat_share))
    assert np.isfinite(rows[WARM_UP - 1 :]).all()


def test_a_row_names_each_feature_once():
    """Names, warm-ups and row are of one length, so no number can stand under another's name."""
    assert len(set(NAMES)) == len(WARM_UPS) == WIDTH
    assert len(features.new_state(HOUR)) == features.SIZE


def test_volatility_counts_every_hour_of_the_year():
    """The same moves on hourly and on daily bars are annualised by how many of them a year holds."""
    columns = walk(WARM_UP, 5)
    days = [START_MS + k * 24 * HOUR_MS for k in range(WARM_UP)]
    hourly = rows_of(columns)[-1][AT["volatility"]]
    daily = list(features.fold(days, columns, features.new_state(timedelta(days=1))))[-1][AT["volatility"]]
    assert math.isclose(hourly / daily, math.sqrt(24))


def test_the_version_names_the_set_and_stays_while_it_stays():
    """A saved state can be told from one of another feature set."""
    assert len(features.version()) == 64
    assert features.version() == features.version()


@pytest.mark.parametrize("source", ["8", "9", "BTCUSDT", "DOGEUSDT"])
@pytest.mark.parametrize("factor", [1000.0, 1e-5])
def test_a_model_row_does_not_know_the_price_level(source, factor):
    """A coin quoted in thousandths has the same model row: what is learned at one price holds at another."""
    columns = recorded(source, 5000)[1] if source.endswith("USDT") else walk(2000, int(source), flat_share=0.1)
    scaled = [[factor * price for price in column] for column in columns[:4]]
    seen = rows_of(columns)[WARM_UP:, features.MODEL_AT]
    again = rows_of((*scaled, columns[4]))[WARM_UP:, features.MODEL_AT]
    spread = seen.std(axis=0)
    off = np.abs(seen - again).max(axis=0) / spread
    assert {features.MODEL_NAMES[k]: off[k] for k in np.flatnonzero(off > 1e-6)} == {}


def test_the_cards_prices_are_not_among_the_models_names():
    """No price, average or range in quote currency is shown to the model."""
    assert not {"ema_20", "ema_50", "ema_200", "macd", "macd_signal", "macd_hist", "atr_14"} & set(features.MODEL_NAMES)
    assert len(set(features.MODEL_NAMES)) == len(features.MODEL_NAMES) == len(features.MODEL_AT) + len(cross.NAMES)


def test_a_model_row_is_whole_or_none():
    """A row with a number missing, of the symbol or among the symbols, is no row."""
    rows = rows_of(walk(WARM_UP, 6))
    among = (0.5, 1.0, 0.0)
    assert features.model_row(rows[-2], among) is None
    whole = features.model_row(rows[-1], among)
    assert whole == (*(rows[-1][AT[name]] for name in features.MODEL_NAMES[: -len(among)]), *among)
    assert features.model_row(rows[-1], (math.nan, 1.0, 0.0)) is None
    assert features.model_row(rows[-1], (0.5, math.inf, 0.0)) is None


def test_equal_typical_prices_are_equal_however_they_add_up():
    """Money flow does not turn on the last bit of a sum: the same three prices in another order are a tie."""
    bars = WARM_UP
    flip = [(0.3, 0.1, 0.2) if k % 2 else (0.4, 0.1, 0.1) for k in range(bars)]
    highs, lows, closes = (list(column) for column in zip(*flip, strict=True))
    assert len({high + low + close for high, low, close in flip}) == 2
    rows = rows_of((closes, highs, lows, closes, [1.0] * bars))
    assert set(rows[14:, AT["mfi_14"]]) == {50.0}


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal(0)])
def test_a_bar_that_is_no_bar_cannot_be_built(number):
    """NaN and infinity never reach a feature: such a bar does not come to exist."""
    one = Decimal(1)
    for place in range(4):
        prices = [one] * 4
        prices[place] = number
        with pytest.raises(BadData):
            Bar("BTCUSDT", from_ms(START_MS), HOUR, *prices, one)
    with pytest.raises(BadData):
        as_decimal(math.nan)


def test_the_newest_crossing_fades():
    """A crossing of MACD and signal counts in full on its bar, half on the next, and is forgotten at last."""
    rows = rows_of(walk(1500, 10))
    crossings, hist = rows[300:, AT["macd_cross"]], rows[300:, AT["macd_hist"]]
    turned = np.flatnonzero(np.sign(hist[1:]) != np.sign(hist[:-1])) + 1
    assert np.array_equal(crossings[turned], np.sign(hist[turned]))
    calm = [k for k in turned if k + 1 < len(hist) and k + 1 not in set(turned)]
    assert np.array_equal(crossings[np.array(calm) + 1], np.sign(hist[calm]) / 2)


def test_a_crossing_long_ago_is_forgotten():
    """A side that was taken more than a hundred bars ago says nothing new."""
    logs = [-0.00001 * k * k for k in range(300)] + [-0.9 + 0.00002 * k * k for k in range(200)]
    closes = [math.exp(log) for log in logs]
    crossings = rows_of((closes, closes, closes, closes, [1.0] * 500))[:, AT["macd_cross"]]
    turn = int(np.flatnonzero(crossings == 1.0)[-1])
    assert crossings[turn + 100] == 1 / 101
    assert turn + 101 < 500
    assert not crossings[turn + 101 :].any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_warm_feature_has_forgotten_where_its_bars_began(seed):
    """After its own warm-up each feature, started anywhere, is what it would have been with all the past."""
    columns = walk(3000, seed)
    whole = rows_of(columns)
    spread = np.nanstd(whole, axis=0)
    for start in (700, 1300, 2100):
        rows = np.array(list(features.fold(times(3000)[start:], part(columns, start, 3000), features.new_state(HOUR))))
        for k, warm in enumerate(WARM_UPS):
            off = np.abs(rows[warm - 1 :, k] - whole[start + warm - 1 :, k]).max() / spread[k]
            assert off < 0.25, (NAMES[k], off)
