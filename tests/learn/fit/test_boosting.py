"""Trees: the same to the byte, stopped where the folds say, blind to what was not chosen."""

import subprocess
import sys

import lightgbm as lgb
import numpy as np
import pytest

from core.learn.data.splits import PurgedKFold
from core.learn.fit import boosting
from core.learn.fit.boosting import FAMILIES, FOREST, Recipe, Rows, grow, grow_until, raw_of, settings, text_of
from tests.learn.fit.drawn import SIGNAL, drawn

ELSEWHERE = """
import sys
from core.learn.fit.boosting import Recipe, grow, text_of
from tests.learn.fit.test_boosting import rows
sys.stdout.write(text_of(grow(rows(), list("abcdef"), Recipe(family=sys.argv[1]), 15, 7)))
"""


def rows(strength: float = 1.0) -> Rows:
    data = drawn(1600, strength=strength)
    return Rows(data.x, data.outcome, data.weight)


def folds(strength: float) -> list[tuple[Rows, Rows]]:
    data = drawn(1600, strength=strength)
    return [
        tuple(Rows(data.x[at], data.outcome[at], data.weight[at]) for at in pair)
        for pair in PurgedKFold(data.start_ms, data.end_ms, 4).split()
    ]


def grown(family: str, seed: int = 7) -> str:
    return text_of(grow(rows(), list("abcdef"), Recipe(family=family), 15, seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_rows_and_seed_give_the_same_text_to_the_byte(family):
    """Training twice gives one and the same model, in this process and in another one."""
    here = grown(family)
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, family], capture_output=True, text=True, check=True, timeout=60
    )
    assert grown(family) == here
    assert told.stdout == here


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_gives_other_trees(family):
    """The seed is really what decides which rows and features each tree sees."""
    assert grown(family, 8) != grown(family, 7)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_survives_its_own_text(family):
    """What is read back from the text says the same of every row, to the last bit."""
    model = grow(rows(), list("abcdef"), Recipe(family=family), 15, 7)
    again = lgb.Booster(model_str=text_of(model))
    assert (raw_of(again, rows().x) == raw_of(model, rows().x)).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_not_chosen_changes_no_forecast(family):
    """A model takes whole rows, but moves with the chosen columns only."""
    model = grow(rows().only((0, SIGNAL)), list("abcdef"), Recipe(family=family), 15, 7)
    x = rows().x
    other = x.copy()
    other[:, [1, 3, 4, 5]] += 5
    assert (raw_of(model, other) == raw_of(model, x)).all()
    other[:, SIGNAL] += 5
    assert (raw_of(model, other) != raw_of(model, x)).any()


def test_folds_without_a_signal_stop_early_and_folds_with_one_go_on():
    """How many rounds are taken is learnt: noise is left alone sooner than something there is to learn."""
    recipe = Recipe(rate=0.1)
    nothing = grow_until(folds(0.0), recipe, 7)
    something = grow_until(folds(2.0), recipe, 7)
    assert nothing.rounds < something.rounds
    assert something.loss < nothing.loss - 0.05


def test_the_rounds_are_those_of_the_lowest_mean_loss_of_all_folds():
    """No fold stops for itself: the mean over all of them decides, and what each says of its test rows fits to it."""
    found = grow_until(folds(1.0), Recipe(rate=0.1), 7)

    def loss(rounds: int) -> float:
        models = [grow(train, list("abcdef"), Recipe(rate=0.1), rounds, 7) for train, _ in folds(1.0)]
        p = np.concatenate([raw_of(model, test.x) for model, (_, test) in zip(models, folds(1.0), strict=True)])
        y = np.concatenate([test.outcome for _, test in folds(1.0)])
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))

    assert loss(found.rounds) == pytest.approx(found.loss, abs=1e-9)
    assert found.loss <= min(loss(found.rounds - 1), loss(found.rounds + 1), loss(found.rounds + 5))
    p, y = np.concatenate(found.raw), np.concatenate([test.outcome for _, test in folds(1.0)])
    assert -np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)) == pytest.approx(found.loss, abs=1e-9)


def test_a_recipe_means_the_same_on_every_fourth_row_as_on_all():
    """What holds a tree back grows with the rows, so a recipe found on few of them fits all of them."""
    few, all_ = settings(Recipe(), 1000, 1), settings(Recipe(), 4000, 1)
    for held in ("min_data_in_leaf", "lambda_l2"):
        assert all_[held] == pytest.approx(4 * few[held])
    assert few["num_threads"] == 1
    assert few["deterministic"]


def test_a_forest_is_an_average_and_does_not_grow_with_its_rounds():
    """The second family is a forest: more trees make it steadier, not surer."""
    few = raw_of(grow(rows(), list("abcdef"), Recipe(family=FOREST), 20, 7), rows().x)
    many = raw_of(grow(rows(), list("abcdef"), Recipe(family=FOREST), 60, 7), rows().x)
    assert np.std(many) == pytest.approx(np.std(few), rel=0.2)


@pytest.mark.parametrize("strength", [0.0, 2.0])
def test_a_forest_is_never_cut_to_a_few_trees(strength):
    """No lucky fold makes a forest of three trees: it always grows to its size."""
    found = grow_until(folds(strength), Recipe(family=FOREST), 7)
    assert found.rounds == boosting.TREES
