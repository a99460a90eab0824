"""From what a model says to how often it comes true: one monotone curve, chosen out of fold.

Rule 1: three curves compete: none (identity), beta (Kull, Silva Filho, Flach 2017) and isotonic (Zadrozny, Elkan 2002).
The lowest out-of-fold log loss wins; the simpler one on a tie.
Rule 2: fitting needs numpy and scikit-learn; ``Calibrator.apply`` needs neither, so the worker goes without.
Rule 3: no curve turns the order of two forecasts round, and none says never or always: it stays in MARGIN..1 - MARGIN.
Rule 4: what is read back from a file is judged number by number.
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

IDENTITY, BETA, ISOTONIC = "identity", "beta", "isotonic"
KINDS = (IDENTITY, BETA, ISOTONIC)
MARGIN = 1e-4  # a forecast of exactly 0 or 1 costs an infinite log loss once it is wrong
KNOTS_MAX = 20_000
STEEPEST = 1e3


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A monotone curve 0..1 -> 0..1. ``values``: beta's (a, b, c), or isotonic's heights at its ``knots``."""

    kind: str
    values: tuple[float, ...] = ()
    knots: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(type(n) is float and math.isfinite(n) for n in (*self.values, *self.knots)):
            raise BadData("a calibrator holds something that is not a finite number")
        fits = {IDENTITY: _is_identity, BETA: _is_beta, ISOTONIC: _is_isotonic}.get(self.kind)
        if fits is None or not fits(self):
            raise BadData(f"a calibrator of kind {self.kind[:20]!r} does not hold the numbers of a rising curve")

    def apply(self, raw: float) -> float:
        """Calibrated probability in MARGIN..1 - MARGIN of a raw one in 0..1; BadData on anything else."""
        if not 0.0 <= raw <= 1.0:
            raise BadData(f"a raw probability must lie between 0 and 1, not {raw}")
        curve = {IDENTITY: _identity, BETA: _beta, ISOTONIC: _isotonic}[self.kind]
        return min(max(curve(self, raw), MARGIN), 1.0 - MARGIN)

    def to_json(self) -> dict[str, object]:
        """The curve as what JSON can hold; ``from_json`` gives the same one back to the last bit."""
        return {"kind": self.kind, "values": list(self.values), "knots": list(self.knots)}


def from_json(said: object) -> Calibrator:
    """The curve ``to_json`` wrote; BadData on whatever is not one."""
    if not isinstance(said, dict) or said.keys() != {"kind", "values", "knots"} or not isinstance(said["kind"], str):
        raise BadData("a calibrator needs exactly a kind, its values and its knots")
    return Calibrator(said["kind"], _numbers(said["values"]), _numbers(said["knots"]))


def _numbers(said: object) -> tuple[float, ...]:
    if not isinstance(said, list) or len(said) > KNOTS_MAX or not all(type(n) in (int, float) for n in said):
        raise BadData(f"a calibrator holds lists of at most {KNOTS_MAX} numbers")
    try:
        return tuple(float(n) for n in said)
    except OverflowError:
        raise BadData("a calibrator holds a number no float can hold") from None


def fit(raw: Floats, outcome: Floats, weight: Floats, fold: Ints) -> Calibrator:
    """The curve of the kind with the lowest log loss out of fold, fitted on all rows.

    ``raw`` (n,) are forecasts each made without its own row, ``outcome`` (n,) in 0..1 what came, ``fold`` (n,) the
    number of the purged fold each row was forecast in. With a single fold nothing can be compared: identity.
    ``weight`` (n,): one each, unless rows are copies. Weighed by uniqueness, bets that end fast count more, and they
    end fast because they were lost: the curve would promise less than comes (0.316 for 0.336 over eight pairs).
    """
    kind = min(KINDS, key=lambda k: _log_loss(_crossed(k, raw, outcome, weight, fold), outcome, weight))
    return _fitted(kind, raw, outcome, weight)


def out_of_fold(raw: Floats, outcome: Floats, weight: Floats, fold: Ints, shown: Ints) -> Floats:
    """Calibrated probabilities (n,), each by a curve whose kind and numbers were found without the row's own fold.

    ``shown`` are the numbers of the rows curves are found on; BadData where all of them lie in one fold.
    """
    import numpy as np

    calibrated = np.empty_like(raw)
    for own in np.unique(fold):
        mine, rest = fold == own, shown[fold[shown] != own]
        if not len(rest):
            raise BadData("a calibration cannot be judged with a single fold: give at least two")
        calibrated[mine] = applied(fit(raw[rest], outcome[rest], weight[rest], fold[rest]), raw[mine])
    return calibrated


