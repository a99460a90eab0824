"""What trading on forecasts would have earned, after costs.

Rule 1: a bet is made where Kelly on the forecast's chance is above zero, that is above break-even after costs, at the
next open (the moment the deciding bar closed); one at a time a symbol, never overlapping.
Rule 2: the stake is fractional Kelly as core/decide sizes it, cut to the cap of a symbol and to the room of all.
Rule 3: equity changes where a bet ends; what a bet gains or loses while it runs is not in the curve.
Rule 4: profit per bet in plain moves stands beside the curve: it does not hang on the sizing.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.decide.sizing import kelly_share
from core.domain.state import Limits
from core.learn.judge.sharpe import annual, record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_MS = 86_400_000
LEAST = 1e-6  # of equity; what is left of the room below this is no bet


class Rows(Protocol):
    """Rows that could have been bet on, (n,) each, sorted by ``start_ms``; a Dataset is one.

    ``symbol`` a number; ``start_ms`` close of the deciding bar, ``end_ms`` close of the bar the bet ended in;
    ``move`` what it moved, ``win`` and ``loss`` its barriers: fractions of the entry price, before costs.
    """

    @property
    def symbol(self) -> NDArray[np.int32]: ...
    @property
    def start_ms(self) -> Ints: ...
    @property
    def end_ms(self) -> Ints: ...
    @property
    def move(self) -> Floats: ...
    @property
    def win(self) -> Floats: ...
    @property
    def loss(self) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Sizing:
    """Fractional Kelly: ``fraction`` of the full share, at most ``cap`` of equity a symbol and ``gross`` in all."""

    fraction: float = float(Limits().kelly_fraction)
    cap: float = float(Limits().symbol_exposure_max)
    gross: float = float(Limits().gross_exposure_max)


@dataclass(frozen=True, slots=True)
class Profit:
    """The bets made (``taken``: rows, in order of time), their ``stake`` as a share of equity, and what came of it.

    ``gross`` is the move before, ``net`` after ``cost``. ``equity`` (days,) at the end of each day from
    ``first_day_ms`` on, begins from 1 and compounds.
    """

    taken: Ints
    stake: Floats
    gross: Floats
    net: Floats
    equity: Floats
    first_day_ms: int
    cost: float

    @property
    def bets(self) -> int:
        return len(self.taken)

    @property
    def gain(self) -> Floats:
        """What each bet earned (bets,), as a fraction of the equity when it was made."""
        return self.stake * self.net

    @property
    def total(self) -> float:
        """Gain over the whole time as a fraction of the first equity."""
        return float(self.equity[-1]) - 1.0 if len(self.equity) else 0.0

    @property
    def per_bet(self) -> float:
        """Mean move of a bet after costs, as a fraction of its entry price; 0 without bets."""
        return float(self.net.mean()) if self.bets else 0.0

    @property
    def daily(self) -> Floats:
        """Returns per day (days,), fractions of the equity before."""
        before: Floats = np.concatenate([[1.0], self.equity[:-1]])
        return self.equity / before - 1.0

    @property
    def sharpe(self) -> float:
        """Annual Sharpe ratio of the daily returns."""
        return annual(record(self.daily).sharpe)

    @property
    def drawdown(self) -> float:
        """Deepest fall from the highest equity, 0..1."""
        return deepest(self.equity)


def deepest(equity: Floats, before: float = 1.0) -> float:
    """Deepest fall of an equity curve (n,) from its highest point so far, 0..1; ``before`` stands ahead of it."""
    if not len(equity):
        return 0.0
    peak = np.maximum(np.maximum.accumulate(equity), before)
    return float((1.0 - equity / peak).max())


def trade(rows: Rows, chance: Floats, cost: float, sizing: Sizing | None = None) -> Profit:
    """What betting on ``chance`` (n,), the probability that decides and sizes, would have earned.

    A row whose chance is NaN has no forecast and is passed over. ``cost``: a round trip, fraction of the notional.
    """
    sizing = sizing or Sizing()
    shares = _shares(rows, chance, cost, sizing)
    taken, stake = _played(rows, shares, sizing.gross)
    gross = rows.move[taken]
    net = gross - cost
    equity, first_day_ms = _curve(rows, taken, stake * net)
    return Profit(taken, stake, gross, net, equity, first_day_ms, cost)


def over_paths(rows: Rows, paths: Floats, cost: float, sizing: Sizing | None = None) -> tuple[Profit, ...]:
    """``trade`` of each path's chances (paths, n): the ways combinatorial cross-validation tells the same history."""
    return tuple(trade(rows, chance, cost, sizing) for chance in paths)


def _shares(rows: Rows, chance: Floats, cost: float, sizing: Sizing) -> Floats:
    """Share of equity each row asks for, 0..cap."""
    full = np.zeros(len(chance))
    known = np.flatnonzero(~np.isnan(chance))
    asked = zip(chance[known].tolist(), rows.win[known].tolist(), rows.loss[known].tolist(), strict=True)
    full[known] = [kelly_share(p, win, loss, cost) for p, win, loss in asked]
    return np.minimum(full * sizing.fraction, sizing.cap)


def _played(rows: Rows, shares: Floats, room: float) -> tuple[Ints, Floats]:
    """Rows bet on and their stakes: one bet a symbol, all stakes running at once within ``room``."""
    taken, stakes = [], []
    running: list[tuple[int, int, float]] = []
    for row in np.flatnonzero(shares > 0).tolist():
        now, symbol = int(rows.start_ms[row]), int(rows.symbol[row])
        while running and running[0][0] <= now:
            heapq.heappop(running)
        stake = min(float(shares[row]), room - sum(one[2] for one in running))
        if stake > LEAST and all(one[1] != symbol for one in running):
            heapq.heappush(running, (int(rows.end_ms[row]), symbol, stake))
            taken.append(row)
            stakes.append(stake)
    return np.array(taken, dtype=np.int64), np.array(stakes, dtype=np.float64)


def _curve(rows: Rows, taken: Ints, gain: Floats) -> tuple[Floats, int]:
    """The equity at the end of each day, and the first of the days."""
    if not len(rows.start_ms):
        return np.zeros(0), 0
    first, last = int(rows.start_ms.min()) // DAY_MS, int(rows.end_ms.max()) // DAY_MS
    ends = rows.end_ms[taken]
    order = np.argsort(ends, kind="stable")
    after = _compounded(rows.start_ms[taken], ends, gain, order)
    ended = np.searchsorted(ends[order] // DAY_MS, np.arange(first, last + 1), side="right")
    return after[ended], first * DAY_MS


def _compounded(start_ms: Ints, end_ms: Ints, gain: Floats, order: Ints) -> Floats:
    """The equity before and after each end in ``order``; bets by their start."""
    base, after = np.ones(len(gain)), np.ones(len(gain) + 1)
    opened = 0
    for rank, bet in enumerate(order.tolist()):
        # a stake is a share of the equity when the bet was made; bets ending later do not change it
        while opened < len(gain) and start_ms[opened] < end_ms[bet]:
            base[opened] = after[rank]
            opened += 1
        after[rank + 1] = after[rank] + base[bet] * gain[bet]
    return after
