from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from core.learn import compiled, features, truncation
from core.learn.truncation import faults, model_faults
from tests.learn.markets import recorded, times, walk

HOUR = timedelta(hours=1)
BARS = 1500
CLOSE = np.array(walk(BARS, 1)[3])
VOLUME = np.array(walk(BARS, 1)[4])
NAMES = ("sound", "planted")


def beside(planted):
    """A sound feature, the return of one bar, and beside it the planted one, both made from the asked bars alone."""

    def featurize(start: int, stop: int) -> np.ndarray:
        close, volume = CLOSE[start:stop], VOLUME[start:stop]
        sound = np.diff(np.log(close), prepend=np.nan)
        return np.column_stack((sound, planted(close, volume)))

    return featurize


def tomorrow(close, volume):
    return np.append(np.diff(close), np.nan)


def scaled_by_all(close, volume):
    return (close - close.mean()) / close.std()


def sometimes_tomorrow(close, volume):
    """The next bar's move, but only on the one bar in a thousand with the most volume."""
    moves = np.append(np.diff(close), 0.0)
    return np.where(volume > 6000, moves, 0.0)


def since_the_start(close, volume):
    return np.cumsum(np.sign(np.diff(close, prepend=close[0])) * volume)


def slow_mean(close, volume):
    """An average over 1,000 bars that claims to be warm after 200."""
    found = np.empty(len(close))
    mean = close[0]
    for k, price in enumerate(close):
        mean += (price - mean) / 1000
        found[k] = mean
    return found


@pytest.mark.parametrize("planted", [tomorrow, scaled_by_all])
def test_a_planted_look_ahead_is_named(planted):
    """A feature that knows tomorrow is found by cutting tomorrow off, and only that one is accused."""
    said = faults(beside(planted), BARS, NAMES, 200)
    assert any(one.startswith("planted looks ahead: ") for one in said)
    assert not [one for one in said if one.startswith("sound")]


def test_a_look_ahead_at_the_very_edge_is_enough():
    """A feature that peeks on a few bars only is caught where one of the cuts meets it."""
    peeks = int(np.flatnonzero(VOLUME > 6000)[0]) + 1
    featurize = beside(sometimes_tomorrow)
    assert truncation._ahead(featurize, featurize(0, BARS), np.ones(2), NAMES, peeks) != []


@pytest.mark.parametrize("planted", [since_the_start, slow_mean])
def test_a_planted_memory_of_the_start_is_named(planted):
    """A sum since the window began, or a mean that never gets warm, is found by starting later."""
    said = faults(beside(planted), BARS, NAMES, 200)
    assert [one.partition(":")[0] for one in said] == ["planted remembers where its bars began"]


def test_a_value_that_comes_or_goes_is_a_fault_too():
    """A row that exists only when more is known is as wrong as one that changes."""
    said = faults(beside(lambda close, volume: np.where(len(close) > 1000, close, np.nan)), BARS, NAMES, 200)
    assert "a value only one of the two has" in " ".join(said)


def test_sound_features_are_not_accused():
    """Windows and fading means pass, on drawn bars and on recorded ones."""
    assert faults(beside(lambda close, volume: volume), BARS, NAMES, 200) == []


@pytest.mark.parametrize("sets", ["drawn", "recorded"])
def test_the_features_of_the_model_are_clean(sets):
    """What the model learns from neither looks ahead nor depends on where history begins, among symbols too."""
    series = {}
    for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT", "DOGEUSDT")):
        open_ms, columns = (times(2000), walk(2000, seed)) if sets == "drawn" else recorded(symbol, 5000)
        series[symbol] = (np.array(open_ms), *(np.array(column) for column in columns))
    assert model_faults(series, HOUR) == []


def test_every_feature_of_the_set_is_clean():
    """Those only the cards show hold up as well."""
    columns = tuple(np.array(column) for column in walk(2000, 7, flat_share=0.1))
    open_ms = np.array(times(2000))

    def featurize(start: int, stop: int) -> np.ndarray:
        return compiled.matrix(tuple(column[start:stop] for column in columns), open_ms[start:stop], HOUR)

    assert faults(featurize, 2000, features.NAMES, features.WARM_UP) == []


def test_too_few_bars_prove_nothing():
    """Where nothing can be looked at, that is said instead of an all-clear."""
    said = faults(beside(tomorrow), 300, NAMES, 200)
    assert said == ["300 bars are too few to look for faults of features: 408 are needed."]
