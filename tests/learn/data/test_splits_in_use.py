"""The splitters at work: in scikit-learn, on labels that overlap, and beside skfolio's: core.learn.data.splits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from core.learn.data.splits import CombinatorialPurgedCV, PurgedKFold, WalkForward

HOUR_MS = 3_600_000


def test_scikit_learn_takes_all_three():
    """cross_val_score and a grid search fit once for each split, with pandas-free rows and no wrapper."""
    rng = np.random.default_rng(3)
    x, start = rng.normal(size=(90, 2)), np.arange(90)
    y = (x[:, 0] + 0.1 * rng.normal(size=90) > 0).astype(int)
    for cv in (
        PurgedKFold(start, start + 2, 4),
        CombinatorialPurgedCV(start, start + 2, 5, 2),
        WalkForward(start, start),
    ):
        scores = cross_val_score(LogisticRegression(), x, y, cv=cv)
        assert len(scores) == cv.get_n_splits()
        assert scores.mean() > 0.8
        assert GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=cv).fit(x, y).n_splits_ == cv.get_n_splits()


def nearest_auc(rows: int, span: int, seed: int, purged: bool) -> float:
    """AUC of "what the nearest known moment did" about a walk without memory, whose labels look ``span`` bars ahead."""
    walk = np.cumsum(np.random.default_rng(seed).normal(size=rows + span))
    y = (walk[span:] > walk[:-span]).astype(int)
    start = np.arange(rows)
    blocks = rows // (span // 2)
    cv = PurgedKFold(start, start + span, blocks) if purged else KFold(blocks)
    learner = KNeighborsClassifier(n_neighbors=1)
    return float(roc_auc_score(y, cross_val_predict(learner, start[:, None].astype(float), y, cv=cv)))


def test_overlapping_labels_show_a_skill_that_purging_takes_away():
    """A walk cannot be forecast: unpurged folds claim that it can, for neighbours share most of their future."""
    unpurged = [nearest_auc(2000, 40, seed, purged=False) for seed in range(8)]
    purged = [nearest_auc(2000, 40, seed, purged=True) for seed in range(8)]
    assert min(unpurged) > 0.7
    assert np.mean(purged) == pytest.approx(0.5, abs=0.05)


# beside skfolio's CombinatorialPurgedCV


def theirs(rows: int, groups: int, tests: int, purged: int, embargo: int) -> list[tuple[np.ndarray, np.ndarray]]:
    skfolio = pytest.importorskip(
        "skfolio.model_selection", reason="skfolio, the judge of the splits, is not installed"
    )
    cv = skfolio.CombinatorialPurgedCV(groups, tests, purged_size=purged, embargo_size=embargo)
    return [(train, np.concatenate(parts)) for train, parts in cv.split(np.zeros((rows, 1)))]


def leaking(train: np.ndarray, test: np.ndarray, start: np.ndarray, end: np.ndarray) -> int:
    """How many training labels share time with a test label."""
    return sum(bool(((start[row] <= end[test]) & (end[row] >= start[test])).any()) for row in train)


@pytest.mark.parametrize(("groups", "tests"), [(3, 2), (6, 2), (6, 3), (10, 8)])
@pytest.mark.parametrize(("bars", "embargo"), [(0, 0), (3, 0), (0, 2), (3, 2), (4, 4)])
def test_one_symbol_without_holes_is_cut_as_skfolio_cuts_it(groups: int, tests: int, bars: int, embargo: int):
    """One row a bar and labels of one length: counting rows is right, and both give the same rows."""
    rows = groups * 12
    start = np.arange(rows) * HOUR_MS
    ours = CombinatorialPurgedCV(start, start + bars * HOUR_MS, groups, tests, embargo * HOUR_MS)
    for (train, test), (their_train, their_test) in zip(
        ours.split(), theirs(rows, groups, tests, bars, embargo), strict=True
    ):
        assert train.tolist() == their_train.tolist()
        assert test.tolist() == their_test.tolist()


@pytest.mark.parametrize(("groups", "tests"), [(3, 2), (6, 2), (6, 3), (10, 8)])
def test_paths_are_skfolios(groups: int, tests: int):
    """The same test block of the same split goes into the same path."""
    skfolio = pytest.importorskip(
        "skfolio.model_selection", reason="skfolio, the judge of the splits, is not installed"
    )
    ids = skfolio.CombinatorialPurgedCV(groups, tests).get_path_ids()
    cv = CombinatorialPurgedCV(np.arange(groups), np.arange(groups), groups, tests)
    for path, splits in enumerate(cv.paths()):
        for block, split in enumerate(splits):
            assert ids[split][cv.tests()[split].tolist().index(block)] == path


def test_symbols_that_share_hours_leak_where_rows_are_counted():
    """skfolio purges 12 rows for labels of 12 hours: of eight symbols that is 1.5 hours, and the rest leaks."""
    start = np.repeat(np.arange(120), 8) * HOUR_MS
    end = start + 12 * HOUR_MS
    ours = CombinatorialPurgedCV(start, end, 6, 2)
    assert sum(leaking(*split, start, end) for split in theirs(960, 6, 2, 12, 0)) > 1000
    assert sum(leaking(*split, start, end) for split in ours.split()) == 0


def test_an_hour_of_several_symbols_is_torn_apart_where_rows_are_counted():
    """Folds of 25 rows begin in the middle of an hour of 8: the same hour is trained on and tested."""
    start = np.repeat(np.arange(25), 8) * HOUR_MS
    torn = [set(start[train]) & set(start[test]) for train, test in theirs(200, 8, 2, 0, 0)]
    ours = [set(start[train]) & set(start[test]) for train, test in CombinatorialPurgedCV(start, start, 8, 2).split()]
    assert any(torn)
    assert not any(ours)


def test_labels_of_different_lengths_leak_or_waste_where_rows_are_counted():
    """Bets end when they end: purging their mean length leaks, purging their longest throws clean rows away."""
    start = np.arange(600) * HOUR_MS
    end = start + np.random.default_rng(5).integers(1, 41, 600) * HOUR_MS
    ours = list(CombinatorialPurgedCV(start, end, 6, 2).split())
    assert sum(leaking(*split, start, end) for split in ours) == 0
    assert sum(leaking(*split, start, end) for split in theirs(600, 6, 2, 20, 0)) > 0
    longest = theirs(600, 6, 2, 40, 0)
    assert sum(leaking(*split, start, end) for split in longest) == 0
    assert all(set(train) >= set(their_train) for (train, _), (their_train, _) in zip(ours, longest, strict=True))
    assert sum(len(train) for train, _ in ours) > sum(len(train) for train, _ in longest)


def test_an_embargo_counted_in_rows_runs_on_behind_a_hole():
    """Six rows after a test before a month without trade are not six hours: nothing is left to keep off."""
    hours = np.r_[np.arange(20), np.arange(20) + 720]
    start = hours * HOUR_MS
    ours = list(CombinatorialPurgedCV(start, start, 4, 2, 6 * HOUR_MS).split())
    counted = theirs(40, 4, 2, 0, 6)
    assert ours[0][0].tolist() == list(range(20, 40))
    assert counted[0][0].tolist() == list(range(26, 40))


def test_an_embargo_longer_than_a_fold_is_refused_there_and_kept_here():
    """skfolio cannot cut at all then; by time the embargo just covers the folds it covers."""
    with pytest.raises(ValueError, match="must be smaller than the size of a train fold"):
        theirs(40, 4, 2, 0, 15)
    start = np.arange(40) * HOUR_MS
    train, test = next(CombinatorialPurgedCV(start, start, 4, 2, 15 * HOUR_MS).split())
    assert (train.tolist(), test.tolist()) == (list(range(35, 40)), list(range(20)))
