"""Two models on the same bets: which of them misses by less, and whether chance could say so.

Rule 1: losses are compared bet by bet, added up by UTC day, and days are what is counted: bets of one day share its
        weather, and days that lie within one bet's longest time of each other are not independent either.
Rule 2: the day that is not over is left out, so that a judgement changes once a day and not with every look.

Source: Diebold and Mariano, Comparing Predictive Accuracy (1995), with Bartlett weights (Newey and West 1987) and the
small-sample correction of Harvey, Leybourne and Newbold (1997), against Student's t with days - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from core.lab_ports import Twofold
from core.learn import beta
from core.learn.rule import HORIZON

DAY_MS = 86_400_000
SURE = 1e-9
DAYS_MIN = 14
COUNT_MIN = 200
NOT_WORSE = 0.8
WORSE = 0.975


def needed(span: timedelta) -> timedelta:
    """How long a challenger speaks at least before it can be judged: DAYS_MIN, the days cut at both ends, and the
    longest a bet lasts."""
    return timedelta(days=DAYS_MIN + 2) + HORIZON * span


@dataclass(frozen=True, slots=True)
class Duel:
    """``challenger_id`` beside ``champion_id`` on ``count`` bets of ``days``, worth ``effective`` independent ones.

    ``losses`` of both: mean log loss in nats. ``chance_worse``: 0..1, how sure it is that the challenger is worse.
    """

    champion_id: str
    challenger_id: str
    count: int
    days: int
    effective: float
    losses: tuple[float, float]
    chance_worse: float

    @property
    def enough(self) -> bool:
        """Whether there is enough to judge by: two whole weeks, so that each hour and weekday came twice, and as many
        bets as a single pair of hourly bars makes in little more than half of them."""
        return self.days >= DAYS_MIN and self.count >= COUNT_MIN

    @property
    def won(self) -> bool:
        """Whether the challenger is not worse, as far as days can tell."""
        return self.enough and self.chance_worse < NOT_WORSE

    @property
    def lost(self) -> bool:
        """Whether the challenger is clearly worse."""
        return self.enough and self.chance_worse > WORSE

    @property
    def sentence(self) -> str:
        """One line for a phone."""
        if not self.count:
            return f"{self.challenger_id} and {self.champion_id} have no settled bet in common yet."
        worth = f"{self.count} bets of {self.days} days, worth {max(1, round(self.effective))} apart"
        losses = f"log loss {self.losses[1]:.4f}, champion {self.losses[0]:.4f}"
        said = "is not worse" if self.won else "is clearly worse" if self.lost else "is not judged yet"
        return f"Challenger {self.challenger_id} {said}: {losses} ({worth})."


@dataclass(slots=True)
class Paired:
    """Sums over bets that two models forecast, oldest first; bets last ``longest_ms`` at most."""

    longest_ms: int
    _days: dict[int, list[float]] = field(default_factory=dict)  # bets, champion's, challenger's loss, squared lead

    def add(self, block: Iterable[Twofold]) -> None:
        """Take bets that are not older than those before."""
        for one in block:
            sums = self._days.setdefault(one.open_ms // DAY_MS, [0.0, 0.0, 0.0, 0.0])
            champion, challenger = log_loss(one.p, one.outcome), log_loss(one.other_p, one.outcome)
            sums[0] += 1.0
            sums[1] += champion
            sums[2] += challenger
            sums[3] += (challenger - champion) ** 2

    def duel(self, champion_id: str, challenger_id: str) -> Duel:
        """The judgement over all whole days."""
        days = [self._days[day] for day in sorted(self._days)][:-1]
        count = sum(day[0] for day in days)
        if not count:
            return Duel(champion_id, challenger_id, 0, 0, 0.0, (0.0, 0.0), 0.5)
        losses = sum(day[1] for day in days) / count, sum(day[2] for day in days) / count
        mean = losses[1] - losses[0]
        lag = -(-self.longest_ms // DAY_MS)
        variance = _long_run([day[2] - day[1] - mean * day[0] for day in days], lag)
        spread = max(0.0, sum(day[3] for day in days) / count - mean * mean)
        effective = min(count, spread * count * count / variance) if variance > 0.0 else 1.0
        t = mean * count / math.sqrt(variance) * _correction(len(days), lag) if variance > 0.0 else 0.0
        return Duel(
            champion_id, challenger_id, int(count), len(days), effective, losses, student(t, max(1, len(days) - 1))
        )


def log_loss(p: float, outcome: float) -> float:
    """Cross-entropy, nats >= 0, of a chance against the part of a win it came to."""
    clear = min(max(p, SURE), 1.0 - SURE)
    return -(outcome * math.log(clear) + (1.0 - outcome) * math.log1p(-clear))


def _long_run(sums: list[float], lag: int) -> float:
    """Variance of the total of dependent sums, >= 0: Bartlett weights up to ``lag``."""
    total = sum(x * x for x in sums)
    for k in range(1, min(lag, len(sums) - 1) + 1):
        total += 2.0 * (1.0 - k / (lag + 1.0)) * sum(a * b for a, b in zip(sums, sums[k:], strict=False))
    return max(0.0, total)


def _correction(days: int, lag: int) -> float:
    """How far t is to be trusted, 0..1, where forecasts reach ``lag`` days on and ``days`` were seen."""
    ahead = lag + 1
    return math.sqrt(max(0.0, days + 1 - 2 * ahead + ahead * (ahead - 1) / days) / days)


def student(t: float, freedom: int) -> float:
    """Probability, 0..1, that Student's t with ``freedom`` degrees of freedom is below ``t`` (DLMF 8.17)."""
    beyond = 0.5 * beta.cumulative(freedom / 2.0, 0.5, freedom / (freedom + t * t))
    return 1.0 - beyond if t > 0.0 else beyond
