"""From rows to a judged model: honest about nothing, able to see something, the same twice."""

from dataclasses import replace
from datetime import UTC, datetime

import lightgbm as lgb
import numpy as np
import pytest

from core.domain.errors import BadData
from core.learn.data.dataset import Dataset
from core.learn.features import MODEL_NAMES
from core.learn.fit import bound, calibration, conclude
from core.learn.fit.conclude import TrainedModel
from core.learn.fit.groups import GROUPS
from core.learn.fit.train import Crew, Explored, Plan, explore
from core.learn.judge import card, scores
from core.learn.model_files import ModelFiles
from tests.learn.fit.drawn import HOUR_MS, SIGNAL, drawn
from tests.learn.fit.test_search import Here

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BARS = 2200
TOLD: list[tuple[int, int]] = []


def planned(faults: tuple[str, ...] = (), trials: int = 1) -> Plan:
    return Plan("1h", trials, 1, 0.0024, 96 * HOUR_MS, faults)


def explored(data: Dataset, plan: Plan) -> Explored:
    TOLD.clear()
    return explore(data, plan, Crew(Here(), lambda table: table), lambda *said: TOLD.append(said))


def trained(data: Dataset, faults: tuple[str, ...] = (), trials: int = 1) -> TrainedModel:
    plan = planned(faults, trials)
    return conclude.conclude(data, plan, explored(data, plan), NOW)


