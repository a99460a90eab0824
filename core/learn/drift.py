"""Whether the market or the forecast is no longer what it was when the model was made.

Rule 1: a feature has moved only where the population stability index says how far (PSI, 0.25: "shifted"; Siddiqi,
        Credit Risk Scorecards, 2006) and Kolmogorov and Smirnov say that chance does not: the PSI alone
        calls a quarter of all features shifted in any month, for neighbouring rows are nearly the same row.
Rule 2: so rows are counted by what they are worth: integrated autocorrelation time in each symbol (Sokal 1989, cut at
        the first value <= 0), of rank and of distance from the middle rank (volatility comes in regimes), and the
        design effect of symbols that move together. A feature that hardly changes in four weeks is worth one row.
Rule 3: hour and week move by nature and are not watched.
Rule 4: features alone never send a model away, for the one before knows no other market: that takes outcomes.
Rule 5: outcomes are judged by the number of independent bets behind them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from operator import mul

from core.learn.record import Tally

PSI_SHIFTED = 0.25
PSI_BINS = 10
SHARE_LEAST = 1e-4  # an empty bin counts as this much: the PSI stays finite
KS_MOVED = 1.63  # distance * sqrt(rows): 1 in 100 by chance
KS_FAR = 3.5  # 1 in 10**10: units or data are broken
OUTSIDE_MAX = 0.5
DAYS_MIN = 14.0
MOVED_WARN, MOVED_WARN_LEAST = 0.1, 3
MOVED_REDUCE = 1 / 3
EFFECTIVE_MIN = 10.0
Z_WARN, Z_REDUCE, Z_ROLLBACK = 2.0, 3.0, 4.0
LEAN_LEAST = 0.05
BY_NATURE = ("hour_", "week_")


class Level(IntEnum):
    """What follows from a drift, mildest first."""

    NONE = 0
    WARN = 1
    REDUCE = 2
    ROLLBACK = 3


@dataclass(frozen=True, slots=True)
class Drift:
    """How far things have drifted, why in sentences for a phone, and the numbers behind it."""

    level: Level = Level.NONE
    sentences: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shift:
    """One feature, live beside training: PSI, greatest distance of both distribution functions, what the live rows
    are worth, and the share of them outside everything the training saw."""

    name: str
    psi: float
    distance: float
    effective: float
    outside: float

    @property
    def sure(self) -> float:
        """The statistic of Kolmogorov and Smirnov, distance * sqrt(rows)."""
        return self.distance * math.sqrt(self.effective)

    @property
    def moved(self) -> bool:
        """Whether the feature is shifted, and not by chance."""
        return self.psi > PSI_SHIFTED and self.sure > KS_MOVED


class Grid:
    """Which of many rows belong to one symbol, in the order of time, and which to one bar close."""

    def __init__(self, symbols: Sequence[str], open_ms: Sequence[int]) -> None:
        rows: dict[str, list[int]] = {}
        closes: dict[int, list[int]] = {}
        for k, (symbol, at) in enumerate(zip(symbols, open_ms, strict=True)):
            rows.setdefault(symbol, []).append(k)
            closes.setdefault(at, []).append(k)
        self.count = len(symbols)
        self._rows = list(rows.values())
        self._closes = list(closes.values())

    def worth(self, column: Sequence[float]) -> float:
        """How many independent rows tell as much as these, 1..count (rule 2)."""
        ordered = sorted(column)
        ranks = [0.5 * (bisect_left(ordered, x) + bisect_right(ordered, x)) / self.count - 0.5 for x in column]
        return min(self._worth(ranks), self._worth([abs(rank) for rank in ranks]))

    def _worth(self, column: Sequence[float]) -> float:
        mean = sum(column) / self.count
        apart = [x - mean for x in column]
        variance = sum(map(mul, apart, apart)) / self.count
        if variance <= 1e-12:
            return 1.0
        time = sum(_correlation_time([apart[k] for k in rows], variance) for rows in self._rows) / len(self._rows)
        crowd = sum(len(close) ** 2 for close in self._closes) / self.count
        return max(1.0, self.count / time / (1.0 + (crowd - 1.0) * self._alike(apart, variance)))

    def _alike(self, apart: Sequence[float], variance: float) -> float:
        pairs, cross = 0, 0.0
        for close in self._closes:
            here = [apart[k] for k in close]
            total = sum(here)
            pairs += len(here) * (len(here) - 1)
            cross += total * total - sum(map(mul, here, here))
        return max(0.0, cross / pairs / variance) if pairs else 0.0


def _correlation_time(series: Sequence[float], variance: float) -> float:
    """1 + 2 * (sum of autocorrelations up to the first that is not positive), >= 1."""
    whole, time = len(series) * variance, 1.0
    for lag in range(1, len(series)):
        share = sum(map(mul, series, series[lag:])) / whole
        if share <= 0.0:
            break
        time += 2.0 * share
    return time


def shift(name: str, quantiles: Sequence[float], column: Sequence[float], grid: Grid) -> Shift:
    """How live values compare with the training's ``quantiles``, ascending, at evenly spaced levels from 0 to 1."""
    ordered, n = sorted(column), len(column)
    inside = bisect_right(ordered, quantiles[-1]) - bisect_left(ordered, quantiles[0])
    levels = {q: k / (len(quantiles) - 1) for k, q in enumerate(quantiles)}  # of equal quantiles the highest counts
    distance = max(abs(bisect_right(ordered, q) / n - level) for q, level in levels.items())
    return Shift(name, _psi(ordered, levels), distance, grid.worth(column), 1.0 - inside / n)


