"""Bars of the past that looked like this one, and what came of the bets on them.

Rule 1: alike means near in what the training data ranks them by, weighted by what spoke in this forecast: a price range
        of 1 % and an RSI of 60 are compared by how rare they are, not by their units.
Rule 2: of one symbol no two cases whose bets overlapped: neighbouring bars are nearly the same bar.
Rule 3: only bars before this one count, and only bets that are settled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MOST = 40
LEAST = 8
SHOWN = 3
WHOLE = 0.999  # of a win; what is less and more than nothing ran out of time


@dataclass(frozen=True, slots=True)
class Case:
    """A settled bet on a bar that opened at ``open_ms``: its features, the part of a win it was worth, and the chance
    it was given, 0..1 both."""

    symbol: str
    open_ms: int
    ended_ms: int
    row: Sequence[float]
    outcome: float
    said: float

    @property
    def won(self) -> bool:
        """Whether it ended at the target."""
        return self.outcome >= WHOLE

    @property
    def lost(self) -> bool:
        """Whether it ended at the stop."""
        return self.outcome <= 1.0 - WHOLE


@dataclass(frozen=True, slots=True)
class Alike:
    """What became of the ``count`` most alike cases of ``among``: how many won, lost, or ran out of time.

    ``mean``: the part of a win they were worth on average, 0..1; ``since_ms``: open time of the oldest case there was;
    ``nearest``: the SHOWN most alike, the nearest first.
    """

    count: int
    won: int
    lost: int
    mean: float
    among: int
    since_ms: int
    nearest: tuple[Case, ...] = ()

    @property
    def late(self) -> int:
        """How many ran out of time between stop and target."""
        return self.count - self.won - self.lost

    @property
    def enough(self) -> bool:
        """Whether there are enough to be told."""
        return self.count >= LEAST


def alike(
    row: Sequence[float],
    open_ms: int,
    cases: Iterable[Case],
    quantiles: Sequence[Sequence[float]],
    weights: Sequence[float],
) -> Alike:
    """What came of the most alike before ``open_ms``, by training's ``quantiles`` and ``weights`` >= 0 of features."""
    here = [place(own, value) for own, value in zip(quantiles, row, strict=True)]
    past = [case for case in cases if case.open_ms < open_ms]

    def far(case: Case) -> float:
        there = (place(own, value) for own, value in zip(quantiles, case.row, strict=True))
        return sum(weight * abs(a - b) for weight, a, b in zip(weights, here, there, strict=True))

    return _summed(_apart(sorted(past, key=lambda case: (far(case), -case.open_ms, case.symbol))), past)


def place(quantiles: Sequence[float], value: float) -> float:
    """Where a value lies among training's, 0..1, straight lines between the quantiles."""
    after = bisect_right(quantiles, value)
    if after == 0:
        return 0.0
    if after == len(quantiles):
        return 1.0
    low, high = quantiles[after - 1], quantiles[after]
    return (after - 1 + (value - low) / (high - low)) / (len(quantiles) - 1)


def weights_of(names: Sequence[str], effects: Mapping[str, float]) -> list[float]:
    """How much each feature spoke, by ``effects`` of its name or of what it is told as ("hour" of "hour_sin"); all
    alike where none did."""
    weights = [abs(effects.get(name, effects.get(name.partition("_")[0], 0.0))) for name in names]
    return weights if any(weights) else [1.0] * len(names)


def _apart(nearest_first: Iterable[Case]) -> list[Case]:
    """The first MOST of these, none while a bet of its symbol that was taken before ran (rule 2)."""
    taken: list[Case] = []
    spans: dict[str, list[tuple[int, int]]] = {}
    for case in nearest_first:
        own = spans.setdefault(case.symbol, [])
        if all(case.ended_ms < first or case.open_ms > last for first, last in own):
            own.append((case.open_ms, case.ended_ms))
            taken.append(case)
            if len(taken) == MOST:
                break
    return taken


def _summed(taken: Sequence[Case], past: Sequence[Case]) -> Alike:
    won, lost = sum(case.won for case in taken), sum(case.lost for case in taken)
    mean = sum(case.outcome for case in taken) / max(1, len(taken))
    since_ms = min((case.open_ms for case in past), default=0)
    return Alike(len(taken), won, lost, mean, len(past), since_ms, tuple(taken[:SHOWN]))
