"""How much a forecast may be short of its word: a lower bound that held in LEVEL of the quarters.

The claim: in LEVEL of the calendar quarters a model like this serves, what was forecast p won at least ``p_low``.
The way: split conformal prediction with the quarter as the unit (Vovk, Gammerman, Shafer 2005; groups as units: Dunn,
Wasserman, Ramdas 2022), by band of p, since rows of one quarter share its weather and are no independent trials.
A band's margin is the k-th smallest of its n quarterly shortfalls (mean p - mean outcome), k = ceil((n + 1) LEVEL):
were quarters exchangeable, the next one's shortfall would exceed it in at most 1 - LEVEL of the cases, at any n.

Rule 1: where k > n nothing can be claimed: such a band is left out, and without any band the bound is 0.
Rule 2: ``p_low`` is never above p and never falls while p rises; making it so only ever lowers it.
Rule 3: fitting needs numpy; ``Bound.apply`` does not. What is read back from a file is judged number by number.
Rule 4: quarters are not quite exchangeable (markets change), so ``coverage`` measures what the claim was worth: with
each quarter left out, and with nothing but the quarters before it, which is how it will be used.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from core.domain.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Cells = tuple[Floats, Floats]

LEVEL = 0.90
BANDS = 5  # of equally many rows; each has eight pairs' rows of a quarter to average over
ROWS_MIN = 30  # fewer rows in one band of one quarter say nothing of that quarter
QUARTERS_MAX = 10_000
KNOTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Bound:
    """``p_low`` at rising ``knots`` of p, 0..1 each; ``quarters`` is how many stand behind the thinnest band."""

    level: float
    quarters: int
    knots: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if type(self.level) is not float or not 0.5 <= self.level < 1.0:
            raise BadData("a bound's level must lie between 0.5 and 1")
        if type(self.quarters) is not int or not 0 <= self.quarters <= QUARTERS_MAX:
            raise BadData("a bound's number of quarters is impossible")
        x, y = self.knots, self.lows
        if len(x) != len(y) or len(x) > KNOTS_MAX or not all(type(n) is float and 0.0 <= n <= 1.0 for n in (*x, *y)):
            raise BadData("a bound needs as many lows as knots, all of them between 0 and 1")
        rises = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
        if not rises or any(low > p for p, low in zip(x, y, strict=True)):
            raise BadData("a bound's lows must rise with its knots and never lie above them")

    def apply(self, p: float) -> float:
        """The lower bound of a calibrated ``p``, 0..p; 0 where nothing can be claimed. BadData unless p is in 0..1."""
        if not 0.0 <= p <= 1.0:
            raise BadData(f"a probability must lie between 0 and 1, not {p}")
        x, y = self.knots, self.lows
        after = bisect_right(x, p)
        if not x or after == len(x):
            return y[-1] if x else 0.0
        if after == 0:
            # below the lowest band the margin stays what it is there
            return max(0.0, min(y[0] - (x[0] - p), p))
        way = (p - x[after - 1]) / (x[after] - x[after - 1])
        return min(y[after - 1] + (y[after] - y[after - 1]) * way, y[after], p)

    def to_json(self) -> dict[str, object]:
        """The bound as what JSON can hold; ``from_json`` gives the same one back to the last bit."""
        return {"level": self.level, "quarters": self.quarters, "knots": list(self.knots), "lows": list(self.lows)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a claim was worth on quarters it had not seen: ``share`` of ``cells`` (band and quarter) that kept it."""

    level: float
    share: float
    cells: int
    quarters: int

    @property
    def error(self) -> float:
        """Standard error of ``share`` were the claim exactly true; the quarter counts, for its bands stand together."""
        return math.sqrt(self.level * (1 - self.level) / self.quarters) if self.quarters else 1.0


def from_json(said: object) -> Bound:
    """The bound ``to_json`` wrote; BadData on whatever is not one."""
    if not isinstance(said, dict) or said.keys() != {"level", "quarters", "knots", "lows"}:
        raise BadData("a bound needs exactly a level, a number of quarters, knots and lows")
    return Bound(said["level"], said["quarters"], _numbers(said["knots"]), _numbers(said["lows"]))


def _numbers(said: object) -> tuple[float, ...]:
    if not isinstance(said, list) or len(said) > KNOTS_MAX or not all(type(n) in (int, float) for n in said):
        raise BadData(f"a bound holds lists of at most {KNOTS_MAX} numbers")
    return tuple(float(n) if 0 <= n <= 1 else math.nan for n in said)


