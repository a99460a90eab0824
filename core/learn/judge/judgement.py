"""What was found out about a model, as values: nothing here computes, nothing here needs numpy.

Rule 1: every number is finite and lies where it can lie; ``card.from_json`` refuses a file where one does not.
Rule 2: losses are in nats, moves fractions of the entry price, gains of the equity when the bet was made (so that parts
add up and late ones weigh no more), totals of the first equity (they compound); chances lie in 0..1.
Rule 3: everything is out of fold: no row was forecast by a model that had seen it or what overlaps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, Meta(ge=0.0)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
# what is shown in a terminal or a chat holds no character that steers it
Word = Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Sentence = Annotated[str, Meta(max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


@dataclass(frozen=True, slots=True)
class Scores:
    """How good the forecasts of some rows were; ``auc`` asks whether a bet paid its costs."""

    rows: Count
    log_loss: Positive
    brier: Share
    auc: Share


@dataclass(frozen=True, slots=True)
class Gain:
    """How much lower a loss is than another: mean, its ``error`` over ``blocks``, one-sided ``chance`` of luck."""

    mean: float
    error: Positive
    blocks: Count
    chance: Share


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the model must beat: its log loss on the same rows, and the model's gain over it."""

    name: Word
    log_loss: Positive
    gain: Gain


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of like height: their weighted mean, what came of them, and how sure that is.

    ``rows``: forecasts, those of every path; ``effective``: how many independent ones would leave the same standard
    ``error``. ``share`` is the bin's part of all weight.
    """

    forecast: Share
    outcome: Share
    rows: Count
    share: Share
    effective: Positive
    error: Positive


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curve chosen, the expected calibration ``error``, the error perfect forecasts would show, and the table."""

    kind: Word
    error: Share
    floor: Share
    table: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """How often a lower bound of ``level`` confidence held on other quarters: ``share`` of ``cells`` (a fit's bands).

    ``expected``: the share a right bound keeps at least, for the other quarters have luck too; ``error``: how far
    chance takes the share off, one standard deviation; ``quarters``: all there were.
    """

    level: Share
    share: Share
    expected: Share
    cells: Count
    quarters: Count
    error: Share


@dataclass(frozen=True, slots=True)
class Slice:
    """One fold or one pair: the model's log loss and that of always saying the base rate, and what its bets earned."""

    name: Word
    rows: Count
    log_loss: Positive
    flat_loss: Positive
    auc: Share
    error: Share
    bets: Count
    per_bet: float
    gain: float


@dataclass(frozen=True, slots=True)
class Part:
    """A symbol's or a year's ``bets``, the share that paid, their mean net move, the sum of their gains."""

    name: Word
    bets: Count
    paid: Share
    per_bet: float
    gain: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Gain before costs, what fees and slippage took and what was left."""

    gross: float
    fees: Positive
    net: float


@dataclass(frozen=True, slots=True)
class Fall:
    """The deepest fall and the return of a calendar period, both from the equity it began with."""

    period: Word
    drawdown: Share
    earned: float


@dataclass(frozen=True, slots=True)
class AgainstRandom:
    """Mean move of the bets, mean and spread of ``draws`` random ones, and the ``chance`` of luck as good."""

    bets: Count
    mean: float
    random_mean: float
    random_spread: Positive
    draws: Count
    chance: Share


@dataclass(frozen=True, slots=True)
class Trading:
    """What betting would have earned on the path with the middle ``total``; ``totals`` of all paths, lowest first.

    ``cost``: a round trip. ``sharpe``: a year's. ``years``: bets and gains by calendar year.
    """

    cost: Positive
    total: float
    totals: tuple[float, ...]
    bets: Count
    days: Count
    per_bet: float
    sharpe: float
    drawdown: Share
    costs: Costs
    years: tuple[Part, ...]
    falls: tuple[Fall, ...]


@dataclass(frozen=True, slots=True)
class Trials:
    """What choosing among ``tried`` recipes, worth ``independent`` ones, leaves of the record.

    ``deflated``: probability that its Sharpe ratio is more than the best of as many worthless ones. ``overfitting``:
    that the best of one half of the time is not above the middle in the other. ``days_needed`` to be sure at all; None
    where no length would do.
    """

    tried: Count
    independent: Positive
    deflated: Share
    overfitting: Share
    days_needed: Positive | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that was found out about a model. ``first`` and ``last``: days (ISO) of the first and the last row judged.

    ``bound_halves``: what the lower bound made of one half of the quarters was worth in the other; ``bound_ahead``:
    what that of the past was worth in all that came later. ``by_trust``: bets decided and sized by the lower bound, as
    they are made live; ``by_forecast``: by the forecast itself. ``groups``: what the forecasts hang on, by kind of
    feature. ``faults``: look-ahead and recursion that was found.
    """

    first: Word
    last: Word
    scores: Scores
    baselines: tuple[Baseline, ...]
    calibration: Calibration
    bound_halves: Kept
    bound_ahead: Kept
    by_trust: Trading
    by_forecast: Trading
    luck: AgainstRandom
    trials: Trials
    folds: tuple[Slice, ...]
    pairs: tuple[Slice, ...]
    groups: tuple[tuple[Word, Share], ...] = ()
    faults: tuple[Sentence, ...] = ()
