"""From forecasts nobody had seen the outcome of to a judgement.

Rule 1: all forecasts are out of fold, one history a path of the cross-validation; scores count every path's rows.
Rule 2: every row counts once. Uniqueness may steer the growing of a model, never its judgement: a bet that ends fast is
more unique, and it ends fast because it was lost, so weighing by it would tell of more losses than there were.
Rule 3: money is told of the middle path, with the lowest and the highest beside it; the best path is never the record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.domain.errors import BadData
from core.learn.fit import bound
from core.learn.judge import attribution, profit, scores, sharpe, significance
from core.learn.judge.judgement import Baseline, Calibration, Judgement, Kept, Scores, Slice, Trading, Trials
from core.learn.judge.profit import Profit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FLAT = "the base rate"
OVERFITTING_BLOCKS = 12


class Judged(profit.Rows, Protocol):
    """Rows that could have been bet on, with the part of a win (n,), 0..1, that came of each; a Dataset is one."""

    @property
    def outcome(self) -> Floats: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a judgement is made of, for n rows sorted by time.

    ``p``, ``low`` (paths, n): calibrated forecasts and their lower bounds made without the row's quarter; NaN where a
    path has none. ``baselines``: (paths, n) each, FLAT among them. ``fold`` (n,):
    number of the block each row was forecast in. ``trial_rows`` (m,) and ``trials`` (count, m): which rows the search
    looked at, and each tried recipe's out-of-fold forecasts of them. ``cost``: a round trip, fraction of the notional.
    """

    rows: Judged
    p: Floats
    low: Floats
    baselines: Mapping[str, Floats]
    fold: Ints
    trial_rows: Ints
    trials: Floats
    curve: str
    cost: float
    seed: int
    groups: tuple[tuple[str, float], ...] = ()
    faults: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        shape = (self.p.shape[0], len(self.rows.start_ms))
        told = (self.p, self.low, *self.baselines.values())
        if FLAT not in self.baselines or any(one.shape != shape for one in told) or np.isnan(self.p).all():
            raise BadData("a judgement needs forecasts, bounds and baselines of the same paths and rows")


def assess(evidence: Evidence) -> Judgement:
    """All that can be said of the forecasts."""
    rows, flat = evidence.rows, _flat(evidence)
    trusted = profit.over_paths(rows, evidence.low, evidence.cost)
    believed = profit.over_paths(rows, evidence.p, evidence.cost)
    record = middle(trusted)
    first, last = (np.datetime64(int(rows.start_ms[at]), "ms").astype("datetime64[D]") for at in (0, -1))
    return Judgement(
        first=str(first),
        last=str(last),
        scores=_scores(flat),
        baselines=tuple(_baseline(name, flat, name_p) for name, name_p in flat.baselines.items()),
        calibration=_calibration(evidence.curve, flat),
        bound_halves=_kept(bound.halves, flat, evidence.seed),
        bound_ahead=_kept(bound.ahead, flat, evidence.seed),
        by_trust=_trading(trusted, rows),
        by_forecast=_trading(believed, rows),
        luck=significance.against_random(rows.symbol, rows.start_ms, rows.move, record.taken, evidence.seed),
        trials=_trials(evidence, record),
        folds=_slices(evidence, record, evidence.fold, _fold_names(evidence)),
        pairs=_slices(evidence, record, rows.symbol.astype(np.int64), dict(enumerate(rows.symbols))),
        groups=evidence.groups,
        faults=evidence.faults,
    )


