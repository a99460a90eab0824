"""Where a result comes from: which kind of feature, which cost, which time; by pair and fold it stands in the slices.

Rule 1: gains are fractions of the equity when each bet was made, so parts add up and late ones weigh no more than early
ones, as compounded gains would.
Rule 2: a feature group's part is its mean |contribution| (TreeSHAP: Lundberg and others 2020) among all groups'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.learn.judge.judgement import Costs, Fall, Part
from core.learn.judge.profit import DAY_MS, Profit, deepest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REST = "other"


def by_year(profit: Profit, start_ms: Ints) -> tuple[Part, ...]:
    """One part a calendar year (UTC) in which a bet was made; ``start_ms`` (n,) are all rows'."""
    of = _calendar(start_ms[profit.taken], "Y")
    return tuple(_part(year, profit, of == year) for year in np.unique(of).tolist())


def _part(name: str, profit: Profit, mine: NDArray[np.bool_]) -> Part:
    net = profit.net[mine]
    return Part(name, len(net), float((net > 0).mean()), float(net.mean()), float(profit.gain[mine].sum()))


def by_cost(profit: Profit) -> Costs:
    """Gross, fees and net of the whole."""
    fees = float(profit.stake.sum()) * profit.cost
    return Costs(float(profit.stake @ profit.gross), fees, float(profit.gain.sum()))


def by_feature_group(
    contributions: Floats, names: Sequence[str], groups: Mapping[str, str]
) -> tuple[tuple[str, float], ...]:
    """(group, share of all mean |contribution|, 0..1), largest first; ``contributions`` (n, names) without the bias.

    ``groups`` says which group a feature belongs to; one it does not name belongs to REST.
    """
    size = np.abs(contributions).mean(axis=0)
    whole = float(size.sum())
    of: dict[str, float] = {}
    for name, one in zip(names, size.tolist(), strict=True):
        group = groups.get(name, REST)
        of[group] = of.get(group, 0.0) + one / (whole or 1.0)
    return tuple(sorted(((group, min(1.0, part)) for group, part in of.items()), key=lambda one: (-one[1], one[0])))


def falls(profit: Profit, period: str = "Y") -> tuple[Fall, ...]:
    """The deepest fall within each calendar year ("Y") or month ("M") of the daily curve, oldest first."""
    day = profit.first_day_ms + np.arange(len(profit.equity)) * DAY_MS
    of, before, found = _calendar(day, period), 1.0, []
    for one in np.unique(of).tolist():
        curve = profit.equity[of == one]
        found.append(Fall(one, deepest(curve, before), float(curve[-1] / before - 1.0)))
        before = float(curve[-1])
    return tuple(found)


def _calendar(time_ms: Ints, period: str) -> NDArray[np.str_]:
    return np.datetime_as_string(time_ms.astype("datetime64[ms]"), unit="Y" if period == "Y" else "M")
