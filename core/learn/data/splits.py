"""Training and test rows that share no future: purged k-fold, combinatorial purged CV, walk-forward.

Rule 1: a row is the closed interval from ``start_ms`` to ``end_ms`` of its label; no row is trained on whose interval
touches that of a test row, whatever the symbol. A touch counts: a label that ends with the bar on which another
begins has seen that bar.
Rule 2: what starts up to ``embargo_ms`` after the last label of a test block ends is not trained on either.
Rule 3: blocks are cut between moments, never between the rows of one moment, as evenly in rows as that allows.
Rule 4: a training part with nothing left in it is given as empty: it is not filled up with rows that know the test.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), ch. 7 (purging, embargo) and 12 (combinations).
All three are scikit-learn splitters: ``cross_val_score(model, X, y, cv=PurgedKFold(start_ms, end_ms))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import comb
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from core.domain.errors import BadData

Ints: TypeAlias = npt.NDArray[np.int64]
Split: TypeAlias = tuple[Ints, Ints]

_EVER = np.iinfo(np.int64).max


class _Blocks:
    """Rows on one time line, cut into consecutive blocks; what the three splitters share."""

    n_splits: int

    def __init__(self, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike, count: int, embargo_ms: int) -> None:
        start, end = _times(start_ms, "start_ms"), _times(end_ms, "end_ms")
        _check(start, end, embargo_ms)
        # rows that come in order of time are not moved: their places are their numbers
        self._order = None if bool((start[1:] >= start[:-1]).all()) else np.argsort(start, kind="stable")
        self._start, self._end = (start, end) if self._order is None else (start[self._order], end[self._order])
        self._places = np.arange(len(start))
        self._reach = np.maximum.accumulate(self._end)
        self._edges = _edges(self._start, count)
        self._block_end = np.maximum.reduceat(self._end, self._edges[:-1])
        self.embargo_ms = int(embargo_ms)

    @property
    def blocks(self) -> Ints:
        """Number of the block each row lies in, 0 for the oldest; shape (n,)."""
        numbers = np.repeat(np.arange(len(self._edges) - 1), np.diff(self._edges))
        if self._order is None:
            return numbers
        of_row = np.empty_like(numbers)
        of_row[self._order] = numbers
        return of_row

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """How many splits there are; the arguments are scikit-learn's and change nothing."""
        return self.n_splits

    def split(self, X: Any = None, y: object = None, groups: object = None) -> Iterator[Split]:
        """Row numbers to train on and to test on, both ascending; BadData where ``X`` has another number of rows."""
        if X is not None and (rows := X.shape[0] if hasattr(X, "shape") else len(X)) != len(self._start):
            raise BadData(
                f"these splits were made for {len(self._start)} rows and cannot cut {rows}: "
                "make them from the times of the rows they shall cut"
            )
        return self._splits()

    def _splits(self) -> Iterator[Split]:
        raise NotImplementedError

    def _begin(self, block: int) -> int:
        return int(self._start[self._edges[block]])

    def _rows(self, parts: Iterable[Ints]) -> Ints:
        """Row numbers, ascending, of places on the time line."""
        places = np.concatenate(list(parts))
        return places if self._order is None else np.sort(self._order[places])

    def _test(self, tests: Iterable[int]) -> Ints:
        return self._rows(self._places[self._edges[b] : self._edges[b + 1]] for b in tests)

    def _clear(self, first: int, last: int, after_ms: int, before_ms: int) -> Iterator[Ints]:
        """Places in blocks ``first`` to ``last`` (exclusive) that start after one time and end before another."""
        high = int(self._edges[last])
        low = min(max(int(self._edges[first]), int(np.searchsorted(self._start, after_ms, "right"))), high)
        # up to ``safe`` no label reaches as far; behind it each one is looked at
        safe = min(max(int(np.searchsorted(self._reach, before_ms, "left")), low), high)
        yield self._places[low:safe]
        yield safe + np.flatnonzero(self._end[safe:high] < before_ms)

    def _train(self, tests: tuple[int, ...]) -> Ints:
        """Rows of the other blocks that share no time with the test blocks ``tests`` (ascending)."""
        parts: list[Ints] = []
        first, after_ms = 0, -_EVER
        for test in tests:
            parts.extend(self._clear(first, test, after_ms, self._begin(test)))
            # a long label of an earlier test block may outlast the later ones
            first, after_ms = test + 1, max(after_ms, int(self._block_end[test]) + self.embargo_ms)
        parts.extend(self._clear(first, len(self._edges) - 1, after_ms, _EVER))
        return self._rows(parts)


class PurgedKFold(_Blocks):
    """``n_splits`` consecutive blocks, each the test once; the others train, purged on both sides.

    ``start_ms``, ``end_ms``: first and last moment of each row's label, shape (n,), in any order of rows.
    ``embargo_ms``: >= 0, after the last label of a test block has ended. BadData on times that cannot be.

    >>> [test.tolist() for _, test in PurgedKFold([0, 0, 1, 2], [1, 1, 2, 3], n_splits=2).split()]
    [[0, 1], [2, 3]]
    """

    def __init__(self, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike, n_splits: int = 5, embargo_ms: int = 0) -> None:
        self.n_splits = _whole("n_splits", n_splits, 2)
        super().__init__(start_ms, end_ms, n_splits, embargo_ms)

    def _splits(self) -> Iterator[Split]:
        for test in range(self.n_splits):
            yield self._train((test,)), self._test((test,))


