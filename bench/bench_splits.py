"""Cost of cutting 100,800 rows, here and by skfolio: `python bench/bench_splits.py`.

The same rows (one symbol, one row an hour, labels of 96 hours, a day of embargo: the one case both cut alike, which is
checked first), everything from the times to the last index array. Runs take turns, so that a busy machine slows both;
the ratio is that of the medians. Both have the same index arrays to write, and here that is nearly all there is to do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from core.learn.data.splits import CombinatorialPurgedCV

ROWS = 100_800  # divides evenly by all numbers of groups, so that both cut the same blocks
HOUR_MS = 3_600_000
LABEL, EMBARGO = 96, 24
RUNS = 9
CASES = ((6, 2), (8, 3), (10, 2), (10, 8), (12, 3))

START_MS = np.arange(ROWS) * HOUR_MS
END_MS = START_MS + LABEL * HOUR_MS
X = np.zeros((ROWS, 1))


def ours(groups: int, tests: int) -> Iterator[Any]:
    return CombinatorialPurgedCV(START_MS, END_MS, groups, tests, EMBARGO * HOUR_MS).split(X)


def theirs(groups: int, tests: int) -> Iterator[Any]:
    from skfolio.model_selection import CombinatorialPurgedCV as Counted

    cv: Iterator[Any] = Counted(groups, tests, purged_size=LABEL, embargo_size=EMBARGO).split(X)
    return cv


def ms(make: Callable[[int, int], Iterator[Any]], groups: int, tests: int) -> float:
    start = time.perf_counter()
    for train, test in make(groups, tests):
        del train, test
    return (time.perf_counter() - start) * 1e3


def same_rows(groups: int, tests: int) -> bool:
    pairs = zip(ours(groups, tests), theirs(groups, tests), strict=True)
    return all(
        np.array_equal(train, their_train) and np.array_equal(test, np.concatenate(their_tests))
        for (train, test), (their_train, their_tests) in pairs
    )


def main() -> None:
    print(f"{ROWS} rows, labels of {LABEL} rows, embargo of {EMBARGO}; medians of {RUNS} runs taking turns")
    for groups, tests in CASES:
        if not same_rows(groups, tests):
            raise SystemExit(f"{tests} of {groups} groups: the two do not cut the same rows")
        found = [(ms(ours, groups, tests), ms(theirs, groups, tests)) for _ in range(RUNS)]
        mine, other = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{tests:2d} of {groups:2d} groups: {mine:7.2f} ms, skfolio {other:8.2f} ms, {other / mine:5.1f} times")


if __name__ == "__main__":
    main()
