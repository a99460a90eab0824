"""What became of a bet on every bar is what the record would have booked: core.learn.data.labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learn import outcomes, rule
from core.learn.data.labels import Bets, Series, bets, uniqueness
from core.learn.outcomes import BET_SIZE, COUNT, WON
from tests.learn.markets import recorded, times, walk


def series(open_ms: list[int], columns) -> Series:
    return np.array(open_ms), *(np.array(column) for column in columns)


def of_walk(bars: int, seed: int, gaps: float = 0.0) -> Series:
    """A walk whose opens jump by ``gaps`` (standard deviation of the log), so that barriers are passed by gaps too."""
    open_ms, open_, high, low, close, volume = series(times(bars), walk(bars, seed, flat_share=0.1))
    jumps = np.exp(np.cumsum(np.random.default_rng(seed).normal(0, gaps, bars)))
    return open_ms, open_ * jumps, high * jumps, low * jumps, close * jumps, volume


def stepped(bars: Series, at: int, atr_share: float) -> tuple[int, float] | None:
    """Last bar of the bet and the part of a win the record books, bar by bar; None where the data end before it."""
    state = [0.0] * BET_SIZE
    outcomes.open_bet(state, 0, *rule.barriers(atr_share), rule.HORIZON)
    for bar in range(at + 1, len(bars[0])):
        outcomes.settle(state, 0, *(float(column[bar]) for column in bars[1:5]))
        if state[COUNT]:
            return bar, state[WON]
    return None


def booked(found: Bets) -> np.ndarray:
    """The part of a win as the record counts it: a gap through the stop is less than nothing."""
    return np.clip((found.move + found.loss) / (found.win + found.loss), outcomes.WORST, 1.0)


def assert_as_stepped(bars: Series, at: np.ndarray, atr_share: np.ndarray) -> Bets:
    found = bets(bars, at, atr_share)
    assert found.at.tolist() == at[at + rule.HORIZON < len(bars[0])].tolist()
    for k, place in enumerate(found.at):
        share = float(atr_share[np.searchsorted(at, place)])
        assert (found.end[k], booked(found)[k]) == stepped(bars, int(place), share)
        assert (found.win[k], found.loss[k]) == rule.barriers(share)
    return found


@pytest.mark.parametrize(("seed", "gaps"), [(1, 0.0), (2, 0.02), (3, 0.05)])
def test_every_bet_ends_as_the_record_would_have_booked_it(seed: int, gaps: float):
    """The same bar and the same outcome to the last bit, over calm hours, dead hours and gaps through both barriers."""
    bars = of_walk(900, seed, gaps)
    atr_share = np.random.default_rng(seed).uniform(0.002, 0.1, 900)
    found = assert_as_stepped(bars, np.arange(900), atr_share)
    ended_early = found.end < found.at + rule.HORIZON
    assert ended_early.any()
    assert not ended_early.all()


def test_recorded_hours_end_as_the_record_would_have_booked_them():
    """Real Bitcoin hours with the holes of 2018, a bet on every one of them."""
    bars = series(*recorded("BTCUSDT", 4000))
    assert (np.diff(bars[0]) > 3_600_000).any()
    atr_share = np.convolve((bars[2] - bars[3]) / bars[4], np.full(14, 1 / 14))[:4000]
    assert_as_stepped(bars, np.arange(2000, 4000), atr_share[2000:])


def flat(bars: int = 200) -> list[np.ndarray]:
    return [np.full(bars, 100.0) for _ in range(5)]


def test_behind_a_hole_the_bet_meets_the_first_bar_there_is():
    """The market reopens a week later under the stop: the bet ends there, at that open, and not by the calendar."""
    open_ms, columns = times(200), flat()
    open_ms[50:] = [at + 7 * 86_400_000 for at in open_ms[50:]]
    for column in columns[:4]:
        column[50] = 90.0
    found = bets((np.array(open_ms), *columns), np.array([48]), np.array([0.01]))
    assert (found.end[0], found.move[0]) == (50, pytest.approx(-0.1))


@pytest.mark.parametrize(("column", "price", "move"), [(2, 97.0, -0.03), (1, 106.0, 0.06)])
def test_a_barrier_just_reached_is_reached(column: int, price: float, move: float):
    """A low at the stop itself, or a high at the target, ends the bet in that bar."""
    columns = flat()
    columns[column][20] = price
    found = bets((np.array(times(200)), *columns), np.array([10]), np.array([0.01]))
    assert (found.end[0], found.move[0]) == (20, move)


def test_a_bet_the_data_cut_has_no_label_even_if_it_ended_early():
    """Of the last bars only the quick bets would be known: a label there would be chosen for being quick."""
    columns = flat()
    columns[2][150:] = 90.0
    found = bets((np.array(times(200)), *columns), np.arange(200), np.full(200, 0.01))
    assert found.at[-1] == 200 - rule.HORIZON - 1


@given(st.integers(100, 400))
def test_more_history_changes_no_label(bars: int):
    """A label once known stays: nothing behind its horizon was looked at."""
    whole = of_walk(400, 5, 0.01)
    atr_share = np.full(400, 0.01)
    early = bets(tuple(column[:bars] for column in whole), np.arange(bars), atr_share[:bars])  # type: ignore[arg-type]
    late = bets(whole, np.arange(400), atr_share)
    known = len(early.at)
    assert early.end.tolist() == late.end[:known].tolist()
    assert early.move.tolist() == late.move[:known].tolist()


@pytest.mark.parametrize("atr_share", [np.nan, 0.0, 0.31, -0.01])
def test_barriers_that_do_not_fit_make_no_bet(atr_share: float):
    """No range, or a stop of nine tenths of the price: there is nothing to bet on."""
    assert len(bets((np.array(times(200)), *flat()), np.array([10]), np.array([atr_share])).at) == 0


def test_the_outcome_learned_stays_within_a_loss_and_a_win_and_the_move_does_not():
    """A gap through the stop is a loss to learn from, but in money it is what it was."""
    columns = flat()
    for column in columns[:4]:
        column[12:] = 50.0
    found = bets((np.array(times(200)), *columns), np.array([10]), np.array([0.01]))
    assert (found.outcome[0], found.move[0]) == (0.0, -0.5)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=25))
def test_uniqueness_is_the_mean_share_of_the_bars_a_bet_lives(drawn: list[tuple[int, int]]):
    """In each bar the running bets share one story equally."""
    lives = [range(first, first + more + 1) for first, more in sorted(drawn)]
    expected = [np.mean([1 / sum(bar in other for other in lives) for bar in life]) for life in lives]
    first, last = (np.array([life[k] for life in lives], np.int64) for k in (0, -1))
    assert uniqueness(first, last).tolist() == pytest.approx(expected)


def test_bets_apart_count_in_full_and_equal_ones_share():
    """Two alone weigh 1 each, three on the same bars a third each."""
    first = np.array([0, 5, 20, 20, 20])
    assert uniqueness(first, np.array([4, 9, 29, 29, 29])).tolist() == pytest.approx([1, 1, 1 / 3, 1 / 3, 1 / 3])
