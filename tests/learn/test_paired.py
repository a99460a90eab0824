"""Two models on the same bets: who is better is said only where days can tell."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lab_ports import Twofold
from core.learn.paired import DAY_MS, DAYS_MIN, Duel, Paired, needed, student
from core.learn.rule import HORIZON

HOUR_MS = 3_600_000
LONGEST_MS = 96 * HOUR_MS


def fought(days: int, p: float, other_p: float, seed: int = 1, wobble: float = 0.0) -> Duel:
    """A duel of so many whole days, a bet an hour, four in ten come true, in runs of a day; both ``wobble`` by day."""
    rng, paired = random.Random(seed), Paired(LONGEST_MS)
    for day in range(days + 1):
        outcome, one, other = float(rng.random() < 0.4), p + rng.gauss(0, wobble), other_p + rng.gauss(0, wobble)
        paired.add(Twofold((day * 24 + hour) * HOUR_MS, one, other, outcome) for hour in range(24))
    return paired.duel("aaa", "bbb")


def test_equal_forecasts_are_not_worse():
    """Where both say the same, the newer one may take over."""
    duel = fought(20, 0.4, 0.4)
    assert duel.chance_worse == 0.5
    assert (duel.won, duel.lost) == (True, False)


def test_a_challenger_far_off_is_clearly_worse_and_the_other_way_round_clearly_not():
    """The sign of the difference is the challenger's."""
    assert fought(25, 0.4, 0.95).lost
    assert fought(25, 0.95, 0.4).won


def test_fewer_than_two_weeks_decide_nothing():
    """However clear it looks."""
    duel = fought(DAYS_MIN - 1, 0.4, 0.95)
    assert (duel.won, duel.lost, duel.days) == (False, False, DAYS_MIN - 1)
    assert "is not judged yet" in duel.sentence


def test_the_day_that_is_not_over_is_left_out():
    """A judgement changes once a day, not with every look."""
    paired = Paired(LONGEST_MS)
    paired.add([Twofold(day * DAY_MS, 0.4, 0.5, 1.0) for day in range(3)])
    before = paired.duel("a", "b")
    paired.add([Twofold(2 * DAY_MS + hour * HOUR_MS, 0.4, 0.99, 0.0) for hour in range(1, 20)])
    assert paired.duel("a", "b") == before


@pytest.mark.parametrize("first_hour", [0, 1, 23])
def test_a_challenger_has_been_judged_by_the_time_that_is_needed(first_hour: int):
    """Whatever the hour it began at: whoever replaces it earlier never sees one promoted."""
    hours = needed(timedelta(hours=1)) // timedelta(hours=1) - HORIZON  # the newest bets are not settled
    paired = Paired(LONGEST_MS)
    paired.add(Twofold((first_hour + k) * HOUR_MS, 0.4, 0.4, 0.0) for k in range(hours))
    assert paired.duel("a", "b").enough


def test_no_bet_in_common_is_said_so():
    """A question about models that never met gets an answer."""
    duel = Paired(LONGEST_MS).duel("a", "b")
    assert duel.count == 0
    assert duel.sentence == "b and a have no settled bet in common yet."


def test_bets_that_come_in_runs_are_worth_few():
    """Five hundred forecasts whose days fall together are no five hundred bets, and the sentence says so."""
    duel = fought(21, 0.4, 0.5)
    assert duel.count == 504
    assert duel.effective < 60
    assert f"worth {round(duel.effective)} apart" in duel.sentence


def test_of_two_equally_good_models_few_are_sent_away():
    """Also where bets last for days and one good day brings the next: noise of the same size is no reason."""
    lost = 0
    for seed in range(200):
        rng, paired = random.Random(seed), Paired(LONGEST_MS)
        for day in range(31):
            if day % 4 == 0:
                outcome, one, other = float(rng.random() < 0.4), 0.4 + rng.gauss(0, 0.05), 0.4 + rng.gauss(0, 0.05)
            paired.add(Twofold((day * 24 + hour) * HOUR_MS, one, other, outcome) for hour in range(24))
        lost += paired.duel("aaa", "bbb").lost
    assert lost <= 10


@given(st.floats(-30, 30), st.integers(1, 400))
def test_students_t_agrees_with_scipy(t: float, freedom: int):
    """Our tail of Student's t is the known one."""
    stats = pytest.importorskip("scipy.stats", reason="the judge is not installed")
    assert student(t, freedom) == pytest.approx(float(stats.t.cdf(t, freedom)), abs=1e-7)
