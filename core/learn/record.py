"""What came of the forecasts of one model: how often "60 %" was a win, and how much of it is news.

Rule 1: one pass in the order of time, in blocks of any size, in constant memory.
Rule 2: bets on neighbouring bars share most of their bars, and pairs fall together: a count never stands without the
        number of independent bets that would tell as much.
Rule 3: an outcome of 0.4 counts as two fifths of a win.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.lab_ports import Settled
from core.learn.adwin import Adwin

BIN_WIDTH = 0.05
BINS = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of like height: what was ``said`` and what ``came`` true, means 0..1, of ``count`` forecasts."""

    said: float
    came: float
    count: int
    effective: float

    @property
    def sentence(self) -> str:
        """One line for a phone."""
        return f"When I said {self.said:.0%}, it was {self.came:.0%} of {self.count} times."


@dataclass(frozen=True, slots=True)
class Track:
    """A model's record so far; ``effective`` is how many independent bets would tell as much as ``count``."""

    model_id: str
    count: int
    effective: float
    brier: float
    said: float
    came: float
    bins: tuple[Bin, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """A few lines for a phone: the fullest bins, lowest first, and what they are worth."""
        if not self.count:
            return ("Nothing is settled yet: a bet is judged once its longest time is over.",)
        fullest = sorted(sorted(self.bins, key=lambda one: -one.count)[:3], key=lambda one: one.said)
        worth = (
            f"{self.count} forecasts, Brier score {self.brier:.3f}; their bets overlap in time and across pairs, "
            f"so they tell as much as {max(1, round(self.effective))} bets apart."
        )
        return (*(one.sentence for one in fullest), worth)


@dataclass(slots=True)
class _Own:
    """What is known of one symbol's bets, ms: covered by any of them, summed over all, and until when one is taken."""

    bets: int = 0
    covered: int = 0
    lasted: int = 0
    open_ms: int = 0
    last: int = 0
    free_ms: int = 0


@dataclass(slots=True)
class _Pile:
    count: int = 0
    said: float = 0.0
    came: float = 0.0


@dataclass(slots=True)
class Tally:
    """Sums over settled forecasts, oldest first; ``residual`` is outcome less chance.

    ``window`` follows the residuals, moved into 0..1, of bets that do not overlap, symbol by symbol; ``cut`` is by how
    much its mean rose (< 0: fell) at its latest cut, 0 without any.
    """

    count: int = 0
    said: float = 0.0
    low: float = 0.0
    came: float = 0.0
    residual: float = 0.0
    squares: float = 0.0
    fourths: float = 0.0
    cut: float = 0.0
    window: Adwin = field(default_factory=Adwin)
    _own: dict[str, _Own] = field(default_factory=dict)
    _bins: list[_Pile] = field(default_factory=lambda: [_Pile() for _ in range(BINS)])
    _open_ms: int = -1
    _here: int = 0  # forecasts of the bar close that is being read, and their residuals together
    _total: float = 0.0
    _pairs: int = 0  # ordered pairs of forecasts of one bar close
    _cross: float = 0.0
    _lean: float = 0.0

    def add(self, block: Iterable[Settled]) -> None:
        """Take forecasts that are not older than those before."""
        for one in block:
            residual = one.outcome - one.p
            self.count += 1
            self.said += one.p
            self.low += one.p_low
            self.came += one.outcome
            self.residual += residual
            self.squares += residual * residual
            self.fourths += residual**4
            pile = self._bins[min(BINS - 1, int(one.p / BIN_WIDTH + 0.5))]
            pile.count += 1
            pile.said += one.p
            pile.came += one.outcome
            self._overlap(one, residual)
            self._beside(one.open_ms, residual)

    def _overlap(self, one: Settled, residual: float) -> None:
        own = self._own.setdefault(one.symbol, _Own())
        lasts = max(1, one.ended_ms - one.open_ms)
        if own.bets:
            own.covered += min(one.open_ms - own.open_ms, own.last)
        own.bets += 1
        own.lasted += lasts
        own.open_ms, own.last = one.open_ms, lasts
        if one.open_ms >= own.free_ms:
            own.free_ms = one.ended_ms
            self.cut = self.window.add(0.5 + residual / 2) or self.cut

    def _beside(self, open_ms: int, residual: float) -> None:
        """Sums over all pairs of forecasts of one bar close, as each comes."""
        if open_ms != self._open_ms:
            self._open_ms, self._here, self._total = open_ms, 0, 0.0
        self._pairs += 2 * self._here
        self._cross += 2.0 * residual * self._total
        self._lean += self._total + self._here * residual
        self._here += 1
        self._total += residual

    @property
    def effective(self) -> float:
        """How many independent bets would tell as much, 1..count, 0 for none.

        Each symbol counts the time its bets cover over the mean time of one (their mean overlap divided out); symbols
        together count by the design effect 1 + (m - 1) rho of bar closes with m forecasts (Kish, Survey Sampling,
        1965), rho the correlation of residuals within a close.
        """
        if not self.count:
            return 0.0
        apart = sum(own.bets * (own.covered + own.last) / own.lasted for own in self._own.values())
        crowd = 1.0 + self._pairs / self.count
        return max(1.0, apart / (1.0 + (crowd - 1.0) * max(0.0, self._alike())))

    def _alike(self) -> float:
        mean = self.residual / self.count
        variance = self.squares / self.count - mean * mean
        if not self._pairs or variance <= 1e-12:
            return 0.0
        cross = self._cross - 2.0 * mean * self._lean + mean * mean * self._pairs
        return min(1.0, cross / self._pairs / variance)

    def track(self, model_id: str) -> Track:
        """The record as it is shown."""
        n, effective = max(1, self.count), self.effective
        bins = tuple(
            Bin(pile.said / pile.count, pile.came / pile.count, pile.count, effective * pile.count / n)
            for pile in self._bins
            if pile.count
        )
        return Track(model_id, self.count, effective, self.squares / n, self.said / n, self.came / n, bins)