def fit(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Bound:
    """The bound of calibrated out-of-fold ``p`` (n,) given what came: ``outcome`` (n,) in 0..1.

    ``weight`` (n,): one each, unless rows are copies; see ``calibration.fit``.
    """
    import numpy as np

    edges = _edges(p)
    forecast, came = _cells(p, outcome, weight, quarters(start_ms), edges)
    margins = [_margin(short[~np.isnan(short)], level) for short in (forecast - came).T]
    known = [band for band, margin in enumerate(margins) if margin is not None]
    if not known:
        return Bound(level, 0)
    band_of = np.searchsorted(edges, p, side="right")
    centres = [float(np.average(p[band_of == band], weights=weight[band_of == band])) for band in known]
    points = [(centre, centre - (margins[band] or 0.0)) for centre, band in zip(centres, known, strict=True)]
    top = float(p[band_of == known[-1]].max())
    if top > points[-1][0]:
        points.append((top, top - (margins[known[-1]] or 0.0)))
    # from above downwards, so that a low can only be lowered by a forecast higher than its own
    lows = np.minimum.accumulate(np.clip([low for _, low in points], 0.0, 1.0)[::-1])[::-1]
    thinnest = min(int((~np.isnan((forecast - came)[:, band])).sum()) for band in known)
    return Bound(level, thinnest, tuple(x for x, _ in points), tuple(lows.tolist()))


def applied(bound: Bound, p: Floats) -> Floats:
    """``bound.apply`` of every p (n,)."""
    import numpy as np

    return np.array([bound.apply(one) for one in p.tolist()])


def out_of_quarter(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Floats:
    """Lower bounds (n,), each by a bound fitted without the row's own calendar quarter."""
    quarter = quarters(start_ms)
    return _by_quarter(p, outcome, weight, start_ms, level, lambda own: quarter != own)


def ahead(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Floats:
    """Lower bounds (n,), each by a bound fitted on the calendar quarters before the row's own; 0 while too few."""
    quarter = quarters(start_ms)
    return _by_quarter(p, outcome, weight, start_ms, level, lambda own: quarter < own)


def _by_quarter(
    p: Floats,
    outcome: Floats,
    weight: Floats,
    start_ms: Ints,
    level: float,
    known: Callable[[np.int64], NDArray[np.bool_]],
) -> Floats:
    import numpy as np

    quarter, low = quarters(start_ms), np.zeros_like(p)
    for own in np.unique(quarter):
        rest = known(own)
        if rest.any():
            mine = quarter == own
            low[mine] = applied(fit(p[rest], outcome[rest], weight[rest], start_ms[rest], level), p[mine])
    return low


def coverage(p: Floats, low: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Coverage:
    """How often lows made without the row's quarter held: by band of p and quarter, mean outcome >= mean low.

    A low of 0 claims nothing and is not counted; without any claim the share is 0, of 0 quarters.
    """

    claimed, came = _cells(low, outcome, weight, quarters(start_ms), _edges(p), by=p)
    seen = claimed > 0
    kept = came[seen] >= claimed[seen]
    share = float(kept.mean()) if kept.size else 0.0
    return Coverage(level, share, int(seen.sum()), int(seen.any(axis=1).sum()))


def quarters(start_ms: Ints) -> Ints:
    """Calendar quarters (UTC) since 1970 of epoch milliseconds (n,)."""
    import numpy as np

    months = start_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months // 3


def _edges(p: Floats) -> Floats:
    """Inner edges of the bands; equal forecasts fall into one band, however many they are."""
    import numpy as np

    return np.unique(np.quantile(p, np.linspace(0, 1, BANDS + 1)[1:-1]))


def _cells(p: Floats, outcome: Floats, weight: Floats, quarter: Ints, edges: Floats, by: Floats | None = None) -> Cells:
    """Weighted mean of p and of the outcome, (quarters, bands) each; NaN where fewer than ROWS_MIN rows lie."""
    import numpy as np

    bands = len(edges) + 1
    _, place = np.unique(quarter, return_inverse=True)
    size = (int(place.max()) + 1) * bands
    cell = place * bands + np.searchsorted(edges, p if by is None else by, side="right")
    whole = np.bincount(cell, weight, size)
    whole[np.bincount(cell, minlength=size) < ROWS_MIN] = np.nan
    whole[whole == 0] = np.nan
    said, came = (np.bincount(cell, weight * of, size) / whole for of in (p, outcome))
    return said.reshape(-1, bands), came.reshape(-1, bands)


def _margin(short: Floats, level: float) -> float | None:
    """The conformal quantile of quarterly shortfalls, >= 0; None where they are too few for the level."""
    import numpy as np

    place = math.ceil((len(short) + 1) * level - 1e-9)
    if place > len(short):
        return None
    return max(0.0, float(np.sort(short)[place - 1]))
