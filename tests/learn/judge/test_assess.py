from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from core.domain.errors import BadData
from core.learn.fit import bound
from core.learn.judge import assess, card, gate, profit, scores, sharpe
from core.learn.judge.assess import FLAT, Evidence
from tests.learn.judge.candidates import HOUR_MS
from tests.learn.judge.judgements import MAKING

SYMBOLS = ("AAA/USDT", "BBB/USDT")


@dataclass(frozen=True, slots=True)
class Market:
    """Bets whose true chance is known."""

    symbols: tuple[str, ...]
    symbol: np.ndarray
    start_ms: np.ndarray
    end_ms: np.ndarray
    outcome: np.ndarray
    move: np.ndarray
    win: np.ndarray
    loss: np.ndarray


def market(skill: float, seed: int = 1, steps: int = 4_000) -> tuple[Market, np.ndarray]:
    """Four years of bets of two pairs, and the true chance of each, spread ``skill`` wide about break-even."""
    random = np.random.default_rng(seed)
    start = np.repeat(1_546_300_800_000 + np.arange(steps) * 9 * HOUR_MS, 2)
    n = len(start)
    chance = np.clip(0.34 + random.normal(0, skill, n), 0.02, 0.9)
    outcome = (random.uniform(size=n) < chance).astype(float)
    win, loss = np.full(n, 0.06), np.full(n, 0.03)
    symbol = np.tile(np.arange(2, dtype=np.int32), steps)
    made = Market(SYMBOLS, symbol, start, start + 8 * HOUR_MS, outcome, outcome * 0.09 - 0.03, win, loss)
    return made, chance


def evidence(skill: float = 0.15, seed: int = 1, told: float = 1.0) -> Evidence:
    """Two paths of forecasts that know the truth to the degree ``told``, and four trials that know part of it."""
    rows, chance = market(skill, seed)
    random = np.random.default_rng(seed + 1)
    p = np.stack([0.34 + told * (chance - 0.34)] * 2)
    cases = rows.outcome, np.ones(len(chance)), rows.start_ms
    low = np.stack([bound.out_of_quarter(one, *cases) for one in p])
    half = np.arange(0, len(chance), 2)
    shares = (0.9, 0.5, 0.2, 0.0)
    trials = np.stack(
        [
            np.clip(0.34 + share * (chance[half] - 0.34) + random.normal(0, 0.01, len(half)), 0.01, 0.99)
            for share in shares
        ]
    )
    baselines = {
        FLAT: np.full_like(p, rows.outcome.mean()),
        "noise": np.clip(random.normal(0.34, 0.02, p.shape), 0.1, 0.9),
    }
    fold = np.arange(len(chance)) * 4 // len(chance)
    return Evidence(rows, p, low, baselines, fold, half, trials, "identity", 0.0024, 5)


@pytest.fixture(scope="module")
def skilled():
    return assess.assess(evidence())


def test_forecasts_that_know_the_truth_may_trade(skilled):
    """True probabilities that differ beat every baseline, earn, and pass the whole gate."""
    criteria = gate.gate(skilled)
    assert [one.name for one in criteria if not one.passed] == []
    assert skilled.trials.overfitting < 0.05
    assert skilled.by_trust.per_bet > 0.005


def test_forecasts_that_know_nothing_may_not():
    """The base rate with noise on top beats nothing: it loses to saying the base rate, and chance does as well."""
    clean = evidence(0.0)
    noise = np.clip(0.35 + np.random.default_rng(9).normal(0, 0.03, clean.p.shape), 0.05, 0.9)
    found = gate.gate(assess.assess(replace(clean, p=noise, low=noise - 0.001)))
    failed = {one.name for one in found if not one.passed}
    assert {"beats the base rate", "beats chance", "calibrated"} <= failed


def test_the_parts_fit_the_whole(skilled):
    """Folds and pairs hold all rows; pairs' gains add up to the record's; the days are those of the rows."""
    assert sum(one.rows for one in skilled.folds) == sum(one.rows for one in skilled.pairs) == skilled.scores.rows
    assert sum(one.gain for one in skilled.pairs) == pytest.approx(skilled.by_trust.costs.net)
    assert sum(one.bets for one in skilled.folds) == skilled.by_trust.bets
    assert (skilled.first, skilled.pairs[1].name) == ("2019-01-01", "BBB/USDT")
    assert skilled.folds[0].name == "2019-01..2020-01"


def test_the_bound_is_judged_on_halves_and_from_the_past_onwards(skilled):
    """Seventeen quarters: every band of every halving, and of every moment with eight quarters before it."""
    # the thin band at the top has too few rows in some quarters
    full, thin = bound.BANDS, bound.BANDS - 1
    assert thin * bound.HALVINGS < skilled.bound_halves.cells <= full * bound.HALVINGS
    onwards = skilled.bound_ahead.quarters - bound.QUARTERS_MIN
    assert (skilled.bound_ahead.quarters, skilled.bound_halves.quarters) == (17, 17)
    assert thin * onwards < skilled.bound_ahead.cells <= full * onwards


