from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.fit import calibration
from core.learn.fit.calibration import BETA, IDENTITY, ISOTONIC, MARGIN, Calibrator

share = st.floats(0.0, 1.0)


@st.composite
def curves(draw):
    """Any calibrator there can be."""
    kind = draw(st.sampled_from(calibration.KINDS))
    if kind == IDENTITY:
        return Calibrator(IDENTITY)
    if kind == BETA:
        return Calibrator(BETA, (draw(st.floats(0, 50)), draw(st.floats(0, 50)), draw(st.floats(-50, 50))))
    knots = sorted(draw(st.sets(share, min_size=1, max_size=12)))
    heights = sorted(draw(st.lists(share, min_size=len(knots), max_size=len(knots))))
    return Calibrator(ISOTONIC, tuple(heights), tuple(knots))


def drawn(n: int, bend, seed: int = 7):
    """Raw forecasts over five folds whose outcomes come with the probability ``bend(raw)``."""
    random = np.random.default_rng(seed)
    raw = random.uniform(0.02, 0.98, n)
    outcome = (random.uniform(size=n) < bend(raw)).astype(float)
    return raw, outcome, np.ones(n), np.arange(n) * 5 // n


@given(curves(), share, share)
def test_a_higher_forecast_never_becomes_the_lower_one(curve, one, other):
    """Calibration may change how sure a forecast is, never which of two is the better."""
    low, high = sorted((one, other))
    assert curve.apply(low) <= curve.apply(high)


@given(curves(), share)
def test_a_calibrated_forecast_is_a_probability_that_never_says_never(curve, raw):
    """Whatever comes out lies strictly between never and always."""
    assert MARGIN <= curve.apply(raw) <= 1 - MARGIN


@given(curves())
def test_a_curve_comes_back_from_json_to_the_last_bit(curve):
    """A model read from its folder forecasts exactly what it forecast when it was judged."""
    assert calibration.from_json(json.loads(json.dumps(curve.to_json()))) == curve


def test_crooked_forecasts_are_set_straight():
    """An overconfident model is bent back: where it now says p, about p of the cases won."""
    raw, outcome, weight, fold = drawn(20_000, lambda s: 0.5 + (s - 0.5) / 3)
    p = calibration.out_of_fold(raw, outcome, weight, fold, np.arange(len(raw)))
    for low, high in ((0.3, 0.45), (0.45, 0.55), (0.55, 0.7)):
        band = (p >= low) & (p < high)
        assert abs(p[band].mean() - outcome[band].mean()) < 0.02


def test_a_model_that_is_right_already_is_left_alone_or_barely_touched():
    """True probabilities come out as they went in."""
    curve = calibration.fit(*drawn(20_000, lambda s: s))
    assert all(abs(curve.apply(p) - p) < 0.02 for p in (0.1, 0.3, 0.5, 0.7, 0.9))


def test_a_step_is_found_by_the_curve_that_can_bend_anywhere():
    """Where a smooth curve cannot follow the truth the isotonic one is chosen."""
    assert calibration.fit(*drawn(20_000, lambda s: np.where(s > 0.8, 0.9, 0.1))).kind == ISOTONIC


def test_few_cases_are_not_given_the_curve_that_learns_noise_by_heart():
    """With some hundred cases the smooth curve beats the one with many steps."""
    assert calibration.fit(*drawn(300, lambda s: 0.3 + s * 0.2)).kind == BETA


def test_the_beta_curve_finds_the_numbers_the_outcomes_were_drawn_from():
    """a, b and c come back from outcomes drawn with them (Kull and others, 2017)."""
    raw, _, weight, _ = drawn(4_000, lambda s: s)
    truth = Calibrator(BETA, (0.5, 2.0, -0.3))
    # shares of a win instead of wins: the loss is then lowest at the truth itself
    found = calibration._fit_beta(raw, calibration.applied(truth, raw), weight)
    assert found.values == pytest.approx(truth.values, abs=2e-3)


def test_a_part_of_a_win_counts_as_that_part():
    """A case worth 0.4 of a win weighs like two fifths won and three fifths lost."""
    raw, outcome, weight, _ = drawn(500, lambda s: s)
    part = 0.2 + 0.6 * outcome
    whole = calibration._fit_beta(raw, part, weight)
    split = calibration._fit_beta(np.tile(raw, 2), np.repeat([1.0, 0.0], 500), np.concatenate([part, 1 - part]))
    assert whole.values == pytest.approx(split.values, abs=1e-3)


