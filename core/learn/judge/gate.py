"""What a model must show before it may trade: one named criterion each, with its numbers and one plain sentence.

Rule 1: all criteria must hold; there is no trade of one for another. What was not measured has not been shown.
Rule 2: a baseline is beaten where luck would explain the gain in less than LUCK_MAX of the cases, by blocks of time.
All baselines must be beaten, so no correction for their number is needed (Berger 1982).
Rule 3: a bound claims what forecasts win in the long run at worst. It keeps its word where it held on other quarters in
a share not below that of a right bound by more than chance explains (one-sided 5 %), both from one half of the quarters
on the other and from the past on all that came later.
Rule 4: the deflated Sharpe ratio must reach 95 %, the confidence its authors reject at (Bailey, Lopez de Prado 2014);
overfitting must be less likely than not (Bailey, Borwein, Lopez de Prado, Zhu 2015).
Rule 5: the money judged is what the lower bound would have traded, for that is what trades.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.learn.judge.judgement import Baseline, Judgement, Kept, Sentence, Word

LUCK_MAX = 0.05
CALIBRATION_ERROR_MAX = 0.02
OVERFITTING_MAX = 0.5
DEFLATED_MIN = 0.95
ONE_SIDED = 1.645  # standard errors that leave 5 % below
BETS_MIN = 30  # fewer say nothing of a mean


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing a model must show: ``value`` against ``limit``, whether it ``passed``, and what that means."""

    name: Word
    passed: bool
    value: float
    limit: float
    sentence: Sentence


def gate(judgement: Judgement) -> tuple[Criterion, ...]:
    """Every criterion, in the order they are told; a model is promotable where all ``passed``."""
    return tuple(_criteria(judgement))


def promotable(criteria: tuple[Criterion, ...]) -> bool:
    """Whether there are criteria and all of them passed."""
    return bool(criteria) and all(one.passed for one in criteria)


def verdict(judgement: Judgement, criteria: tuple[Criterion, ...]) -> str:
    """In plain words: whether the model beats doing nothing, on what data, with what doubt."""
    worth, missed = promotable(criteria), [one.name for one in criteria if not one.passed]
    pairs = len(judgement.pairs)
    data = (
        f"{judgement.scores.rows:,} bets of {pairs} pair{'s' * (pairs != 1)} from {judgement.first} to {judgement.last}"
    )
    said = "This model beats doing nothing" if worth else "This model is not shown to beat doing nothing"
    failed = "" if worth else f" It fails {len(missed)} of {len(criteria)} criteria: {', '.join(missed)}."
    return f"{said}, on {data}, none of which it had seen.{failed} {_money(judgement)} {_doubt(judgement)}"


def _money(judgement: Judgement) -> str:
    trading = judgement.by_trust
    if not trading.bets:
        return "Trusting its lower bound it would have made no bet at all."
    return (
        f"Trusting its lower bound it would have made {trading.bets:,} bets in {trading.days / 365.25:.1f} years, "
        f"{trading.per_bet:+.2%} each after costs, and {trading.total:+.1%} of the equity in all; "
        f"the deepest fall was {trading.drawdown:.1%}."
    )


def _doubt(judgement: Judgement) -> str:
    trials = judgement.trials
    return (
        f"The doubt: {trials.tried} recipes were tried; the chance that the best of them is no better than most is "
        f"{trials.overfitting:.0%}, that its record is more than the best of worthless ones {trials.deflated:.0%}."
    )


def _criteria(judgement: Judgement) -> Iterator[Criterion]:
    yield _sound(judgement)
    if not judgement.baselines:
        yield Criterion("baselines", False, 0.0, 1.0, "It was compared with no baseline.")
    for baseline in judgement.baselines:
        yield _beats(baseline)
    yield _calibrated(judgement)
    yield _kept(
        "bound", "made of one half of the quarters, drawn at random", "in the other half", judgement.bound_halves
    )
    yield _kept("bound ahead", "made of the quarters up to a moment", "in all after it", judgement.bound_ahead)
    yield _earns(judgement)
    yield _skill(judgement)
    yield from _chosen(judgement)


def _sound(judgement: Judgement) -> Criterion:
    faults = judgement.faults
    said = (
        f"Found: {'; '.join(faults)}."[:1000]
        if faults
        else "No look into the future and no fault of recursion was found."
    )
    return Criterion("sound", not faults, float(len(faults)), 0.0, said)