def test_money_is_told_of_one_path_throughout():
    """Costs, years and totals all belong to the middle path, not to the first."""
    whole = evidence()
    blind = np.stack([whole.p[0], 0.34 + 0.3 * (whole.p[0] - 0.34)])
    told = assess.assess(replace(whole, p=blind)).by_forecast
    assert told.total == told.totals[0] < told.totals[1]
    assert sum(one.gain for one in told.years) == pytest.approx(told.costs.net)
    assert sum(one.bets for one in told.years) == told.bets


def test_the_money_judged_is_what_the_lower_bound_would_have_traded():
    """Forecasts may be as high as they like: where their bounds stay below break-even there is no bet to tell of."""
    whole = evidence()
    found = assess.assess(replace(whole, low=np.full_like(whole.p, 0.1)))
    assert found.by_forecast.bets > 0
    assert (found.by_trust.bets, found.luck.bets, found.trials.days_needed) == (0, 0, None)


def test_a_record_chosen_among_many_is_worth_less_than_a_single_one():
    """The same bets, found by one try or by forty that share nothing: the more was tried, the less they prove."""
    whole = evidence(0.08)
    random = np.random.default_rng(4)
    many = np.clip(random.normal(0.34, 0.08, (40, len(whole.trial_rows))), 0.05, 0.9)
    rare = np.where(random.uniform(size=whole.p.shape[1]) < 0.03, whole.p - 0.06, 0.1)
    alone, chosen = (assess.assess(replace(whole, low=rare, trials=tried)).trials for tried in (many[:1], many))
    assert alone.independent == 1.0
    assert chosen.independent > 20
    assert chosen.deflated < alone.deflated - 0.1


def test_the_choice_of_a_recipe_is_judged_by_what_it_was_chosen_by():
    """Recipes are chosen by their mean log loss, so that is what overfitting is measured in."""
    whole = evidence()
    worthless = np.clip(np.random.default_rng(3).normal(0.34, 0.05, whole.trials.shape), 0.05, 0.9)
    better = -scores.losses(worthless, whole.rows.outcome[whole.trial_rows]).T
    found = assess.assess(replace(whole, trials=worthless)).trials.overfitting
    assert found == sharpe.overfitting(better, assess.OVERFITTING_BLOCKS, sharpe.means)
    assert found != sharpe.overfitting(better, assess.OVERFITTING_BLOCKS, sharpe.ratios)


def test_a_judgement_goes_onto_a_card_and_through_its_file(skilled):
    """Whatever was found out can be written down, read back and is the same."""
    made = card.made(MAKING, skilled)
    assert card.from_json(json.loads(json.dumps(card.to_json(made)))) == made


def test_the_same_evidence_gives_the_same_judgement(skilled):
    """A judgement can be repeated to the last digit."""
    assert assess.assess(evidence()) == skilled


def test_a_path_without_a_forecast_for_a_row_is_passed_over():
    """Rows a path did not forecast count nowhere in that path."""
    whole = evidence()
    gap = np.zeros_like(whole.p, dtype=bool)
    gap[:, :1000] = True
    columns = {name: np.where(gap, np.nan, getattr(whole, name)) for name in ("p", "low")}
    found = assess.assess(replace(whole, **columns))
    assert found.scores.rows == len(whole.rows.start_ms) - 1000
    assert found.folds[0].rows == 1000


def test_the_record_is_the_middle_path_never_the_best():
    """Of three paths the middle one is told, of two the lower."""
    rows, chance = market(0.15, steps=300)
    paths = profit.over_paths(rows, np.stack([chance, np.zeros_like(chance), 1 - chance]), 0.0024)
    best, nothing, worst = paths
    assert best.total > 0 > worst.total
    assert assess.middle(paths) is nothing
    assert assess.middle((best, worst)) is worst


def test_evidence_that_does_not_fit_together_is_refused():
    """Forecasts of other rows, a missing base rate, or no trial: no judgement is made of that."""
    whole = evidence()
    for fault in (
        {"low": whole.low[:1]},
        {"p": whole.p[:, :-1]},
        {"baselines": {"noise": whole.baselines["noise"]}},
        {"p": np.full_like(whole.p, np.nan)},
    ):
        with pytest.raises(BadData, match="same paths and rows"):
            replace(whole, **fault)
    with pytest.raises(BadData, match="what was tried"):
        assess.assess(replace(whole, trials=whole.trials[:0]))
