"""No row is trained on that knows the test: core.learn.data.splits, held against the definition row by row."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.data.splits import CombinatorialPurgedCV, PurgedKFold, WalkForward

Times = tuple[np.ndarray, np.ndarray]


@st.composite
def labels(draw: st.DrawFn, moments_min: int = 8) -> Times:
    """Starts and ends of up to 45 labels of any length, several at one moment, in any order of rows."""
    moments = draw(st.lists(st.integers(0, 60), min_size=moments_min, max_size=15, unique=True))
    starts = [at for at in moments for _ in range(draw(st.integers(1, 3)))]
    lengths = [draw(st.integers(0, 40)) if draw(st.booleans()) else 2 for _ in starts]
    rows = draw(st.permutations(range(len(starts)))) if draw(st.booleans()) else sorted(range(len(starts)))
    start = np.array([starts[row] for row in rows])
    return start, start + np.array([lengths[row] for row in rows])


embargoes = st.sampled_from([0, 1, 3, 10, 1000])


def clear_of(tests: list[np.ndarray], start: np.ndarray, end: np.ndarray, embargo_ms: int) -> list[int]:
    """The definition: every row that is in no test block, overlaps no test label, and is under no embargo."""
    kept = []
    in_test = {int(row) for block in tests for row in block}
    for row in range(len(start)):
        overlaps = any(start[row] <= end[other] and end[row] >= start[other] for other in in_test)
        embargoed = any(end[block].max() < start[row] <= end[block].max() + embargo_ms for block in tests)
        if row not in in_test and not overlaps and not embargoed:
            kept.append(row)
    return kept


def rows_of(cv: PurgedKFold | CombinatorialPurgedCV | WalkForward, block: int) -> np.ndarray:
    return np.flatnonzero(cv.blocks == block)


@given(labels(), st.integers(2, 8), embargoes)
def test_kfold_trains_on_exactly_the_rows_the_definition_leaves(times: Times, count: int, embargo_ms: int):
    """Not one row more, which would know the test, and not one less, which would waste history."""
    cv = PurgedKFold(*times, count, embargo_ms)
    for block, (train, test) in enumerate(cv.split()):
        assert test.tolist() == rows_of(cv, block).tolist()
        assert train.tolist() == clear_of([test], *times, embargo_ms)


@given(labels(), st.integers(3, 6), st.data(), embargoes)
def test_combinations_train_on_exactly_the_rows_the_definition_leaves(
    times: Times, count: int, data: st.DataObject, embargo_ms: int
):
    """With several test blocks each one is purged and embargoed on both its sides."""
    cv = CombinatorialPurgedCV(*times, count, data.draw(st.integers(1, count - 1)), embargo_ms)
    for blocks, (train, test) in zip(cv.tests(), cv.split(), strict=True):
        tests = [rows_of(cv, block) for block in blocks]
        assert test.tolist() == sorted(np.concatenate(tests).tolist())
        assert train.tolist() == clear_of(tests, *times, embargo_ms)


@given(labels(), st.integers(1, 7), embargoes)
def test_walking_forward_trains_on_what_had_ended_before_the_test(times: Times, count: int, embargo_ms: int):
    """Only labels of older blocks that were over, and for longer than the embargo, when the test began."""
    cv = WalkForward(*times, count, embargo_ms)
    for block, (train, test) in enumerate(cv.split(), start=1):
        over = times[1] < times[0][test].min() - embargo_ms
        assert test.tolist() == rows_of(cv, block).tolist()
        assert train.tolist() == np.flatnonzero(over & (cv.blocks < block)).tolist()


@given(labels(moments_min=1), st.integers(2, 8))
def test_blocks_are_whole_moments_in_order_of_time(times: Times, count: int):
    """Symbols share their hours: an hour lies in one block only, no block is empty, and too few hours are refused."""
    if len(set(times[0].tolist())) < count:
        with pytest.raises(BadData, match=f"cannot be cut into {count} blocks"):
            PurgedKFold(*times, count)
        return
    blocks = PurgedKFold(*times, count).blocks
    assert set(blocks.tolist()) == set(range(count))
    in_time = blocks[np.argsort(times[0], kind="stable")]
    assert (np.diff(in_time) >= 0).all()
    assert len(set(zip(times[0].tolist(), blocks.tolist(), strict=True))) == len(set(times[0].tolist()))


@given(st.integers(2, 200), st.integers(2, 12))
def test_blocks_are_as_even_as_rows_can_be_cut(rows: int, count: int):
    """Where every row has its own time, no block is larger than another by more than one row."""
    if rows >= count:
        sizes = np.bincount(PurgedKFold(np.arange(rows), np.arange(rows), count).blocks)
        assert sizes.max() - sizes.min() <= 1


def test_a_moment_with_most_of_the_rows_leaves_a_block_to_each_of_the_others():
    """Forty rows of one hour are not divided: the cuts they swallow are made behind them."""
    start = np.array([0] * 40 + [1, 2])
    assert np.bincount(PurgedKFold(start, start, 3).blocks).tolist() == [40, 1, 1]
    start = np.array([0, 1] + [2] * 40)
    assert np.bincount(PurgedKFold(start, start, 3).blocks).tolist() == [1, 1, 40]


def test_a_label_that_ends_as_a_test_begins_is_purged():
    """It has seen the bar the test was decided on."""
    start = np.arange(8)
    train, test = next(itertools.islice(PurgedKFold(start, start + 1, 4).split(), 1, None))
    assert (train.tolist(), test.tolist()) == ([0, 5, 6, 7], [2, 3])


def test_one_long_label_costs_only_itself():
    """A label that reaches into the test is dropped alone; shorter ones that began after it stay."""
    start = np.arange(10)
    end = start.copy()
    end[1] = 7
    train, _ = list(PurgedKFold(start, end, 2).split())[1]
    assert train.tolist() == [0, 2, 3, 4]


def test_a_long_test_label_keeps_rows_out_far_behind_its_block():
    """A label of the first test block that outlasts the second one still purges what starts before its end."""
    start = np.arange(12)
    end = start.copy()
    end[0] = 9
    splits = dict(
        zip(itertools.combinations(range(6), 2), CombinatorialPurgedCV(start, end, 6, 2).split(), strict=True)
    )
    assert splits[0, 2][0].tolist() == [10, 11]


@pytest.mark.parametrize("embargo_ms", [3, 100, 10**30])
def test_an_embargo_may_be_longer_than_a_fold_and_end_behind_the_data(embargo_ms: int):
    """It then covers the next fold too, or all that follows; nothing wraps around, nothing is refused."""
    start = np.arange(8)
    train, _ = next(PurgedKFold(start, start, 4, embargo_ms).split())
    assert train.tolist() == [row for row in range(2, 8) if row > 1 + embargo_ms]
    train, _ = list(PurgedKFold(start, start, 4, embargo_ms).split())[-1]
    assert train.tolist() == list(range(6))


def test_what_purging_leaves_nothing_of_is_given_as_empty():
    """Labels longer than the history leave nothing to learn from, and that is what comes out."""
    assert [len(train) for train, _ in PurgedKFold(range(6), range(100, 106), 3).split()] == [0, 0, 0]


@pytest.mark.parametrize(("groups", "tests"), [(2, 1), (5, 1), (6, 2), (6, 3), (8, 7)])
def test_paths_put_every_block_together_once_and_use_every_test_once(groups: int, tests: int):
    """C(n-1, k-1) whole histories come of C(n, k) splits, and no forecast serves two of them."""
    cv = CombinatorialPurgedCV(np.arange(40), np.arange(40), groups, tests)
    paths = cv.paths()
    assert cv.get_n_splits() == len(list(cv.split())) == math.comb(groups, tests)
    assert paths.shape == (cv.n_paths, groups) == (math.comb(groups - 1, tests - 1), groups)
    used = [(split, block) for path in paths.tolist() for block, split in enumerate(path)]
    assert len(set(used)) == len(used) == cv.n_splits * tests
    assert all(block in cv.tests()[split] for split, block in used)


def test_rows_of_several_symbols_are_one_time_line():
    """A label of one coin is purged by a test of another: coins move together."""
    start = np.repeat(np.arange(20), 2)
    end = start + np.tile([0, 6], 20)
    for train, test in PurgedKFold(start, end, 4).split():
        assert all(end[row] < start[test].min() or start[row] > end[test].max() for row in train)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: PurgedKFold([1, 2], [2], 2), "2 labels start and 1 end"),
        (lambda: PurgedKFold([1, 2], [2, 1], 2), "the label of row 1 ends before it starts"),
        (lambda: PurgedKFold([1.5, 2.0], [2.0, 3.0], 2), "whole milliseconds"),
        (lambda: PurgedKFold([[1, 2]], [[1, 2]], 2), "whole milliseconds"),
        (lambda: PurgedKFold([1, 2], [1, 2], 1), "n_splits is 1"),
        (lambda: PurgedKFold([1, 2], [1, 2], 2, -1), "embargo_ms is -1"),
        (lambda: PurgedKFold([], [], 2), "0 moments"),
        (lambda: CombinatorialPurgedCV([1, 2], [1, 2], 2, 2), "must be below n_groups"),
        (lambda: WalkForward([1, 1], [1, 1], 1), "1 moments cannot be cut into 2 blocks"),
        (lambda: PurgedKFold([1, 2], [1, 2], 2).split(np.zeros((3, 1))), "2 rows and cannot cut 3"),
    ],
)
def test_times_that_cannot_be_are_refused_in_one_line(made, why: str):
    """What is wrong, and what would be right."""
    with pytest.raises(BadData, match=why) as refused:
        made()
    assert "\n" not in refused.value.user_text