class CombinatorialPurgedCV(_Blocks):
    """Every choice of ``n_test`` out of ``n_groups`` consecutive blocks is the test once: C(n_groups, n_test) splits.

    Each block is tested ``n_paths`` = C(n_groups - 1, n_test - 1) times, so the tests can be put together to that
    many whole histories, each made of forecasts by models that did not know what they forecast.
    """

    def __init__(
        self,
        start_ms: npt.ArrayLike,
        end_ms: npt.ArrayLike,
        n_groups: int = 6,
        n_test: int = 2,
        embargo_ms: int = 0,
    ) -> None:
        self.n_groups, self.n_test = _whole("n_groups", n_groups, 2), _whole("n_test", n_test, 1)
        if n_test >= n_groups:
            raise BadData(f"n_test is {n_test}: it must be below n_groups, {n_groups}, or nothing is left to train on")
        self.n_splits, self.n_paths = comb(n_groups, n_test), comb(n_groups - 1, n_test - 1)
        super().__init__(start_ms, end_ms, n_groups, embargo_ms)

    def tests(self) -> Ints:
        """Test blocks of each split, ascending; shape (n_splits, n_test)."""
        return np.array(list(combinations(range(self.n_groups), self.n_test)), np.int64)

    def paths(self) -> Ints:
        """The split that forecasts block b on path p, shape (n_paths, n_groups); no split serves a block twice.

        The out-of-fold forecast of row i on path p is the one made by split ``paths()[p, blocks[i]]``.
        """
        tests = self.tests()
        return np.stack([np.flatnonzero((tests == block).any(axis=1)) for block in range(self.n_groups)], axis=1)

    def _splits(self) -> Iterator[Split]:
        for tests in combinations(range(self.n_groups), self.n_test):
            yield self._train(tests), self._test(tests)


class WalkForward(_Blocks):
    """``n_splits`` tests one after the other, each forecast from what had ended before it.

    The rows are cut into ``n_splits`` + 1 blocks; the oldest only trains. Nothing behind a test trains for it, so
    ``embargo_ms`` is kept before it: training labels end more than that before the test begins.
    """

    def __init__(self, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike, n_splits: int = 5, embargo_ms: int = 0) -> None:
        self.n_splits = _whole("n_splits", n_splits, 1)
        super().__init__(start_ms, end_ms, n_splits + 1, embargo_ms)

    def _splits(self) -> Iterator[Split]:
        for test in range(1, self.n_splits + 1):
            before_ms = self._begin(test) - self.embargo_ms
            yield self._rows(self._clear(0, test, -_EVER, before_ms)), self._test((test,))


def _edges(start: Ints, count: int) -> list[int]:
    """Places at which ``count`` blocks of about equal size begin, and the end: between moments, none empty."""
    rows = len(start)
    if (moments := _moments(start, count)) < count:
        raise BadData(f"{moments} moments cannot be cut into {count} blocks: fewer splits or more data")
    edges = [_first(start, b * rows // count) for b in range(count)]
    for b in range(1, count):
        # a moment with very many rows may swallow a cut: the next one is made behind it
        edges[b] = max(edges[b], _behind(start, edges[b - 1]))
    latest = rows
    for b in reversed(range(count)):
        latest = _first(start, latest - 1)
        edges[b] = min(edges[b], latest)
    return [*edges, rows]


def _moments(start: Ints, enough: int) -> int:
    """How many different times there are; counted up to ``enough``."""
    place = found = 0
    while place < len(start) and found < enough:
        place, found = _behind(start, place), found + 1
    return found


def _first(start: Ints, place: int) -> int:
    """Place of the first row of the moment that the row at ``place`` has."""
    return int(np.searchsorted(start, start[place]))


def _behind(start: Ints, place: int) -> int:
    """Place of the first row of the moment after that of ``place``; the number of rows if there is none."""
    return int(np.searchsorted(start, start[place], "right")) if place < len(start) else len(start)


def _times(values: npt.ArrayLike, name: str) -> Ints:
    times = np.asarray(values)
    if times.ndim != 1 or (times.size and times.dtype.kind not in "iu"):
        raise BadData(f"{name} must be one row of whole milliseconds, not {times.dtype} of shape {times.shape}")
    return times.astype(np.int64, copy=False)


def _check(start: Ints, end: Ints, embargo_ms: int) -> None:
    if len(start) != len(end):
        raise BadData(f"{len(start)} labels start and {len(end)} end: both times are needed for each row")
    if np.any(end < start):
        raise BadData(f"the label of row {int(np.argmax(end < start))} ends before it starts")
    _whole("embargo_ms", embargo_ms, 0)


def _whole(name: str, value: int, least: int) -> int:
    if not isinstance(value, (int, np.integer)) or value < least:
        raise BadData(f"{name} is {value}: it must be a whole number from {least} on")
    return int(value)
