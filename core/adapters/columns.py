"""Bars as columns: int64 open times and float64 numbers, in plain arrays that numpy can read without a copy.

Rule 1: open times rise strictly; a bar is known by its open time.
Rule 2: where two sources tell of the same bar, the one that was first stays.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from core.domain.errors import BadData
from core.domain.market import Bar, as_decimal, as_float, from_ms, to_ms

Numbers = tuple[float, float, float, float, float]


def _ints() -> array[int]:
    return array("q")


def _floats() -> array[float]:
    return array("d")


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars of one symbol and span, oldest first; times are epoch ms, prices quote per base, volume base units."""

    symbol: str
    span_ms: int
    open_ms: array[int] = field(default_factory=_ints)
    open: array[float] = field(default_factory=_floats)
    high: array[float] = field(default_factory=_floats)
    low: array[float] = field(default_factory=_floats)
    close: array[float] = field(default_factory=_floats)
    volume: array[float] = field(default_factory=_floats)

    def __len__(self) -> int:
        return len(self.open_ms)

    @property
    def floats(self) -> tuple[array[float], ...]:
        """Open, high, low, close, volume."""
        return self.open, self.high, self.low, self.close, self.volume

    def numbers(self, i: int) -> Numbers:
        """Open, high, low, close, volume of bar ``i``."""
        return self.open[i], self.high[i], self.low[i], self.close[i], self.volume[i]

    def part(self, start: int, stop: int) -> Columns:
        """A copy of bars ``start`` to ``stop``, exclusive."""
        return Columns(self.symbol, self.span_ms, self.open_ms[start:stop], *(c[start:stop] for c in self.floats))

    def after(self, ms: int) -> Columns:
        """The bars that open later than ``ms``: these columns themselves where that is all of them."""
        start = bisect_right(self.open_ms, ms)
        return self.part(start, len(self)) if start else self

    def append(self, open_ms: int, numbers: Numbers) -> None:
        """Add one bar at the end; it must be newer than the last one."""
        self.open_ms.append(open_ms)
        for column, number in zip(self.floats, numbers, strict=True):
            column.append(number)

    def extend(self, other: Columns) -> None:
        """Add newer bars at the end."""
        self.open_ms.extend(other.open_ms)
        for column, more in zip(self.floats, other.floats, strict=True):
            column.extend(more)

    def rows(self) -> Iterator[tuple[int, float, float, float, float, float]]:
        """(open_ms, open, high, low, close, volume) of each bar."""
        return zip(self.open_ms, *self.floats, strict=True)

    def holes(self) -> Iterator[tuple[int, int]]:
        """Open times of the last bar before and the first bar after each gap."""
        return ((a, b) for a, b in pairwise(self.open_ms) if b - a != self.span_ms)

    def bars(self) -> list[Bar]:
        """The same as Bars; each number is the shortest decimal that reads back as the stored float."""
        span = timedelta(milliseconds=self.span_ms)
        return [Bar(self.symbol, from_ms(ms), span, *map(as_decimal, numbers)) for ms, *numbers in self.rows()]


def from_bars(bars: Sequence[Bar]) -> Columns:
    """Bars of one symbol and span as columns, sorted; of two with one open time the first stays. Raises BadData."""
    unique = {to_ms(bar.open_at): bar for bar in reversed(bars)}
    kinds = {(bar.symbol, bar.span) for bar in bars}
    if len(kinds) != 1:
        raise BadData(f"bars of {len(kinds)} symbols and lengths cannot be stored as one history")
    symbol, span = kinds.pop()
    columns = Columns(symbol, span // timedelta(milliseconds=1))
    for ms in sorted(unique):
        bar = unique[ms]
        numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        columns.append(ms, tuple(map(as_float, numbers)))  # type: ignore[arg-type]
    return columns


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of bars offered to a history: new, the same as stored, or different from stored (not kept)."""

    new: int = 0
    same: int = 0
    conflicting: int = 0

    def __add__(self, other: Saved) -> Saved:
        return Saved(self.new + other.new, self.same + other.same, self.conflicting + other.conflicting)


def merged(stored: Columns, offered: Columns) -> tuple[Columns, Saved]:
    """Both in one, and what became of the bars of ``offered``; ``stored`` itself is left as it is."""
    if not stored or offered.open_ms[0] > stored.open_ms[-1]:
        both = stored.part(0, len(stored))
        both.extend(offered)
        return both, Saved(new=len(offered))
    if offered.open_ms[-1] < stored.open_ms[0]:
        both = offered.part(0, len(offered))
        both.extend(stored)
        return both, Saved(new=len(offered))
    at = bisect_right(stored.open_ms, offered.open_ms[0] - 1)
    if stored.part(at, at + len(offered)) == offered:
        return stored, Saved(same=len(offered))
    return _woven(stored, offered)


def _woven(stored: Columns, offered: Columns) -> tuple[Columns, Saved]:
    known = {ms: i for i, ms in enumerate(stored.open_ms)}
    both = stored.part(0, len(stored))
    same = conflicting = 0
    for j, ms in enumerate(offered.open_ms):
        if (i := known.get(ms)) is None:
            both.append(ms, offered.numbers(j))
        elif stored.numbers(i) == offered.numbers(j):
            same += 1
        else:
            conflicting += 1
    order = sorted(range(len(both)), key=both.open_ms.__getitem__)
    times = array("q", (both.open_ms[i] for i in order))
    sorted_floats = (array("d", (column[i] for i in order)) for column in both.floats)
    new = len(both) - len(stored)
    return Columns(stored.symbol, stored.span_ms, times, *sorted_floats), Saved(new, same, conflicting)
