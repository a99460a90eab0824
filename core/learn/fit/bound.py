"""What forecasts win in the long run at worst: a lower bound that is true with LEVEL confidence.

The claim: with LEVEL (90 %) confidence the long-run win rate of forecasts like this one is at least ``p_low``. Not one
quarter's luck is bounded (small stakes and limits are there for that) but what is not known of the true chance.
The way: by band of p, the mean residual (outcome - p) and its standard error over calendar quarters, since bets of one
quarter share its market and are no independent trials: ``low = p + min(0, mean) - t * error``. Cluster-robust standard
error of a mean (Liang, Zeger 1986; small samples: Bell, McCaffrey 2002), ``part`` a quarter's part of the band's rows:
``error^2 = sum part^2 (residual - mean)^2 / (1 - 2 sum part^3 / sum part^2 + sum part^2)``, and Student's t with
n - 1 degrees of freedom, n = 1 / sum part^2 quarters in effect (Carter, Schnepel, Steigerwald 2017). Where all quarters
weigh alike n is their number G and the divisor (G - 1) / G: the t test over quarter means.

Rule 1: a band of fewer than QUARTERS_MIN quarters claims nothing; without any band that does, the bound is 0.
Rule 2: ``p_low`` is never above p and never falls while p rises; making it so only ever lowers it.
Rule 3: fitting needs numpy and scipy; ``Bound.apply`` does not. What is read from a file is judged number by number.
Rule 4: what the claim is worth is measured: on halves of the quarters, where it fails if the error is too small, and
from the past on all that came later, where it fails if the market has changed. A mean of other quarters has luck of its
own, so a right bound is kept there less often than LEVEL: by ``T <= t / sqrt(1 + n / n_other)``. That is the least, for
a bound held down to p, or to that of a higher band, is kept more often.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from core.domain.errors import BadData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Cases = list[tuple[bool, float]]

LEVEL = 0.90
# a tail of its own: bets come from the highest forecasts, and what holds for a fifth need not hold for the top of it
EDGES = (0.2, 0.4, 0.6, 0.8, 0.95)
BANDS = len(EDGES) + 1
ROWS_MIN = 30  # fewer rows in one band of one quarter say nothing of that quarter
QUARTERS_MIN = 8  # of fewer a standard error is a guess
QUARTERS_NEEDED = 2 * QUARTERS_MIN  # for each half to carry a claim that the other can judge
HALVINGS = 200
ORDERS = 100
ROUNDING = 1e-9
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
    """What a claim was worth on quarters it had not seen: ``share`` of ``cells`` (a band of a fit each) that kept it.

    ``expected``: the share a right bound keeps at least; ``error``: how far chance takes the share from its mean, one
    standard deviation; ``quarters``: those there were. Where nothing was claimed there are no cells and no quarters.
    """

    level: float
    share: float
    expected: float
    cells: int
    quarters: int
    error: float


def from_json(said: object) -> Bound:
    """The bound ``to_json`` wrote; BadData on whatever is not one."""
    if not isinstance(said, dict) or said.keys() != {"level", "quarters", "knots", "lows"}:
        raise BadData("a bound needs exactly a level, a number of quarters, knots and lows")
    return Bound(said["level"], said["quarters"], _numbers(said["knots"]), _numbers(said["lows"]))


def _numbers(said: object) -> tuple[float, ...]:
    if not isinstance(said, list) or len(said) > KNOTS_MAX or not all(type(n) in (int, float) for n in said):
        raise BadData(f"a bound holds lists of at most {KNOTS_MAX} numbers")
    return tuple(float(n) if 0 <= n <= 1 else math.nan for n in said)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """By quarter and band, (q, b) each: summed weight, mean forecast, mean outcome, highest forecast; all of them 0
    where fewer than ROWS_MIN rows lie."""

    weight: Floats
    p: Floats
    came: Floats
    top: Floats

    def of(self, which: Ints) -> _Cells:
        """Those of some quarters, by their places."""
        return _Cells(self.weight[which], self.p[which], self.came[which], self.top[which])

    def known(self) -> NDArray[np.bool_]:
        """Which bands (b,) have quarters enough for a claim."""
        known: NDArray[np.bool_] = (self.weight > 0).sum(axis=0) >= QUARTERS_MIN
        return known


def fit(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Bound:
    """The bound of calibrated out-of-fold ``p`` (n,) given what came: ``outcome`` (n,) in 0..1.

    ``weight`` (n,): one each, unless rows are copies; see ``calibration.fit``.
    """
    return _fitted(_cells(p, outcome, weight, start_ms), level)


def applied(bound: Bound, p: Floats) -> Floats:
    """``bound.apply`` of every p (n,), but for rounding."""
    import numpy as np

    if not bound.knots:
        return np.zeros_like(p)
    lowest = bound.lows[0] - np.maximum(0.0, bound.knots[0] - p)
    low = np.where(p < bound.knots[0], lowest, np.interp(p, bound.knots, bound.lows))
    return np.maximum(0.0, np.minimum(low, p))


def out_of_quarter(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL) -> Floats:
    """Lower bounds (n,), each by a bound fitted without the outcomes of the row's own calendar quarter."""
    import numpy as np

    cells, low = _cells(p, outcome, weight, start_ms), np.zeros_like(p)
    _, place = np.unique(quarters(start_ms), return_inverse=True)
    for own in range(len(cells.weight)):
        mine = place == own
        low[mine] = applied(_fitted(cells.of(np.delete(np.arange(len(cells.weight)), own)), level), p[mine])
    return low