def _beats(baseline: Baseline) -> Criterion:
    gain, passed = baseline.gain, baseline.gain.mean > 0 and baseline.gain.chance < LUCK_MAX
    side = "below" if gain.mean > 0 else "above"
    said = (
        f"Its log loss is {abs(gain.mean):.5f} nats {side} that of {baseline.name}, give or take {gain.error:.5f} "
        f"over {gain.blocks} months; luck alone does as well in {gain.chance:.1%} of the cases."
    )
    return Criterion(f"beats {baseline.name}"[:80], passed, gain.chance, LUCK_MAX, said)


def _calibrated(judgement: Judgement) -> Criterion:
    found = judgement.calibration
    said = (
        f"Forecast and outcome differ by {found.error:.1%} on average, {CALIBRATION_ERROR_MAX:.0%} is allowed; "
        f"perfect forecasts would show {found.floor:.1%} by chance."
    )
    passed = bool(found.table) and found.error <= CALIBRATION_ERROR_MAX
    return Criterion("calibrated", passed, found.error, CALIBRATION_ERROR_MAX, said)


def _kept(name: str, made: str, where: str, kept: Kept) -> Criterion:
    least = max(0.0, kept.expected - ONE_SIDED * kept.error)
    if not kept.cells:
        said = f"What forecasts win at worst, {made}, could not be judged: too few of them to claim anything."
        return Criterion(name, False, 0.0, least, said)
    said = (
        f"What forecasts win in the long run at worst ({kept.level:.0%} confidence), {made}, was won {where} in "
        f"{kept.share:.0%} of {kept.cells} cases from {kept.quarters} quarters; a right bound shows "
        f"{kept.expected:.0%} or more, and by chance {least:.0%}."
    )
    return Criterion(name, kept.share >= least, kept.share, least, said)


def _earns(judgement: Judgement) -> Criterion:
    trading = judgement.by_trust
    if trading.bets < BETS_MIN:
        said = f"Trusting its lower bound it would have made {trading.bets} bets; {BETS_MIN} are the fewest that count."
        return Criterion("earns", False, float(trading.bets), float(BETS_MIN), said)
    said = (
        f"After costs of {trading.cost:.2%} a round trip a bet earned {trading.per_bet:+.3%} on average, "
        f"all together {trading.total:+.1%} of the equity; over the paths from {trading.totals[0]:+.1%} "
        f"to {trading.totals[-1]:+.1%}."
    )
    return Criterion("earns", trading.total > 0 and trading.per_bet > 0, trading.total, 0.0, said)


def _skill(judgement: Judgement) -> Criterion:
    luck = judgement.luck
    if not luck.bets:
        said = "It made no bet that could be compared with bets at random times."
        return Criterion("beats chance", False, luck.chance, LUCK_MAX, said)
    said = (
        f"Its bets moved {luck.mean:+.2%} on average, as many at random times {luck.random_mean:+.2%}; "
        f"random ones did as well in {luck.chance:.1%} of {luck.draws} draws."
    )
    return Criterion("beats chance", luck.chance < LUCK_MAX, luck.chance, LUCK_MAX, said)


def _chosen(judgement: Judgement) -> Iterator[Criterion]:
    trials = judgement.trials
    yield Criterion(
        "not overfitted",
        trials.overfitting < OVERFITTING_MAX,
        trials.overfitting,
        OVERFITTING_MAX,
        f"The recipe chosen among {trials.tried} was below the median on the other half of the time "
        f"in {trials.overfitting:.0%} of the splits; less than {OVERFITTING_MAX:.0%} is asked.",
    )
    needed = (
        "no length of record would do" if trials.days_needed is None else f"{trials.days_needed:,.0f} days would do"
    )
    yield Criterion(
        "more than trying",
        trials.deflated >= DEFLATED_MIN,
        trials.deflated,
        DEFLATED_MIN,
        f"Its Sharpe ratio is more than the best of {trials.tried} worthless tries (worth {trials.independent:.1f} "
        f"independent ones) with {trials.deflated:.0%} probability, {DEFLATED_MIN:.0%} is asked; "
        f"for a single try {needed}.",
    )