def middle(paths: tuple[Profit, ...]) -> Profit:
    """The path of middle gain; the lower of the two middle ones."""
    return sorted(paths, key=lambda one: one.total)[(len(paths) - 1) // 2]


def trial_returns(rows: profit.Rows, chances: Floats, cost: float) -> Floats:
    """Daily returns (days, trials) of betting on each trial's forecasts ``chances`` (trials, n)."""
    return np.column_stack([one.daily for one in profit.over_paths(rows, chances, cost)])


@dataclass(frozen=True, slots=True, eq=False)
class _Flat:
    """The forecasts of every path that has one, one after the other; ``at`` are their rows."""

    at: Ints
    p: Floats
    outcome: Floats
    paid: NDArray[np.bool_]
    start_ms: Ints
    month: Ints
    baselines: Mapping[str, Floats]

    @property
    def weight(self) -> Floats:
        return np.ones(len(self.at))


def _flat(evidence: Evidence, mine: NDArray[np.bool_] | None = None) -> _Flat:
    """All forecasts, or those of the rows ``mine`` (n,)."""
    rows, known = evidence.rows, ~np.isnan(evidence.p)
    if mine is not None:
        known &= mine
    at = np.nonzero(known)[1]
    paid = scores.paid(rows.outcome, rows.win, rows.loss, evidence.cost)
    start_ms = rows.start_ms[at]
    baselines = {name: one[known] for name, one in evidence.baselines.items()}
    return _Flat(at, evidence.p[known], rows.outcome[at], paid[at], start_ms, scores.months(start_ms), baselines)


def _scores(flat: _Flat) -> Scores:
    return Scores(
        len(np.unique(flat.at)),
        scores.log_loss(flat.p, flat.outcome, flat.weight),
        scores.brier(flat.p, flat.outcome, flat.weight),
        scores.auc(flat.p, flat.paid, flat.weight),
    )


def _baseline(name: str, flat: _Flat, p: Floats) -> Baseline:
    own, other = scores.losses(flat.p, flat.outcome), scores.losses(p, flat.outcome)
    return Baseline(name, float(other.mean()), significance.gain(own, other, flat.weight, flat.month))


def _calibration(kind: str, flat: _Flat) -> Calibration:
    table = scores.reliability(flat.p, flat.outcome, flat.weight, flat.month)
    return Calibration(kind, scores.calibration_error(table), scores.noise_floor(table), table)


def _kept(measured: Callable[..., bound.Coverage], flat: _Flat, seed: int) -> Kept:
    found = measured(flat.p, flat.outcome, flat.weight, flat.start_ms, seed=seed)
    return Kept(found.level, found.share, found.expected, found.cells, found.quarters, found.error)


def _trading(paths: tuple[Profit, ...], rows: profit.Rows) -> Trading:
    record = middle(paths)
    return Trading(
        cost=record.cost,
        total=record.total,
        totals=tuple(sorted(one.total for one in paths)),
        bets=record.bets,
        days=len(record.equity),
        per_bet=record.per_bet,
        sharpe=record.sharpe,
        drawdown=record.drawdown,
        costs=attribution.by_cost(record),
        years=attribution.by_year(record, rows.start_ms),
        falls=attribution.falls(record),
    )


def _trials(evidence: Evidence, record: Profit) -> Trials:
    of, tried = sharpe.record(record.daily), len(evidence.trials)
    if not tried:
        raise BadData("a judgement needs to know what was tried")
    rows = _Part(evidence.rows, evidence.trial_rows)
    returns = trial_returns(rows, evidence.trials, evidence.cost)
    ratios = np.array([sharpe.record(column).sharpe for column in returns.T])
    independent = sharpe.independent_trials(returns)
    needed = sharpe.shortest_record(of)
    # recipes are chosen by their log loss, so the choice is judged by it
    better = -scores.losses(evidence.trials, evidence.rows.outcome[evidence.trial_rows]).T
    return Trials(
        tried,
        independent,
        sharpe.deflated(of, independent, float(ratios.var(ddof=1)) if tried > 1 else 0.0),
        sharpe.overfitting(better, OVERFITTING_BLOCKS, sharpe.means),
        needed if math.isfinite(needed) else None,
    )


class _Part:
    """Some of the rows, in their order."""

    def __init__(self, rows: profit.Rows, at: Ints) -> None:
        self.symbol, self.start_ms, self.end_ms = rows.symbol[at], rows.start_ms[at], rows.end_ms[at]
        self.move, self.win, self.loss = rows.move[at], rows.win[at], rows.loss[at]


def _fold_names(evidence: Evidence) -> dict[int, str]:
    """Each fold by its first and last month."""
    names = {}
    for number in np.unique(evidence.fold).tolist():
        month = evidence.rows.start_ms[evidence.fold == number].astype("datetime64[ms]").astype("datetime64[M]")
        names[number] = f"{month.min()}..{month.max()}"
    return names


def _slices(evidence: Evidence, record: Profit, of: Ints, names: Mapping[int, str]) -> tuple[Slice, ...]:
    """One slice a fold or a pair, in the order of ``names``; those no forecast was made for are left out."""
    found = []
    for number, name in names.items():
        flat, mine = _flat(evidence, of == number), of[record.taken] == number
        if not len(flat.at):
            continue
        told, net = _scores(flat), record.net[mine]
        per_bet = float(net.mean()) if len(net) else 0.0
        gain = float(record.gain[mine].sum())
        flat_loss = float(scores.losses(flat.baselines[FLAT], flat.outcome).mean())
        error = _calibration(evidence.curve, flat).error
        found.append(Slice(name, told.rows, told.log_loss, flat_loss, told.auc, error, int(mine.sum()), per_bet, gain))
    return tuple(found)