def halves(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL, seed: int = 0) -> Coverage:
    """How often a bound of one half of the quarters, drawn at random HALVINGS times, held in the other half.

    The bands of one halving stand together, so a halving is one trial of the ``error``.
    """
    import numpy as np

    cells, random = _cells(p, outcome, weight, start_ms), np.random.default_rng(seed)
    count = len(cells.weight)
    orders = [random.permutation(count) for _ in range(HALVINGS)]
    found = [
        case for order in orders for case in _cases(cells.of(order[: count // 2]), cells.of(order[count // 2 :]), level)
    ]
    _, expected = _means(found)
    return _coverage(found, level, count, math.sqrt(expected * (1 - expected) / HALVINGS))


def ahead(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints, level: float = LEVEL, seed: int = 0) -> Coverage:
    """How often a bound of the quarters up to a moment held in all the quarters after it, over all such moments.

    One history is hardly more than one trial, so the ``error`` is taken from ORDERS histories of the same quarters in
    random order: the spread of their shares.
    """
    import numpy as np

    cells, random = _cells(p, outcome, weight, start_ms), np.random.default_rng(seed)
    count = len(cells.weight)
    found = _onwards(cells, level)
    shares = [_means(_onwards(cells.of(random.permutation(count)), level))[0] for _ in range(ORDERS)] if found else []
    return _coverage(found, level, count, float(np.std(shares)) if shares else 1.0)


def _onwards(cells: _Cells, level: float) -> Cases:
    import numpy as np

    every = np.arange(len(cells.weight))
    cuts = range(QUARTERS_MIN, len(every))
    return [case for cut in cuts for case in _cases(cells.of(every[:cut]), cells.of(every[cut:]), level)]


def _coverage(found: Cases, level: float, count: int, error: float) -> Coverage:
    if not found:
        return Coverage(level, 0.0, 0.0, 0, 0, 1.0)
    return Coverage(level, *_means(found), len(found), count, error)


def _means(found: Cases) -> tuple[float, float]:
    """The share that was kept and the share expected; 0 of nothing."""
    count = max(1, len(found))
    return sum(kept for kept, _ in found) / count, sum(expected for _, expected in found) / count


def _cases(past: _Cells, rest: _Cells, level: float) -> Cases:
    """Of each band in which the bound of ``past`` claims anything (a low of 0 does not): whether the mean outcome of
    ``rest`` kept it, and how likely that is of a right bound."""
    import numpy as np
    from scipy.special import stdtr, stdtrit

    bands = np.flatnonzero(past.known() & (rest.weight.sum(axis=0) > 0))
    if not len(bands):
        return []
    weight = rest.weight[:, bands]
    said, came = (np.average(of[:, bands], axis=0, weights=weight) for of in (rest.p, rest.came))
    low = applied(_fitted(past, level), said)
    own, other = _effective(past.weight[:, bands]), _effective(weight)
    expected = stdtr(_freedom(own), stdtrit(_freedom(own), level) / np.sqrt(1 + own / other))
    claimed = low > 0
    return list(zip((came >= low - ROUNDING)[claimed].tolist(), expected[claimed].tolist(), strict=True))


def quarters(start_ms: Ints) -> Ints:
    """Calendar quarters (UTC) since 1970 of epoch milliseconds (n,)."""
    import numpy as np

    months = start_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months // 3


def _cells(p: Floats, outcome: Floats, weight: Floats, start_ms: Ints) -> _Cells:
    """The rows by quarter and band of p; equal forecasts fall into one band, however many they are."""
    import numpy as np

    edges = np.unique(np.quantile(p, EDGES))
    bands = len(edges) + 1
    _, place = np.unique(quarters(start_ms), return_inverse=True)
    size = (int(place.max()) + 1) * bands
    cell = place * bands + np.searchsorted(edges, p, side="right")
    whole = np.bincount(cell, weight, size)
    whole[np.bincount(cell, minlength=size) < ROWS_MIN] = 0.0
    there = np.where(whole > 0, whole, np.inf)
    top = np.zeros(size)
    np.maximum.at(top, cell, p)
    sums = (np.bincount(cell, weight * of, size) / there for of in (p, outcome))
    return _Cells(*(of.reshape(-1, bands) for of in (whole, *sums, np.where(whole > 0, top, 0.0))))


def _fitted(cells: _Cells, level: float) -> Bound:
    import numpy as np

    bands = np.flatnonzero(cells.known())
    if not len(bands):
        return Bound(level, 0)
    weight, p = cells.weight[:, bands], cells.p[:, bands]
    margins = _margins(cells.came[:, bands] - p, weight, level)
    x, top = np.average(p, axis=0, weights=weight), float(cells.top[:, bands[-1]].max())
    lows = x - margins
    if top > x[-1] + ROUNDING:
        x, lows = np.append(x, top), np.append(lows, top - margins[-1])
    # from above downwards, so that a low can only be lowered by a forecast higher than its own
    lows = np.minimum.accumulate(np.clip(lows, 0.0, 1.0)[::-1])[::-1]
    return Bound(level, int((weight > 0).sum(axis=0).min()), tuple(x.tolist()), tuple(lows.tolist()))


def _margins(residual: Floats, weight: Floats, level: float) -> Floats:
    """How far each band's (b,) bound lies below its forecasts, >= 0, of quarterly residuals (q, b); see the head."""
    import numpy as np
    from scipy.special import stdtrit

    mean = np.average(residual, axis=0, weights=weight)
    margins: Floats = np.maximum(0.0, -mean) + stdtrit(_freedom(_effective(weight)), level) * _error(
        residual - mean, weight
    )
    return margins


def _error(off: Floats, weight: Floats) -> Floats:
    """Cluster-robust standard error (b,) of weighted means over quarters, ``off`` (q, b) their distances from it."""
    import numpy as np

    part = weight / weight.sum(axis=0)
    second, third = (part**2).sum(axis=0), (part**3).sum(axis=0)
    error: Floats = np.sqrt((part**2 * off**2).sum(axis=0) / (1 - 2 * third / second + second))
    return error


def _effective(weight: Floats) -> Floats:
    """As how many quarters of like weight those of each band (b,) count (Kish 1965)."""
    effective: Floats = weight.sum(axis=0) ** 2 / (weight**2).sum(axis=0)
    return effective


def _freedom(effective: Floats) -> Floats:
    import numpy as np

    return np.maximum(1.0, effective - 1)
