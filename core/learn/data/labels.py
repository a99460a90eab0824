"""What became of a bet on every bar: the triple barrier over whole columns, and how much of it is news.

Rule 1: the bet is the one of ``core.learn.outcomes``, to the last bit: entry at the next open, stop, target and
horizon of the rule, pessimistic inside a bar, a gap through the stop filled at the open.
Rule 2: the horizon counts bars: behind a hole the bet meets the first bar there is.
Rule 3: a bet whose horizon the data do not hold has no label, even where it ended early: of the bets on the last bars
only the quick ones would be known, and the quick ones are mostly losses.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), ch. 3 (triple barrier) and 4 (uniqueness).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.learn.rule import HORIZON, STOP_ATRS, TARGET_ATRS, barriers_fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Series = tuple[Ints, Floats, Floats, Floats, Floats, Floats]
"""Open times (ms) and open, high, low, close, volume of one symbol, oldest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """Finished bets of one symbol, in the order they were decided; every column has the shape (bets,).

    ``at``, ``end``: places of the deciding bar and of the one in which the bet ended. ``win``, ``loss``: the barriers,
    fractions of the entry price, > 0. ``move``: what the price did, before costs, same unit.
    """

    at: Ints
    end: Ints
    win: Floats
    loss: Floats
    move: Floats

    @property
    def outcome(self) -> Floats:
        """Part of a win each bet was worth, ``(move + loss) / (win + loss)``, kept within 0..1."""
        return np.clip((self.move + self.loss) / (self.win + self.loss), 0.0, 1.0)


def bets(series: Series, at: Ints, atr_share: Floats) -> Bets:
    """The bets decided on the bars at the places ``at`` (ascending), where the ATR was ``atr_share`` of the price.

    ``series``: open times, open, high, low, close, volume, oldest first. Left out are bets whose barriers do not fit
    (``rule.barriers_fit``; NaN never does) and those that the end of the data cuts.
    """
    _, open_, high, low, close, _ = series
    fits = np.fromiter(map(barriers_fit, atr_share.tolist()), np.bool_, len(atr_share))
    known = fits & (at + HORIZON < len(open_))
    at, win, loss = at[known], TARGET_ATRS * atr_share[known], STOP_ATRS * atr_share[known]
    entry = open_[at + 1]
    stop, target = entry * (1.0 - loss), entry * (1.0 + win)
    end = _ends(np.minimum(open_, low), np.maximum(open_, high), at, stop, target)
    first = open_[end]
    move = np.select(
        [first <= stop, first >= target, low[end] <= stop, high[end] >= target],
        [first / entry - 1.0, win, -loss, win],
        close[end] / entry - 1.0,
    )
    return Bets(at, end, win, loss, move)


def _ends(floor: Floats, ceiling: Floats, at: Ints, stop: Floats, target: Floats) -> Ints:
    """Place of the first bar after each of ``at`` that touches a barrier, at most HORIZON bars on."""
    end = at + HORIZON
    running = np.arange(len(at))
    for bars in range(1, HORIZON):
        bar = at + bars
        touched = (floor[bar] <= stop) | (ceiling[bar] >= target)
        end[running[touched]] = bar[touched]
        running, at = running[~touched], at[~touched]
        stop, target = stop[~touched], target[~touched]
    return end


def uniqueness(first: Ints, last: Ints) -> Floats:
    """Share of each bet, 0..1, that is its own: the mean over its bars of 1 / (bets running in that bar).

    ``first``, ``last``: places of the first and last bar of each bet of one symbol. Bets that overlap wholly tell one
    story together, and share one weight. Lopez de Prado (2018), 4.2 and 4.4.
    """
    bars = int(last.max(initial=-1)) + 2
    running = np.cumsum(np.bincount(first, minlength=bars) - np.bincount(last + 1, minlength=bars))
    shares = np.concatenate(([0.0], np.cumsum(1.0 / np.maximum(running, 1))))
    own: Floats = (shares[last + 1] - shares[first]) / (last - first + 1)
    return own