def applied(curve: Calibrator, raw: Floats) -> Floats:
    """``curve.apply`` of every raw probability (n,)."""
    import numpy as np

    return np.array([curve.apply(one) for one in raw.tolist()])


def _crossed(kind: str, raw: Floats, outcome: Floats, weight: Floats, fold: Ints) -> Floats:
    import numpy as np

    folds = np.unique(fold)
    if len(folds) == 1:
        # only identity needs no other fold; every other kind would be judged on the rows it was fitted to
        return applied(Calibrator(IDENTITY), raw)
    crossed = np.empty_like(raw)
    for own in folds:
        mine, rest = fold == own, fold != own
        crossed[mine] = applied(_fitted(kind, raw[rest], outcome[rest], weight[rest]), raw[mine])
    return crossed


def _log_loss(p: Floats, outcome: Floats, weight: Floats) -> float:
    import numpy as np

    return float(np.average(-(outcome * np.log(p) + (1 - outcome) * np.log1p(-p)), weights=weight))


def _fitted(kind: str, raw: Floats, outcome: Floats, weight: Floats) -> Calibrator:
    if kind == IDENTITY:
        return Calibrator(IDENTITY)
    return (_fit_beta if kind == BETA else _fit_isotonic)(raw, outcome, weight)


def _fit_beta(raw: Floats, outcome: Floats, weight: Floats) -> Calibrator:
    """Kull, Silva Filho, Flach (2017): logit p = a ln s - b ln(1 - s) + c with a, b >= 0, by weighted log loss."""
    import numpy as np
    from scipy.optimize import minimize

    clear = np.clip(raw, MARGIN, 1 - MARGIN)
    parts = np.column_stack([np.log(clear), -np.log1p(-clear), np.ones_like(clear)])
    share = weight / weight.sum()

    def loss(numbers: Floats) -> tuple[float, Floats]:
        logit = parts @ numbers
        # ln(1 + e^z) - o z is the cross-entropy of the forecast with logit z against the outcome o
        slope = share * (1 / (1 + np.exp(-np.clip(logit, -500, 500))) - outcome)
        return float(share @ (np.logaddexp(0, logit) - outcome * logit)), slope @ parts

    bounds = [(0, STEEPEST), (0, STEEPEST), (-STEEPEST, STEEPEST)]
    found = minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibrator(BETA, tuple(float(n) for n in found.x))


def _fit_isotonic(raw: Floats, outcome: Floats, weight: Floats) -> Calibrator:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0.0, y_max=1.0).fit(raw, outcome, sample_weight=weight)
    heights, knots = found.y_thresholds_.tolist(), found.X_thresholds_.tolist()
    return Calibrator(ISOTONIC, tuple(heights), tuple(knots))


def _is_identity(curve: Calibrator) -> bool:
    return not curve.values and not curve.knots


def _is_beta(curve: Calibrator) -> bool:
    fits = len(curve.values) == 3 and not curve.knots and min(curve.values[:2]) >= 0.0
    return fits and max(map(abs, curve.values)) <= STEEPEST


def _is_isotonic(curve: Calibrator) -> bool:
    x, y = curve.knots, curve.values
    rises = all(a < b for a, b in pairwise(x)) and all(a <= b for a, b in pairwise(y))
    return 1 <= len(x) == len(y) <= KNOTS_MAX and rises and all(0.0 <= n <= 1.0 for n in (*x, *y))


def _identity(_: Calibrator, raw: float) -> float:
    return raw


def _beta(curve: Calibrator, raw: float) -> float:
    a, b, c = curve.values
    clear = min(max(raw, MARGIN), 1.0 - MARGIN)
    logit = a * math.log(clear) - b * math.log1p(-clear) + c
    return 1.0 / (1.0 + math.exp(-logit)) if logit > -700.0 else 0.0


def _isotonic(curve: Calibrator, raw: float) -> float:
    x, y = curve.knots, curve.values
    after = bisect_right(x, raw)
    if after == 0 or after == len(x):
        return y[min(after, len(x) - 1)]
    way = (raw - x[after - 1]) / (x[after] - x[after - 1])
    # capped at the upper knot, rounding cannot carry it past: the curve stays monotone to the last bit
    return min(y[after - 1] + (y[after] - y[after - 1]) * way, y[after])
