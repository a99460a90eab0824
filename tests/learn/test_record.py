"""What came of forecasts, and how much of it is news."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lab_ports import Settled
from core.learn.record import Tally

HOUR_MS = 3_600_000


def settled(hour: int, outcome: float, p: float = 0.4, lasts: int = 1, symbol: str = "BTCUSDT") -> Settled:
    return Settled(symbol, hour * HOUR_MS, (hour + lasts) * HOUR_MS, p, p - 0.1, outcome)


def tally(*forecasts: Settled) -> Tally:
    made = Tally()
    made.add(forecasts)
    return made


def test_a_bin_says_what_was_said_and_what_came_of_it():
    """'When I said 60 %, it was 57 % of 83 times' is arithmetic."""
    track = tally(*(settled(k, float(k < 47), 0.6) for k in range(83))).track("m")
    assert track.sentences[0] == "When I said 60%, it was 57% of 83 times."
    assert track.brier == pytest.approx((47 * 0.16 + 36 * 0.36) / 83)


def test_forecasts_of_like_height_share_a_bin_and_others_do_not():
    """58 % and 61 % are told together, 40 % apart."""
    track = tally(settled(0, 1.0, 0.58), settled(1, 0.0, 0.61), settled(2, 1.0, 0.40)).track("m")
    assert [(round(one.said, 3), one.came, one.count) for one in track.bins] == [(0.4, 1.0, 1), (0.595, 0.5, 2)]


def test_the_three_fullest_bins_are_told_lowest_first():
    """A phone shows a few lines, in order."""
    many = [settled(k, 1.0, p) for k, p in enumerate([0.9] + [0.7] * 2 + [0.2] * 3 + [0.5] * 4)]
    assert [line[:15] for line in tally(*many).track("m").sentences[:3]] == [
        "When I said 20%", "When I said 50%", "When I said 70%"
    ]  # fmt: skip


def test_bets_that_do_not_overlap_each_count_whole():
    """Ten bets, one after the other, are ten bets."""
    assert tally(*(settled(5 * k, float(k % 2), lasts=5) for k in range(10))).effective == pytest.approx(10)


def test_bets_that_overlap_wholly_count_by_the_time_they_cover():
    """A bet an hour that lasts forty hours: 400 forecasts are worth eleven bets."""
    one = tally(*(settled(k, float(k // 40 % 2), lasts=40) for k in range(400)))
    assert one.effective == pytest.approx((399 + 40) / 40)


def test_a_pause_between_forecasts_is_not_counted_as_covered():
    """Downtime makes no bet out of nothing."""
    hours = [*range(40), *range(1000, 1040)]
    one = tally(*(settled(k, float(k // 7 % 2), lasts=10) for k in hours))
    assert one.effective == pytest.approx((39 + 10 + 39 + 10) / 10)


@pytest.mark.parametrize(("together", "worth"), [(True, 300), (False, 1500)])
def test_pairs_that_fall_together_are_one_story(together: bool, worth: int):
    """Five pairs with one fate count as one, five with their own as five."""
    rng = random.Random(1)
    forecasts = []
    for k in range(300):
        fates = [float(rng.random() < 0.4)] * 5 if together else [float(rng.random() < 0.4) for _ in range(5)]
        forecasts += [settled(k, fate, symbol=f"S{i}") for i, fate in enumerate(fates)]
    assert tally(*forecasts).effective == pytest.approx(worth, rel=0.15)


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1), st.floats(0.1, 1), st.integers(1, 9)), max_size=60))
def test_the_effective_count_lies_between_one_and_all_and_blocks_change_nothing(drawn):
    """Whatever came, in whatever blocks it is read."""
    forecasts = [settled(h, o, p, lasts, "AB"[k % 2]) for k, (h, o, p, lasts) in enumerate(sorted(drawn))]
    whole, parts = tally(*forecasts), Tally()
    for one in forecasts:
        parts.add([one])
    assert parts == whole or parts.track("m") == whole.track("m")
    assert whole.effective == 0 if not forecasts else 1 <= whole.effective <= len(forecasts) + 1e-9


def test_nothing_settled_is_a_sentence():
    """The first days of a model have an answer too."""
    track = Tally().track("m")
    assert (track.count, track.effective) == (0, 0.0)
    assert "Nothing is settled yet" in track.sentences[0]


def test_residuals_of_overlapping_bets_are_taken_once():
    """The window that looks for a change sees each stretch of time once a pair."""
    one = tally(*(settled(k, 1.0, lasts=10) for k in range(100)))
    assert one.window.width == 10
