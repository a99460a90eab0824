"""Features and labels that know too much, or depend on where history begins, are found by changing both."""

from datetime import timedelta
from functools import partial

import numpy as np
import pytest

from core.adapters.columns import Columns
from core.learn.data import dataset
from core.learn.data.dataset import Dataset
from core.learn.features import MODEL_NAMES
from core.learn.fit.leaks import WINDOW, faults
from tests.learn.markets import HOUR_MS, recorded, times, walk

HOUR = timedelta(hours=1)
AHEAD = 96


def bars(count: int, symbols=("BTCUSDT", "ETHUSDT"), first: int = 0) -> dict[str, Columns]:
    made = {}
    for seed, symbol in enumerate(symbols, first):
        made[symbol] = Columns(symbol, HOUR_MS)
        for open_ms, *numbers in zip(times(count), *walk(count, seed), strict=True):
            made[symbol].append(open_ms, tuple(numbers))
    return made


def built(past=lambda c: _change(c, 24), outcome=lambda c: (_shifted(c, -AHEAD) > c).astype(float)):
    """A way to make rows: one feature and one outcome of the closes (n,) of each symbol."""

    def build(bars_of, span) -> Dataset:
        parts = []
        for number, columns in enumerate(bars_of.values()):
            close = np.array(columns.floats[3])
            at = np.arange(24, len(close) - AHEAD)
            made = {"x": past(close)[at][:, None], "outcome": outcome(close)[at]}
            when = np.array(columns.open_ms)[at] + HOUR_MS
            parts.append((np.full(len(at), number), when, made["x"], made["outcome"]))
        symbol, when, x, came = (np.concatenate(column) for column in zip(*parts, strict=True))
        order, one = np.lexsort((symbol, when)), np.ones(len(symbol))
        return Dataset(
            *(("past",), tuple(bars_of), symbol.astype(np.int32)[order], when[order], when[order] + AHEAD * HOUR_MS),
            *(x[order], came[order], came[order], one, one, one, one > 0),
        )

    return build


def _shifted(close, by):
    return np.roll(close, by)


def _change(close, by):
    return close / np.roll(close, by) - 1


def test_honest_rows_have_no_fault():
    """A feature of the last day, a label that ends before it is used: nothing is found."""
    assert faults(bars(3000), HOUR, built()) == ()


def test_a_feature_that_looks_one_bar_ahead_is_named():
    """A return that reaches one bar into the future is caught, by its name."""
    found = faults(bars(3000), HOUR, built(past=lambda close: _shifted(close, -1) / close - 1))
    assert found == ("past knows bars that had not closed yet",)


def test_a_feature_scaled_by_the_whole_history_is_named():
    """Standardising by the mean of all bars, also those to come, is a look ahead."""
    assert faults(bars(3000), HOUR, built(past=lambda close: close / close.mean()))


def test_a_feature_that_hangs_on_where_history_begins_is_named():
    """A sum from the first bar on is another number for whoever started later, and would be so after a restart."""
    found = faults(bars(3000), HOUR, built(past=lambda close: np.cumsum(np.sign(np.diff(close, prepend=close[0])))))
    assert found == ("past hangs on where its history begins",)


def test_a_label_that_changes_later_is_found():
    """What became of a bet must not change once it has ended."""
    found = faults(bars(3000), HOUR, built(outcome=lambda close: (close > np.median(close)).astype(float)))
    assert "the outcome of a bet changes after it has ended" in found


def test_rows_that_come_and_go_with_the_future_are_found():
    """Whoever learns only from bets that came out well has chosen by their end, though no number of a row shows it."""

    def winners(bars_of, span) -> Dataset:
        made = built(outcome=lambda close: np.ones(len(close)))(bars_of, span)
        rose = np.concatenate([_shifted(np.array(one.floats[3]), -AHEAD) > one.floats[3] for one in bars_of.values()])
        at = (made.start_ms - min(one.open_ms[0] for one in bars_of.values())) // HOUR_MS - 1
        return made.take(rose[made.symbol * len(rose) // len(bars_of) + at])

    assert faults(bars(WINDOW), HOUR, winners) == ("whether a bar is learnt from depends on bars after it",)


def test_too_short_a_history_is_not_called_sound():
    """With fewer bars than a stretch has nothing can be changed: what was not looked at is not said to be well."""
    assert faults(bars(WINDOW), HOUR, built()) == ()
    assert faults(bars(WINDOW - 1), HOUR, built()) == (
        "2,399 bars are too few to look for a look ahead: 2,400 are needed",
    )


@pytest.mark.parametrize("symbols", [("BTCUSDT", "ETHUSDT"), ("ETHUSDT",)])
def test_the_rows_models_really_learn_from_have_no_fault(symbols):
    """Every feature and label of the lab passes: no look-ahead, no recursion fault, also among symbols."""
    assert faults(bars(2600, symbols), HOUR, partial(dataset.build, stride=1)) == ()


def test_recorded_rows_have_no_fault():
    """Holes, flat hours and gaps of real markets make no feature look ahead or hang on where it began."""
    made = {}
    for symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT"):
        open_ms, numbers = recorded(symbol, 5_000)
        made[symbol] = Columns(symbol, HOUR_MS)
        for at, *bar in zip(open_ms, *numbers, strict=True):
            made[symbol].append(at, tuple(bar))
    assert faults(made, HOUR, partial(dataset.build, stride=1)) == ()


def test_a_future_planted_among_the_real_features_is_caught():
    """One column of forty-three that knows the outcome is found and named; the others stay unsuspected."""

    def planted(bars_of, span):
        made = dataset.build(bars_of, span, 1)
        # what the close will be one bar on
        for number, columns in enumerate(bars_of.values()):
            mine = made.symbol == number
            at = (made.start_ms[mine] - columns.open_ms[0]) // HOUR_MS - 1
            close = np.array(columns.floats[3])
            made.x[mine, 5] = close[at + 1] / close[at] - 1
        return made

    assert f"{MODEL_NAMES[5]} knows bars that had not closed yet" in faults(bars(2600), HOUR, planted)


@pytest.mark.parametrize("seed", range(3))
def test_a_rank_that_knows_the_next_bar_is_caught(seed):
    """Which symbol will do better tells the future too, and stays as it is where all of them become dearer alike."""

    def ranked(bars_of, span) -> Dataset:
        made = built()(bars_of, span)
        close = {symbol: np.array(columns.floats[3]) for symbol, columns in bars_of.items()}
        lead = np.diff(np.log(close["BTCUSDT"])) > np.diff(np.log(close["ETHUSDT"]))
        at = (made.start_ms - bars_of["BTCUSDT"].open_ms[0]) // HOUR_MS - 1
        made.x[:, 0] = lead[at] == (made.symbol == 0)
        return made

    assert faults(bars(WINDOW, first=2 * seed), HOUR, ranked) == ("past knows bars that had not closed yet",)
