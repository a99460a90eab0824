from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learn.judge import sharpe
from core.learn.judge.sharpe import Record

# Bailey, Lopez de Prado 2014, "A numerical example": 2.5 a year over 1,250 days, 250 a year, 100 trials, variance 1/2
STRATEGY = Record(2.5 / math.sqrt(250), 1_250, -3.0, 10.0)
VARIANCE = 1 / (2 * 250)


def test_the_papers_example_of_a_deflated_sharpe_ratio():
    """100 trials: the best worthless one shows 0.1132 a day, and the record is real with probability 0.9004."""
    assert sharpe.best_of_nothing(100, VARIANCE) == pytest.approx(0.1132, abs=5e-5)
    assert sharpe.deflated(STRATEGY, 100, VARIANCE) == pytest.approx(0.9004, abs=5e-5)


def test_the_papers_example_with_fewer_trials():
    """After 46 trials, or 88 were returns normal, the same record would have passed 95 %."""
    assert sharpe.deflated(STRATEGY, 46, VARIANCE) == pytest.approx(0.9505, abs=5e-5)
    normal = Record(STRATEGY.sharpe, STRATEGY.periods)
    assert sharpe.deflated(normal, 88, VARIANCE) == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize(("per_year", "years"), [(252, 2.73), (52, 2.83), (12, 3.24)])
def test_the_papers_minimum_track_record(per_year, years):
    """To show a Sharpe ratio of 2 to be above 1 takes 2.73 years of days, 2.83 of weeks, 3.24 of months."""
    of = Record(2 / math.sqrt(per_year), 0)
    assert sharpe.shortest_record(of, 1 / math.sqrt(per_year)) / per_year == pytest.approx(years, abs=0.006)


def test_a_record_below_its_benchmark_never_lasts_long_enough():
    """What is not better does not become so by lasting."""
    assert sharpe.shortest_record(Record(0.05, 100), 0.05) == math.inf


@settings(max_examples=60)
@given(st.floats(0.01, 0.3), st.floats(-2, 1), st.floats(3, 15))
def test_a_record_just_long_enough_is_just_sure_enough(ratio, skew, kurtosis):
    """The minimum track record and the probabilistic Sharpe ratio are one formula read both ways."""
    needed = sharpe.shortest_record(Record(ratio, 0, skew, kurtosis))
    assert sharpe.probabilistic(Record(ratio, round(needed) + 1, skew, kurtosis)) >= 0.9499


@settings(max_examples=60)
@given(st.floats(-0.2, 0.3), st.integers(2, 3000), st.integers(1, 500))
def test_more_trials_never_make_a_record_surer(ratio, periods, trials):
    """Trying more often can only raise the doubt; the result stays a probability."""
    fewer, more = (sharpe.deflated(Record(ratio, periods), n, 0.001) for n in (trials, trials + 1))
    assert 0.0 <= more <= fewer <= 1.0


def test_the_best_of_nothing_is_what_drawing_shows():
    """The highest of 50 normal draws is, on average, what the formula says."""
    best = np.random.default_rng(5).normal(size=(20_000, 50)).max(axis=1).mean()
    assert sharpe.best_of_nothing(50, 1.0) == pytest.approx(best, rel=0.02)


def test_a_single_trial_is_not_deflated():
    """Who tried once is judged against zero."""
    assert sharpe.best_of_nothing(1, 0.5) == 0.0


def test_a_record_is_measured_as_scipy_measures_it():
    """Mean over spread, skew and (full) kurtosis of the returns."""
    returns = np.random.default_rng(2).gamma(2.0, 0.01, 900) - 0.018
    of = sharpe.record(returns)
    assert of.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert of.skew == pytest.approx(scipy.stats.skew(returns))
    assert of.kurtosis == pytest.approx(scipy.stats.kurtosis(returns, fisher=False))


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0, 0.0], [0.01, 0.01, 0.01]])
def test_a_record_that_never_moves_proves_nothing(returns):
    """No returns, or always the same: a Sharpe ratio of zero."""
    assert sharpe.record(np.array(returns)).sharpe == 0.0


def test_a_year_has_all_its_days():
    """Crypto trades all year: 365.25 days, not 252."""
    assert sharpe.annual(1.0) == pytest.approx(math.sqrt(365.25))


def test_copies_of_a_trial_are_one_trial():
    """Forty trials that all did the same count as one; forty that share nothing as forty."""
    random = np.random.default_rng(8)
    alone = random.normal(size=(20_000, 1))
    assert sharpe.independent_trials(np.tile(alone, 40)) == pytest.approx(1.0)
    assert sharpe.independent_trials(random.normal(size=(20_000, 40))) == pytest.approx(40, rel=0.05)
    assert sharpe.independent_trials(np.zeros((100, 5))) == 1.0


def test_choosing_among_noise_is_found_to_be_overfitting():
    """The best of forty worthless trials is below the median out of sample in about half of the splits."""
    random = np.random.default_rng(4)
    found = [sharpe.overfitting(random.normal(size=(800, 40)), 10) for _ in range(20)]
    assert 0.4 <= np.mean(found) <= 0.6


def test_choosing_a_true_strategy_is_not():
    """One of forty trials that truly earns is found again out of sample almost always."""
    performance = np.random.default_rng(4).normal(size=(800, 40))
    performance[:, 7] += 0.25
    assert sharpe.overfitting(performance, 10) < 0.02


def test_overfitting_equals_the_definition_counted_slowly():
    """The fast matrix form gives what the paper's five steps give one by one."""
    performance = np.random.default_rng(9).normal(size=(60, 5))
    parts = np.array_split(np.arange(60), 6)
    below, count = 0, 0
    for half in sharpe.combinations(range(6), 3):
        inside = np.concatenate([parts[i] for i in half])
        outside = np.setdiff1d(np.arange(60), inside)
        ratios = [performance[at].mean(axis=0) / performance[at].std(axis=0) for at in (inside, outside)]
        rank = scipy.stats.rankdata(ratios[1])[int(np.argmax(ratios[0]))] / 6
        below += math.log(rank / (1 - rank)) <= 0
        count += 1
    assert sharpe.overfitting(performance, 6) == below / count


def test_a_choice_by_the_mean_is_judged_by_the_mean():
    """Where the highest mean is chosen, a calm trial with a lower one is not mistaken for the best."""
    random = np.random.default_rng(3)
    wild, calm = random.normal(0.5, 3.0, 4_000), random.normal(0.1, 0.01, 4_000)
    trials = np.column_stack([wild, calm, calm - 0.01, calm - 0.02])
    assert sharpe.overfitting(trials, 8, sharpe.means) == 0.0
    assert sharpe.overfitting(trials[:, ::-1], 8, sharpe.ratios) == 0.0
    luck = np.column_stack([*random.normal(0.0, 1.0, (3, 4_000)), np.full(4_000, -0.5)])
    assert sharpe.overfitting(luck, 8, sharpe.means) > 0.1


def test_trials_that_never_bet_tie_and_do_not_disturb():
    """Trials without a single bet have a ratio of zero, not an error."""
    performance = np.zeros((200, 6))
    performance[:, 0] = np.random.default_rng(1).normal(1.0, 1.0, 200)
    assert sharpe.overfitting(performance, 8) == 0.0


def test_a_single_trial_was_not_chosen():
    """Without a choice there is no overfitting by choosing; without two blocks none can be ruled out."""
    assert sharpe.overfitting(np.ones((100, 1))) == 0.0
    assert sharpe.overfitting(np.ones((1, 3))) == 1.0