def shuffled(data: Dataset, seed: int = 1, block: int = 12) -> Dataset:
    """The same rows with other labels: whole blocks of outcomes change places within their symbol."""
    rng = np.random.default_rng(seed)
    of = np.arange(len(data))
    for symbol in np.unique(data.symbol):
        mine = np.flatnonzero(data.symbol == symbol)
        blocks = np.array_split(mine, len(mine) // block)
        of[mine] = np.concatenate([blocks[at] for at in rng.permutation(len(blocks))])
    other = data.take(of)
    data.outcome[:], data.move[:] = other.outcome, other.move
    return data


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return trained(drawn(BARS, strength=1.2, features=3))


def within_blocks(model: TrainedModel) -> float:
    """The AUC within the blocks of time, averaged: between them the base rate of the rest moves the other way."""
    return float(np.mean([one.auc for one in model.card.judgement.folds]))


def test_what_can_be_learnt_is_found(model):
    """Where a feature knows something the whole way finds it out of fold, and says so against each baseline."""
    judged = model.card.judgement
    assert within_blocks(model) > 0.65
    assert all(one.gain.mean > 0 for one in judged.baselines if one.name != "logistic regression")
    assert {one.name for one in judged.baselines} == {"the base rate", "logistic regression", "the rule"}


def five_years() -> Dataset:
    """A bet a day of three symbols that pays where a feature is far out on either side: no straight line sees it."""
    return drawn(5 * 8_766, strength=1.0, features=3, symbols=3, stride=24, heard=lambda signal: abs(signal) - 0.85)


def test_a_real_edge_passes_the_whole_gate():
    """The gate can say yes: an edge that pays its costs for five years meets every criterion, with money to show."""
    found = trained(five_years(), trials=2)
    assert [one.name for one in found.card.criteria if not one.passed] == []
    assert found.card.promotable
    assert found.card.judgement.by_trust.per_bet > 0.005


def test_shuffled_labels_do_not_pass_the_gate():
    """The same rows with labels that belong to others: a coin, and it is the lack of an edge that is refused."""
    found = trained(shuffled(five_years()))
    judged, refused = found.card.judgement, {one.name for one in found.card.criteria if not one.passed}
    assert within_blocks(found) == pytest.approx(0.5, abs=0.04)
    assert not any(one.gain.mean > 0.002 for one in judged.baselines)
    assert refused >= {"beats the base rate", "earns", "beats chance"}
    assert min(judged.bound_halves.cells, judged.bound_ahead.cells) > 0  # not refused for too little data
    assert not found.card.promotable


def test_a_model_that_knows_its_future_is_stopped_by_the_gate():
    """A planted look ahead beats every baseline; the fault found in how its rows are made keeps it out all the same."""
    data = drawn(BARS, strength=0.0, features=3)
    data.x[:, SIGNAL] = data.outcome + np.random.default_rng(1).normal(0, 0.3, len(data))
    found = trained(data, faults=("ret_12 knows bars that had not closed yet",))
    passed = {one.name: one.passed for one in found.card.criteria}
    assert all(passed[f"beats {one.name}"] for one in found.card.judgement.baselines)
    assert not passed["sound"]
    assert not found.card.promotable


def test_the_same_rows_and_seed_give_the_same_model_to_the_byte(model):
    """Text, manifest and card come out the same when it is all done again."""
    again = trained(drawn(BARS, strength=1.2, features=3))
    assert again.text == model.text
    assert again.manifest == model.manifest
    assert card.to_json(again.card) == card.to_json(model.card)


def test_what_was_found_is_judged_as_it_was_found():
    """Trials beside their own rows, bets after costs, a bound of calibrated forecasts: nothing gets mixed up."""
    data = drawn(9 * 2_200, strength=1.2, features=3, stride=22)
    found = explored(data, plan := planned(trials=2))
    evidence = conclude._evidence(data, plan, found, "identity")
    for trial, raw in zip(found.trials, evidence.trials, strict=True):
        said = scores.log_loss(raw, data.outcome[evidence.trial_rows], np.ones(len(raw)))
        assert said == pytest.approx(trial.loss)
    assert evidence.cost == plan.cost
    low = bound.fit(found.of_folds.p, data.outcome, np.ones(len(data)), data.start_ms)
    # raw forecasts that are crooked bend the curve, and nothing else
    made = conclude.conclude(data, plan, replace(found, raw=found.raw**2), NOW)
    assert low.quarters >= bound.QUARTERS_MIN
    assert made.manifest.bound == low.to_json()
    assert made.card.judgement.by_trust.cost == plan.cost


def test_the_registry_takes_what_was_trained(model, tmp_path):
    """Text, manifest and card are what a model's folder is made of, and are read back as they were."""
    files = ModelFiles(model.manifest.features, model.manifest.feature_version)
    made, written = files.pack(model.text, model.manifest, card.to_json(model.card))
    folder = tmp_path / made
    folder.mkdir(mode=0o700)
    for name, data in written.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    back = files.read(folder)
    assert back.text == model.text
    assert card.from_json(back.card) == model.card


def test_the_finished_model_forecasts_whole_rows(model):
    """What the worker will do: a whole row through the text, the curve and the bound gives 0 <= p_low <= p < 1."""
    data = drawn(400, seed=9, strength=1.2, features=3)
    raw = lgb.Booster(model_str=model.text).predict(data.x)
    curve, low = calibration.from_json(model.manifest.calibrator), bound.from_json(model.manifest.bound)
    p = np.array([curve.apply(float(one)) for one in raw])
    assert np.corrcoef(p, data.x[:, SIGNAL])[0, 1] > 0.8
    assert all(0 <= low.apply(one) <= one < 1 for one in p.tolist())


def test_the_manifest_says_what_it_was_made_of(model):
    """Rows, their time, the recipe with its columns, and each feature's quantiles to compare live rows with."""
    data, manifest = drawn(BARS, strength=1.2, features=3), model.manifest
    assert (manifest.rows, manifest.first_ms, manifest.last_ms) == (len(data), data.start_ms[0], data.start_ms[-1])
    assert manifest.features == data.names
    assert set(manifest.params["columns"]) <= set(data.names)
    middle = manifest.quantiles[data.names[0]][10]
    assert middle == pytest.approx(np.median(data.x[:, 0]))


def test_progress_reaches_its_end_and_never_goes_back():
    """Whoever looks at the bar sees every piece of work, and the last one ends it."""
    trained(drawn(BARS, features=3))
    done, total = zip(*TOLD, strict=True)
    assert done == tuple(range(1, total[0] + 1))
    assert set(total) == {done[-1]}


def test_too_few_rows_are_one_sentence():
    """A model of a few hundred bets would be worth nothing, and is not made."""
    with pytest.raises(BadData, match=r"998 bets can be learned from, and 1,000 are the fewest .* load more history"):
        trained(drawn(1996, features=3))


def test_every_feature_of_a_model_row_has_a_group():
    """What a model leans on can be said in words for each of its features."""
    assert set(GROUPS) == set(MODEL_NAMES)
