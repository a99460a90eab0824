from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learn.judge import gate
from core.learn.judge.judgement import Baseline, Gain
from tests.learn.judge.judgements import GOOD, TRADING

BASE = GOOD.baselines[0]


def missed(judgement) -> list[str]:
    return [one.name for one in gate.gate(judgement) if not one.passed]


def test_a_model_that_shows_everything_may_trade():
    """All criteria passed: it is promotable, and the verdict says that it beats doing nothing."""
    criteria = gate.gate(GOOD)
    assert missed(GOOD) == []
    assert gate.promotable(criteria)
    assert gate.verdict(GOOD, criteria).startswith("This model beats doing nothing, on 40,000 bets of 2 pairs")


BAD = {
    "sound": replace(GOOD, faults=("the feature ret_1 knows the next bar",)),
    "beats the base rate": replace(
        GOOD, baselines=(replace(BASE, gain=Gain(0.001, 0.001, 60, 0.16)), GOOD.baselines[1])
    ),
    "beats logistic regression": replace(
        GOOD, baselines=(BASE, replace(GOOD.baselines[1], gain=Gain(-0.001, 0.001, 60, 0.01)))
    ),
    "baselines": replace(GOOD, baselines=()),
    "calibrated": replace(GOOD, calibration=replace(GOOD.calibration, error=0.0201)),
    "bound": replace(GOOD, bound_halves=replace(GOOD.bound_halves, share=0.77)),
    "bound ahead": replace(GOOD, bound_ahead=replace(GOOD.bound_ahead, share=0.61)),
    "earns": replace(GOOD, by_trust=replace(TRADING, total=0.0)),
    "beats chance": replace(GOOD, luck=replace(GOOD.luck, chance=0.05)),
    "not overfitted": replace(GOOD, trials=replace(GOOD.trials, overfitting=0.5)),
    "more than trying": replace(GOOD, trials=replace(GOOD.trials, deflated=0.949)),
}


@pytest.mark.parametrize("name", BAD)
def test_each_criterion_alone_keeps_a_model_out(name):
    """Whatever one thing a model fails to show, it may not trade, and the verdict names that thing."""
    criteria = gate.gate(BAD[name])
    assert missed(BAD[name]) == [name]
    assert not gate.promotable(criteria)
    said = gate.verdict(BAD[name], criteria)
    assert "not shown to beat doing nothing" in said
    assert f"It fails 1 of {len(criteria)} criteria: {name}." in said


def test_every_criterion_is_put_to_the_test_above():
    """No criterion can be added without a model that fails it."""
    assert {one.name for one in gate.gate(GOOD)} | {"baselines"} == set(BAD)


@pytest.mark.parametrize(
    ("judgement", "name"),
    [
        (replace(GOOD, calibration=replace(GOOD.calibration, table=())), "calibrated"),
        (replace(GOOD, bound_halves=replace(GOOD.bound_halves, cells=0, expected=0.0, error=1.0)), "bound"),
        (replace(GOOD, by_trust=replace(TRADING, bets=29)), "earns"),
        (replace(GOOD, by_trust=replace(TRADING, per_bet=-0.001)), "earns"),
        (replace(GOOD, luck=replace(GOOD.luck, bets=0)), "beats chance"),
    ],
)
def test_what_was_not_measured_has_not_been_shown(judgement, name):
    """An empty table, a bound that claims nothing, a handful of bets: good numbers of nothing do not pass."""
    assert missed(judgement) == [name]


def test_a_bound_is_given_the_luck_of_the_other_quarters_and_no_more():
    """Where a right bound shows 78 % give or take 10, 62 % may be chance; less than that may not, and it is said so."""
    found = next(one for one in gate.gate(GOOD) if one.name == "bound ahead")
    assert found.limit == pytest.approx(0.78 - 1.645 * 0.1)
    assert "in 70% of 60 cases from 20 quarters; a right bound shows 78% or more, and by chance 62%." in found.sentence


def test_no_criteria_are_no_permission():
    """A gate that was not asked lets nobody through."""
    assert not gate.promotable(())


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_gain_that_luck_explains_beats_nothing(mean, chance):
    """A baseline is beaten exactly where the loss is lower and luck explains it in less than one case of twenty."""
    judgement = replace(GOOD, baselines=(Baseline("x", 0.6, Gain(mean, 0.1, 60, chance)),))
    assert ("beats x" in missed(judgement)) == (mean <= 0 or chance >= 0.05)


def test_every_sentence_is_plain_and_ends():
    """Each criterion says in one line what was found, with its numbers."""
    for judgement in (GOOD, *BAD.values()):
        for one in gate.gate(judgement):
            assert one.sentence.endswith(".")
            assert "\n" not in one.sentence
            assert isinstance(one.passed, bool)


def test_a_model_that_never_bets_is_told_so():
    """Where the lower bound never clears the costs the verdict says that no bet would have been made."""
    nothing = replace(GOOD, by_trust=replace(TRADING, bets=0, per_bet=0.0))
    assert "would have made no bet at all" in gate.verdict(nothing, gate.gate(nothing))