def test_cases_without_weight_change_nothing():
    """What weighs nothing teaches nothing."""
    raw, outcome, weight, _ = drawn(2_000, lambda s: s**2)
    noise = np.concatenate([outcome, np.zeros(2_000)])
    light = np.concatenate([weight, np.zeros(2_000)])
    alone = calibration._fit_beta(raw, outcome, weight)
    assert calibration._fit_beta(np.tile(raw, 2), noise, light).values == pytest.approx(alone.values, abs=1e-3)
    steps = calibration._fit_isotonic(raw, outcome, weight)
    assert calibration._fit_isotonic(np.tile(raw, 2), noise, light).values == pytest.approx(steps.values)


def test_no_row_is_calibrated_with_its_own_fold():
    """Outcomes of a fold turned round leave that fold's own calibrated forecasts as they were."""
    raw, outcome, weight, fold = drawn(3_000, lambda s: s)
    turned = np.where(fold == 2, 1 - outcome, outcome)
    before = calibration.out_of_fold(raw, outcome, weight, fold, np.arange(len(raw)))
    after = calibration.out_of_fold(raw, turned, weight, fold, np.arange(len(raw)))
    assert (before[fold == 2] == after[fold == 2]).all()
    assert (before[fold != 2] != after[fold != 2]).any()


def test_one_fold_cannot_judge_itself():
    """Without a second fold nothing is bent, and a judgement is refused."""
    raw, outcome, weight, _ = drawn(200, lambda s: s**3)
    one = np.zeros(200, dtype=int)
    assert calibration.fit(raw, outcome, weight, one) == Calibrator(IDENTITY)
    with pytest.raises(BadData, match="at least two"):
        calibration.out_of_fold(raw, outcome, weight, one, np.arange(len(raw)))


def test_the_same_cases_give_the_same_curve():
    """A retraining on the same data gives the same model, byte for byte."""
    cases = drawn(3_000, lambda s: s**2)
    assert json.dumps(calibration.fit(*cases).to_json()) == json.dumps(calibration.fit(*cases).to_json())


GOOD = {"kind": BETA, "values": [1.0, 1.0, 0.0], "knots": []}


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "beta",
        {},
        {**GOOD, "more": 1},
        {**GOOD, "kind": "sigmoid"},
        {**GOOD, "kind": 3},
        {**GOOD, "kind": ["beta"]},
        {**GOOD, "values": [1.0, 1.0]},
        {**GOOD, "values": [-0.1, 1.0, 0.0]},
        {**GOOD, "values": [1.0, 1.0, math.nan]},
        {**GOOD, "values": [1.0, math.inf, 0.0]},
        {**GOOD, "values": [1.0, 1.0, 1e9]},
        {**GOOD, "values": [1.0, True, 0.0]},
        {**GOOD, "values": [1.0, "1", 0.0]},
        {**GOOD, "values": [1.0, 10**400, 0.0]},
        {**GOOD, "values": {"a": 1.0}},
        {**GOOD, "knots": [0.5]},
        {"kind": IDENTITY, "values": [1.0], "knots": []},
        {"kind": ISOTONIC, "values": [], "knots": []},
        {"kind": ISOTONIC, "values": [0.2, 0.1], "knots": [0.1, 0.9]},
        {"kind": ISOTONIC, "values": [0.1, 0.2], "knots": [0.9, 0.1]},
        {"kind": ISOTONIC, "values": [0.1, 0.2], "knots": [0.5, 0.5]},
        {"kind": ISOTONIC, "values": [0.1, 1.2], "knots": [0.1, 0.9]},
        {"kind": ISOTONIC, "values": [0.1], "knots": [0.1, 0.9]},
        {"kind": ISOTONIC, "values": [0.1] * 30_000, "knots": [0.1] * 30_000},
    ],
)
def test_a_curve_that_is_none_is_refused(said):
    """A foreign or broken file cannot bend forecasts: every number of it is judged."""
    with pytest.raises(BadData):
        calibration.from_json(said)


@pytest.mark.parametrize("raw", [math.nan, -0.01, 1.01, math.inf])
def test_a_raw_forecast_that_is_no_probability_is_refused(raw):
    """Nonsense from a model does not become a number that looks right."""
    with pytest.raises(BadData, match="between 0 and 1"):
        Calibrator(IDENTITY).apply(raw)


def test_applying_needs_no_numerical_library():
    """The bot reads and uses a curve without loading numpy, scipy or scikit-learn."""
    code = (
        "import sys\nfrom core.learn.fit import bound, calibration\n"
        "calibration.Calibrator('beta', (1.0, 1.0, 0.0)).apply(0.3)\n"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
