"""How rows are cut: every study apart from what it is judged on, and the last one whole."""

import numpy as np
import pytest

from core.domain.errors import BadData
from core.learn.fit.cuts import cut
from tests.learn.fit.drawn import HOUR_MS, drawn

EMBARGO_MS = 96 * HOUR_MS


def test_no_study_trains_on_a_label_that_touches_its_test():
    """Purged by when labels end and kept away by the embargo, over all symbols, in every one of the twenty splits."""
    data = drawn(3000)
    cuts = cut(data, 1, EMBARGO_MS)
    assert len(cuts.studies) == 5 + 15 + 1
    for study in cuts.studies[:-1]:
        first, last = data.start_ms[study.test], data.end_ms[study.test]
        for row in study.train[::50]:
            assert not ((data.start_ms[row] <= last) & (data.end_ms[row] >= first)).any()
        for block in np.split(study.test, np.flatnonzero(np.diff(study.test) > 1) + 1):
            since = data.start_ms[study.train] - data.end_ms[block].max()
            assert not ((since > 0) & (since <= EMBARGO_MS)).any()
        assert set(study.coarse) <= set(study.train)


def test_the_last_study_has_every_row_and_tests_none():
    """The finished model learns from everything there is."""
    data = drawn(3000)
    last = cut(data, 1, EMBARGO_MS).studies[-1]
    assert (last.train == np.arange(len(data))).all()
    assert not len(last.test)


def test_every_study_draws_from_a_seed_of_its_own():
    """Two searches that drew alike would be one search."""
    seeds = [study.seed for study in cut(drawn(3000), 7, EMBARGO_MS).studies]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(("bars", "step"), [(3000, 1), (17_000, 2), (40_000, 4), (60_000, 4)])
def test_the_search_is_coarser_only_where_there_are_rows_enough(bars, step):
    """Few rows are all looked at; of many, every fourth is enough."""
    data = drawn(bars, features=3)
    assert len(cut(data, 1, EMBARGO_MS).coarse) == pytest.approx(len(data) / step, abs=2)


def test_an_embargo_longer_than_the_data_leaves_too_little_and_says_so():
    """Where nothing is left to train on, that is said, and nothing is trained."""
    with pytest.raises(BadData, match="bets are left to train on beside each test: load more history"):
        cut(drawn(2400), 1, 10**12)