def _psi(ordered: Sequence[float], levels: Mapping[float, float]) -> float:
    """Population stability index over at most PSI_BINS bins of about equal share in training."""
    edges, taken = [], 0.0
    for q, level in levels.items():
        if taken + 1.0 / PSI_BINS - 1e-9 <= level < 1.0:
            edges.append(q)
            taken = level
    there = [0.0, *(levels[q] for q in edges), 1.0]
    here = [0.0, *(bisect_right(ordered, q) / len(ordered) for q in edges), 1.0]
    psi = 0.0
    for (a, b), (c, d) in zip(pairwise(here), pairwise(there), strict=True):
        live, then = max(b - a, SHARE_LEAST), max(d - c, SHARE_LEAST)
        psi += (live - then) * math.log(live / then)
    return psi


def watched(name: str) -> bool:
    """Whether a feature can drift at all (rule 3)."""
    return not name.startswith(BY_NATURE)


def of_features(shifts: Sequence[Shift], days: float) -> Drift:
    """What the shifts of all watched features, over live rows of so many days, mean together.

    Before DAYS_MIN only what lies outside everything counts: in a few days the market shows one of its faces.
    """
    whole = days >= DAYS_MIN
    moved = sorted((one for one in shifts if whole and one.moved), key=lambda one: -one.sure)
    broken = [one for one in shifts if one.outside > OUTSIDE_MAX or (whole and one.moved and one.sure > KS_FAR)]
    share = len(moved) / max(1, len(shifts))
    numbers = {"features": float(len(shifts)), "moved": float(len(moved)), "broken": float(len(broken))}
    numbers |= {f"psi_{one.name}": one.psi for one in moved}
    if broken:
        names = ", ".join(one.name for one in broken[:3])
        return Drift(Level.REDUCE, (f"{names}: values such as training never saw; the data may be broken.",), numbers)
    said = f"{len(moved)} of {len(shifts)} features are not what they were in training, most of all " + ", ".join(
        one.name for one in moved[:3]
    )
    if share >= MOVED_REDUCE:
        return Drift(Level.REDUCE, (f"{said}.",), numbers)
    if share >= MOVED_WARN and len(moved) >= MOVED_WARN_LEAST:
        return Drift(Level.WARN, (f"{said}.",), numbers)
    return Drift(Level.NONE, (), numbers)


def of_outcomes(tally: Tally, brier_then: float | None) -> Drift:
    """What came of the forecasts beside what they said, and beside the Brier score on the model's card."""
    effective = tally.effective
    numbers = {"settled": float(tally.count), "effective": effective}
    if effective < EFFECTIVE_MIN:
        return Drift(Level.NONE, (), numbers)
    n = tally.count
    brier, said, came = tally.squares / n, tally.said / n, tally.came / n
    # in a month in which all pairs fall outcomes hardly differ: what they differ by usually is the honest measure
    z = (came - said) / math.sqrt(max(brier, brier_then or 0.0, 1e-9) / effective)
    numbers |= {"said": said, "came": came, "z": z, "brier": brier, "adwin": tally.cut}
    found = [_calibration(z, said, came, effective), _changed(tally)]
    if brier_then is not None:
        spread = math.sqrt(max(tally.fourths / n - brier * brier, 1e-9) / effective)
        numbers |= {"brier_then": brier_then, "z_brier": (brier - brier_then) / spread}
        found.append(_brier(numbers["z_brier"], brier, brier_then))
    return together(*found, Drift(Level.NONE, (), numbers))


def _calibration(z: float, said: float, came: float, effective: float) -> Drift:
    level = _level(abs(z))
    if z > 0.0:  # better than it said: the size is wrong, but the one before is no remedy
        level = min(level, Level.REDUCE)
    if level is Level.NONE:
        return Drift()
    return Drift(
        level, (f"I said {said:.0%} and it was {came:.0%}, over what is worth {effective:.0f} bets ({z:+.1f} sigma).",)
    )


def _brier(z: float, brier: float, then: float) -> Drift:
    level = _level(z)
    if level is Level.NONE:
        return Drift()
    return Drift(level, (f"My forecasts miss by more than my card says: Brier {brier:.3f}, not {then:.3f}.",))


def _changed(tally: Tally) -> Drift:
    lean = 2.0 * tally.window.mean - 1.0
    if tally.cut >= 0.0 or lean > -LEAN_LEAST:
        return Drift()
    return Drift(Level.WARN, ("My bets come true less often than they did at first.",))


def _level(z: float) -> Level:
    return Level(sum(z >= limit for limit in (Z_WARN, Z_REDUCE, Z_ROLLBACK)))


def together(*parts: Drift) -> Drift:
    """The gravest level of all parts, with the sentences of the gravest first, and all their numbers."""
    graver = sorted(parts, key=lambda one: -one.level)
    numbers = {name: x for part in parts for name, x in part.numbers.items()}
    return Drift(graver[0].level, tuple(s for part in graver for s in part.sentences), numbers)


def brier_on(card: Mapping[str, object]) -> float | None:
    """The out-of-fold Brier score, 0..1, that a model's card states; None where it states none."""
    found: object = card
    for name in ("judgement", "scores", "brier"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) and 0.0 <= found <= 1.0 else None
