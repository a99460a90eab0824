"""Does a row know its future, or how long ago its history began? Found by cutting history, whatever the features are.

Rule 1: look-ahead: rows made of bars up to a moment equal, to the last bit, the rows of the same bars made when more
        bars followed; and so do the labels that had ended by then.
Rule 2: recursion: rows of a history that begins MORE bars later are, once warm twice over, the same within TOLERANCE
        of the feature's own spread: a row must not hang on where somebody happened to start.
Rule 3: a fault is one sentence that names the feature; nothing is mended here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TypeAlias

import numpy as np

from core.learn.data.dataset import Dataset
from core.learn.features import WARM_UP
from core.ports import Columns

Bars: TypeAlias = Mapping[str, Columns]
Build: TypeAlias = Callable[[Bars, timedelta], Dataset]
Pairs: TypeAlias = tuple[Dataset, Dataset]

WINDOW = 2400  # bars of a stretch that is looked at
MORE = 400  # bars that are taken away from its end, then from its beginning
CUTS = 3  # stretches, spread over the history
TOLERANCE = 0.01


def faults(bars: Bars, span: timedelta, build: Build) -> tuple[str, ...]:
    """One sentence a fault, none where all is well; histories shorter than WINDOW bars are not looked at."""
    found: dict[str, None] = {}
    for first_ms, last_ms in _stretches(bars):
        span_ms = span // timedelta(milliseconds=1)
        whole = build(_between(bars, first_ms, last_ms), span)
        shorter = build(_between(bars, first_ms, last_ms - MORE * span_ms), span)
        later = build(_between(bars, first_ms + MORE * span_ms, last_ms), span)
        found |= dict.fromkeys(_ahead(*_common(whole, shorter, first_ms)))
        found |= dict.fromkeys(_recursive(*_common(whole, later, first_ms + (MORE + 2 * WARM_UP) * span_ms)))
    return tuple(found)


def _stretches(bars: Bars) -> Iterator[tuple[int, int]]:
    """First and last open time of each stretch."""
    times = max((columns.open_ms for columns in bars.values()), key=len)
    if len(times) >= WINDOW:
        for start in np.unique(np.linspace(0, len(times) - WINDOW, CUTS).astype(int)).tolist():
            yield int(times[start]), int(times[start + WINDOW - 1])


def _between(bars: Bars, first_ms: int, last_ms: int) -> dict[str, Columns]:
    cut = {}
    for symbol, columns in bars.items():
        start, stop = np.searchsorted(np.asarray(columns.open_ms), [first_ms, last_ms + 1]).tolist()
        if stop > start:
            cut[symbol] = columns.part(start, stop)
    return cut


def _common(one: Dataset, other: Dataset, since_ms: int) -> Pairs:
    """The bets that both know, from a moment on, in the same order."""
    keys = [
        {
            (data.symbols[s], t): at
            for at, (s, t) in enumerate(zip(data.symbol.tolist(), data.start_ms.tolist(), strict=True))
        }
        for data in (one, other)
    ]
    both = [key for key in keys[0] if key in keys[1] and key[1] >= since_ms]
    return one.take([keys[0][key] for key in both]), other.take([keys[1][key] for key in both])


def _ahead(whole: Dataset, shorter: Dataset) -> Iterator[str]:
    for column in np.flatnonzero((whole.x != shorter.x).any(axis=0)).tolist():
        yield f"{whole.names[column]} knows bars that had not closed yet"
    if (whole.outcome != shorter.outcome).any() or (whole.end_ms != shorter.end_ms).any():
        yield "the outcome of a bet changes after it has ended"


def _recursive(whole: Dataset, later: Dataset) -> Iterator[str]:
    if not len(whole):
        return
    spread = whole.x.std(axis=0)
    apart = np.abs(whole.x - later.x).max(axis=0)
    for column in np.flatnonzero(apart > TOLERANCE * spread).tolist():
        yield f"{whole.names[column]} hangs on where its history begins"
