"""ADWIN: a window that grows while its numbers have one mean, and drops its oldest part once they have two.

Rule 1: memory and work grow with the logarithm of the window: BUCKETS_MAX buckets of each size 1, 2, 4, ...
Rule 2: a cut is made only where the means of both sides differ by more than chance would let them anywhere in the
        window with probability ``delta``.
Rule 3: ``math``, lists and loops only; the same numbers give the same window.

Source: Bifet and Gavalda, Learning from Time-Changing Data with Adaptive Windowing (2007): ADWIN2, with the bound of
its section 4 that uses the variance of the window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

DELTA = 0.002
BUCKETS_MAX = 5
SIDE_MIN = 5
GRACE = 10


class Adwin:
    """The window over numbers of a bounded range; looks for a cut every ``every`` numbers."""

    def __init__(self, delta: float = DELTA, every: int = 1) -> None:
        self._delta = delta
        self._every = every
        self._seen = 0
        self._rows: list[list[tuple[float, float]]] = [[]]  # buckets of 2**row numbers, oldest first: sum, squares
        self.width = 0
        self._total = 0.0
        self._squares = 0.0  # squared distances from the mean

    @property
    def mean(self) -> float:
        """Mean of what is in the window; 0 while it is empty."""
        return self._total / self.width if self.width else 0.0

    def add(self, x: float) -> float:
        """Take one number; how much the mean rose where the window was cut, 0.0 where it was not."""
        self._seen += 1
        if self.width:
            self._squares += self.width * (x - self.mean) ** 2 / (self.width + 1)
        self._rows[0].append((x, 0.0))
        self._total += x
        self.width += 1
        self._merge()
        if self._seen % self._every or self.width <= GRACE:
            return 0.0
        before, cut = self.mean, False
        while self._has_two_means():
            self._drop_oldest()
            cut = True
        return self.mean - before if cut else 0.0

    def _merge(self) -> None:
        """Where there are too many buckets of a size, the two oldest become one of the next size."""
        for k, row in enumerate(self._rows):
            if len(row) <= BUCKETS_MAX:
                return
            (a, v), (b, w) = row[:2]
            del row[:2]
            if k + 1 == len(self._rows):
                self._rows.append([])
            size = 2.0**k
            self._rows[k + 1].append((a + b, v + w + (a - b) ** 2 / (2.0 * size)))

    def _has_two_means(self) -> bool:
        older, total = 0, 0.0
        for size, bucket in self._oldest_first():
            older += size
            total += bucket[0]
            newer = self.width - older
            if newer < SIDE_MIN:
                return False
            if older >= SIDE_MIN and self._differ(older, total / older, newer, (self._total - total) / newer):
                return True
        return False

    def _differ(self, older: int, mean: float, newer: int, other: float) -> bool:
        doubt = math.log(2.0 * math.log(self.width) / self._delta)
        share = 1.0 / (older - SIDE_MIN + 1) + 1.0 / (newer - SIDE_MIN + 1)
        spread = self._squares / self.width
        return abs(mean - other) > math.sqrt(2.0 * share * spread * doubt) + 2.0 / 3.0 * doubt * share

    def _oldest_first(self) -> Iterator[tuple[int, tuple[float, float]]]:
        for k in range(len(self._rows) - 1, -1, -1):
            for bucket in self._rows[k]:
                yield 1 << k, bucket

    def _drop_oldest(self) -> None:
        size = 1 << (len(self._rows) - 1)
        total, squares = self._rows[-1].pop(0)
        self.width -= size
        self._total -= total
        apart = total / size - self.mean
        self._squares = max(0.0, self._squares - squares - size * self.width * apart * apart / (size + self.width))
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()
