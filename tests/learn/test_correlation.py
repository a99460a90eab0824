from __future__ import annotations

import math
import random
from datetime import timedelta
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.correlation import ENOUGH, MEMORY, Correlation
from tests.learn.markets import HOUR_MS, START_MS, recorded

HOUR = timedelta(hours=1)
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
Close = tuple[str, int, float]


def closes(bars: int, seed: int, share: float = 0.9) -> list[Close]:
    """Closes of three symbols: A and B share most of each move, C goes its own way."""
    rng = random.Random(seed)
    logs = dict.fromkeys(SYMBOLS, 0.0)
    made = []
    for k in range(bars):
        common = rng.gauss(0, 0.01)
        for symbol in SYMBOLS:
            weight = 0.0 if symbol == "CCCUSDT" else share
            logs[symbol] += weight * common + (1 - weight) * rng.gauss(0, 0.01)
            made.append((symbol, START_MS + k * HOUR_MS, math.exp(logs[symbol])))
    return made


def learned(bars: list[Close], peer_correlation: float = 0.7) -> Correlation:
    correlation = Correlation(HOUR, peer_correlation)
    live(correlation, bars)
    return correlation


def live(correlation: Correlation, bars: list[Close]) -> None:
    """Bars of one time together, as they close."""
    for at, together in groupby(bars, key=lambda bar: bar[1]):
        correlation.seen(at, {symbol: close for symbol, _, close in together})


def test_symbols_that_move_together_are_peers_and_others_are_not():
    """The bucket holds what really moves together."""
    correlation = learned(closes(300, 1))
    assert correlation.peers()["AAAUSDT"] == ("BBBUSDT",)
    assert correlation.peers()["CCCUSDT"] == ()


def test_the_value_is_the_weighted_correlation_of_returns():
    """The number equals its textbook definition over the same bars."""
    bars = closes(150, 2)
    series = {s: np.diff(np.log([close for name, _, close in bars if name == s])) for s in SYMBOLS[:2]}
    weights = (1 - 2 / (MEMORY + 1)) ** np.arange(148, -1, -1)
    x, y = series["AAAUSDT"], series["BBBUSDT"]
    expected = (weights * x * y).sum() / math.sqrt((weights * x * x).sum() * (weights * y * y).sum())
    assert learned(bars).between("AAAUSDT", "BBBUSDT") == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_order_within_a_bar_time_does_not_matter(seed, order):
    """Whichever symbol's bar arrives first, the same is learned to the last bit."""
    bars = closes(80, seed)
    rng = random.Random(order)
    mixed = [bar for k in range(80) for bar in rng.sample(bars[3 * k : 3 * k + 3], 3)]
    assert learned(mixed).dump() == learned(bars).dump()


def test_a_symbol_that_joins_later_takes_its_place_among_the_others():
    """A pair knows what it shared since both were there, whoever came first."""
    bars = closes(200, 3)
    joined = START_MS + 80 * HOUR_MS
    late = learned([bar for bar in bars if bar[0] != "AAAUSDT" or bar[1] >= joined])
    whole = learned([bar for bar in bars if bar[1] >= joined])
    assert late.between("AAAUSDT", "BBBUSDT") == whole.between("AAAUSDT", "BBBUSDT")
    assert late.peers()["AAAUSDT"] == ("BBBUSDT",)


def test_a_missed_bar_teaches_nothing_about_its_hour():
    """A return over a hole spans more than one bar and is not compared with one that does not."""
    bars = closes(120, 4)
    missing = START_MS + 60 * HOUR_MS
    holed = learned([bar for bar in bars if bar[:2] != ("AAAUSDT", missing)])
    assert holed.between("AAAUSDT", "BBBUSDT") != learned(bars).between("AAAUSDT", "BBBUSDT")
    assert holed.between("BBBUSDT", "CCCUSDT") == learned(bars).between("BBBUSDT", "CCCUSDT")


def test_too_few_common_bars_make_no_peer():
    """Nothing is claimed about a pair before it shared enough bars."""
    assert learned(closes(ENOUGH, 5)).between("AAAUSDT", "BBBUSDT") is None
    assert learned(closes(ENOUGH + 1, 5)).between("AAAUSDT", "BBBUSDT") is not None


def test_a_price_that_stands_still_is_nobodys_peer():
    """No movement has no correlation, and no division by zero."""
    still = [(s, START_MS + k * HOUR_MS, 1.0) for k in range(100) for s in SYMBOLS]
    assert learned(still, 0.0).peers()["AAAUSDT"] == ()


def test_a_bar_seen_twice_counts_once():
    """A repeated bar changes nothing."""
    bars = closes(80, 6)
    assert (
        learned([bar for k in range(80) for _ in range(2) for bar in bars[3 * k : 3 * k + 3]]).dump()
        == learned(bars).dump()
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 120))
def test_a_restart_at_any_bar_leaves_no_trace(seed, cut):
    """Saved and restored anywhere, it goes on to the last bit."""
    bars = closes(120, seed)
    thawed = Correlation(HOUR)
    thawed.restore(learned(bars[: 3 * cut]).dump())
    live(thawed, bars[3 * cut :])
    assert thawed.dump() == learned(bars).dump()


def test_a_state_of_another_bar_length_is_refused():
    """Hourly correlations are not taken for daily ones."""
    daily = Correlation(timedelta(days=1))
    with pytest.raises(BadData):
        daily.restore(learned(closes(80, 7)).dump())
    assert daily.peers() == {}


def test_bitcoin_and_ether_are_peers_on_recorded_hours():
    """On the recorded market of 2023 the two great coins share a bucket."""
    histories = {symbol: recorded(symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    bars = [
        (symbol, at, close)
        for symbol, (open_ms, columns) in histories.items()
        for at, close in zip(open_ms[-500:], columns[3][-500:], strict=True)
    ]
    correlation = learned(sorted(bars, key=lambda bar: bar[1]))
    assert correlation.peers()["BTCUSDT"] == ("ETHUSDT",)
