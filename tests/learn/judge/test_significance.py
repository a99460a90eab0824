from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learn.judge import significance

HOUR_MS = 3_600_000


def market(n: int = 3_000, symbols: int = 3, seed: int = 1):
    """Candidate rows of several symbols on one time line, moves without any edge."""
    random = np.random.default_rng(seed)
    start = np.repeat(np.arange(n) * HOUR_MS, symbols)
    symbol = np.tile(np.arange(symbols), n)
    return symbol, start, random.normal(0.0, 0.02, n * symbols)


def test_bets_chosen_with_foresight_are_found_out():
    """Whoever bets on the best moments only is better than every random entry: the smallest p-value there is."""
    symbol, start, move = market()
    result = significance.against_random(symbol, start, move, np.flatnonzero(move > 0.03), 1, 500)
    assert result.chance == 1 / 501
    assert result.mean > result.random_mean + 5 * result.random_spread


def test_bets_without_skill_have_p_values_of_every_size():
    """Over many random choices the p-value is even: it is below one tenth in about a tenth of the cases."""
    symbol, start, move = market()
    random, found = np.random.default_rng(3), []
    for seed in range(200):
        taken = np.sort(random.choice(len(move), 60, replace=False))
        found.append(significance.against_random(symbol, start, move, taken, seed, 99).chance)
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


def test_clusters_of_luck_are_not_taken_for_skill():
    """Bets in few clusters of a drifting market have p-values that know it: they are not small too often."""
    random, small = np.random.default_rng(6), 0
    for seed in range(150):
        drift = np.repeat(random.normal(0, 0.02, 30), 100)
        start, symbol = np.arange(3_000) * HOUR_MS, np.zeros(3_000, dtype=int)
        move = drift + random.normal(0, 0.005, 3_000)
        first = int(random.integers(0, 2_900))
        taken = np.arange(first, first + 80)
        small += significance.against_random(symbol, start, move, taken, seed, 99).chance <= 0.05
    assert small / 150 <= 0.11


def test_each_symbol_is_compared_with_itself():
    """A symbol that always rises proves no skill: its random entries rise as much."""
    symbol, start, move = market()
    move = np.where(symbol == 1, 0.05, 0.0)
    result = significance.against_random(symbol, start, move, np.flatnonzero(symbol == 1)[::50], 1, 200)
    assert result.mean == result.random_mean == pytest.approx(0.05)
    assert result.chance == 1.0


def test_the_same_seed_gives_the_same_answer():
    """A judgement can be repeated to the last digit."""
    symbol, start, move = market()
    taken = np.arange(0, 9_000, 97)
    assert significance.against_random(symbol, start, move, taken, 5) == significance.against_random(
        symbol, start, move, taken, 5
    )
    assert significance.against_random(symbol, start, move, taken, 6) != significance.against_random(
        symbol, start, move, taken, 5
    )


def test_symbols_that_came_later_are_moved_within_their_own_time():
    """A symbol listed half way is compared with its own rows only, also where rows are missing."""
    symbol, start, move = market(1_000, 2)
    keep = (symbol == 0) | ((start > 500 * HOUR_MS) & (start % (7 * HOUR_MS) != 0))
    symbol, start, move = symbol[keep], start[keep], np.where(symbol == 1, 0.01, 9.0)[keep]
    result = significance.against_random(symbol, start, move, np.flatnonzero(symbol == 1)[::30], 2, 100)
    assert result.random_mean == pytest.approx(0.01)


def test_no_bets_prove_nothing():
    """Who never bets has no p-value but one."""
    symbol, start, move = market(50)
    assert significance.against_random(symbol, start, move, np.zeros(0, dtype=np.int64), 1).chance == 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 1_000))
def test_a_p_value_is_never_zero(bets, seed):
    """However good the bets, luck is never ruled out."""
    symbol, start, move = market(100)
    taken = np.sort(np.random.default_rng(seed).choice(len(move), bets, replace=False))
    assert 1 / 100 <= significance.against_random(symbol, start, move, taken, seed, 99).chance <= 1.0


def test_a_loss_that_is_higher_is_no_gain_by_luck():
    """The test asks one side only: what is worse than its baseline would be as good by luck almost always."""
    random = np.random.default_rng(2)
    loss, block = random.normal(0.6, 0.1, 400), np.repeat(np.arange(20), 20)
    assert significance.gain(loss + 0.05, loss, np.ones(400), block).chance > 0.99
    assert significance.gain(loss, loss + random.normal(0.05, 0.01, 400), np.ones(400), block).chance < 0.01


def test_a_gain_is_the_paired_t_test_of_its_blocks():
    """With blocks of equal weight the test is the textbook's paired t-test of the blocks' means."""
    random = np.random.default_rng(2)
    loss, other, block = random.normal(0.6, 0.1, 400), random.normal(0.62, 0.1, 400), np.repeat(np.arange(20), 20)
    found = significance.gain(loss, other, np.ones(400), block)
    differences = (other - loss).reshape(20, 20).mean(axis=1)
    expected = scipy.stats.ttest_1samp(differences, 0.0, alternative="greater")
    assert found.mean == pytest.approx(differences.mean())
    assert found.error == pytest.approx(scipy.stats.sem(differences))
    assert found.chance == pytest.approx(expected.pvalue)
    assert found.blocks == 20


def test_rows_copied_within_their_block_make_no_gain_surer():
    """Overlapping rows of one month are one witness, however many they are."""
    random = np.random.default_rng(2)
    cases = random.normal(0.6, 0.1, 400), random.normal(0.61, 0.1, 400), np.ones(400), np.repeat(np.arange(20), 20)
    copied = significance.gain(*(np.tile(one, 5) for one in cases))
    assert copied.error == pytest.approx(significance.gain(*cases).error)


def test_a_gain_in_a_single_block_is_no_proof():
    """One month alone can be luck."""
    one = np.zeros(10)
    assert significance.gain(one, one + 1, np.ones(10), np.zeros(10, dtype=int)).chance == 1.0


def test_no_difference_is_no_gain():
    """Two models that say the same do not beat each other; one always better by the same is beyond doubt."""
    loss, weight, block = np.full(30, 0.5), np.ones(30), np.arange(30) // 3
    assert significance.gain(loss, loss, weight, block).chance == 1.0
    assert significance.gain(loss, loss + 0.25, weight, block).chance == 0.0
