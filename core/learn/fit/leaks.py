"""Does a row know its future, or how long ago its history began? Found by changing both, whatever the features are.

Rule 1: look-ahead: rows stay the same, to the last bit, when another future follows their last bar (half as dear again
        or as much cheaper, three times as busy or as much quieter); and so do the labels that had ended by then.
        Neighbours go opposite ways, and each of them goes both, or a rank would stay as it is. No row comes or goes.
Rule 2: recursion: rows of a history that begins MORE bars later are, once warm twice over, the same within TOLERANCE
        of the feature's own spread: a row must not hang on where somebody happened to start.
Rule 3: a fault is one sentence that names the feature; nothing is mended here.
Rule 4: what could not be looked at is not sound: too short a history is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np

from core.learn.data.dataset import Dataset
from core.learn.features import WARM_UP
from core.ports import Columns

Bars: TypeAlias = Mapping[str, Columns]
Build: TypeAlias = Callable[[Bars, timedelta], Dataset]

WINDOW = 2400  # bars of a stretch that is looked at
MORE = 400  # bars of its end that become others, and bars that are taken away from its beginning
CUTS = 3  # stretches, spread over the history
TOLERANCE = 0.01
DEARER, BUSIER = 1.5, 3.0


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Bars of one symbol, as arrays."""

    open_ms: Any
    floats: tuple[Any, ...]

    def part(self, start: int, stop: int) -> Columns:
        """Bars ``start`` to ``stop``, exclusive."""
        return _Stretch(self.open_ms[start:stop], tuple(column[start:stop] for column in self.floats))

    def otherwise(self, since_ms: int, way: int) -> _Stretch:
        """The same bars up to a moment, from then on others: dearer and busier (``way`` 1), or the opposite (-1)."""
        later = self.open_ms >= since_ms
        *prices, volume = self.floats
        dearer, busier = np.where(later, DEARER**way, 1.0), np.where(later, BUSIER**way, 1.0)
        return _Stretch(self.open_ms, (*(price * dearer for price in prices), volume * busier))


def faults(bars: Bars, span: timedelta, build: Build) -> tuple[str, ...]:
    """One sentence a fault, none where all is well; WINDOW bars of one symbol are the fewest that can be looked at.

    ``build`` should make a row of every bar: who looks one bar ahead is seen by the last bar before a cut alone.
    """
    longest = max(len(columns.open_ms) for columns in bars.values())
    if longest < WINDOW:
        return (f"{longest:,} bars are too few to look for a look ahead: {WINDOW:,} are needed",)
    found: dict[str, None] = {}
    span_ms = span // timedelta(milliseconds=1)
    for first_ms, last_ms in _stretches(bars):
        cut_ms = last_ms - MORE * span_ms
        here = _between(bars, first_ms, last_ms)
        whole = build(here, span)
        for ways in ((1, -1), (-1, 1)):
            other = build(_elsewhere(here, cut_ms, ways), span)
            found |= dict.fromkeys(_ahead(*_common(whole, other, first_ms, cut_ms), cut_ms))
            if _decided(whole, cut_ms) != _decided(other, cut_ms):
                found["whether a bar is learnt from depends on bars after it"] = None
        later = build(_between(bars, first_ms + MORE * span_ms, last_ms), span)
        warm_ms = first_ms + (MORE + 2 * WARM_UP) * span_ms
        found |= dict.fromkeys(_recursive(*_common(whole, later, warm_ms, last_ms)))
    return tuple(found)


def _stretches(bars: Bars) -> Iterator[tuple[int, int]]:
    """First and last open time of each stretch."""
    times = max((columns.open_ms for columns in bars.values()), key=len)
    for start in np.unique(np.linspace(0, len(times) - WINDOW, CUTS).astype(int)).tolist():
        yield int(times[start]), int(times[start + WINDOW - 1])


def _elsewhere(here: Mapping[str, _Stretch], cut_ms: int, ways: tuple[int, int]) -> dict[str, Columns]:
    """Another future for each symbol, its neighbours' ``ways`` taking turns."""
    return {symbol: one.otherwise(cut_ms, ways[number % 2]) for number, (symbol, one) in enumerate(here.items())}


def _between(bars: Bars, first_ms: int, last_ms: int) -> dict[str, _Stretch]:
    cut = {}
    for symbol, columns in bars.items():
        open_ms = np.asarray(columns.open_ms, dtype=np.int64)
        start, stop = np.searchsorted(open_ms, [first_ms, last_ms + 1]).tolist()
        if stop > start:
            floats = tuple(np.asarray(column, dtype=np.float64)[start:stop] for column in columns.floats)
            cut[symbol] = _Stretch(open_ms[start:stop], floats)
    return cut


def _common(one: Dataset, other: Dataset, first_ms: int, last_ms: int) -> tuple[Dataset, Dataset]:
    """The bets decided between two moments that both know, in the same order."""
    places = [_places(data) for data in (one, other)]
    both = [key for key in places[0] if key in places[1] and first_ms <= key[1] <= last_ms]
    return one.take([places[0][key] for key in both]), other.take([places[1][key] for key in both])


def _places(data: Dataset) -> dict[tuple[str, int], int]:
    keys = zip(data.symbol.tolist(), data.start_ms.tolist(), strict=True)
    return {(data.symbols[symbol], start_ms): at for at, (symbol, start_ms) in enumerate(keys)}


def _decided(data: Dataset, last_ms: int) -> set[tuple[str, int]]:
    return {key for key in _places(data) if key[1] <= last_ms}


def _ahead(whole: Dataset, other: Dataset, cut_ms: int) -> Iterator[str]:
    for column in np.flatnonzero((whole.x != other.x).any(axis=0)).tolist():
        yield f"{whole.names[column]} knows bars that had not closed yet"
    ended = whole.end_ms <= cut_ms
    if (whole.outcome != other.outcome)[ended].any() or (whole.end_ms != other.end_ms)[ended].any():
        yield "the outcome of a bet changes after it has ended"


def _recursive(whole: Dataset, later: Dataset) -> Iterator[str]:
    if not len(whole):
        return
    spread = whole.x.std(axis=0)
    apart = np.abs(whole.x - later.x).max(axis=0)
    for column in np.flatnonzero(apart > TOLERANCE * spread).tolist():
        yield f"{whole.names[column]} hangs on where its history begins"
