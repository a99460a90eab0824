"""Small models for the tests: trained in an instant on seeded rows, judged by a card that says what is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.domain.model import Manifest
from core.learn.model_files import ModelFiles, ours

MADE_AT = datetime(2026, 11, 1, tzinfo=UTC)
Floats = NDArray[np.float64]


def rows(count: int, seed: int = 0) -> Floats:
    """Rows of features as a live feed could hand them in, (count, width)."""
    return np.random.default_rng(seed).normal(size=(count, len(ours().names)))


@cache
def text(seed: int = 0, trees: int = 8, family: str = "gbdt") -> str:
    """A LightGBM model that learned that the first two features matter."""
    import lightgbm as lgb

    x = rows(600, seed)
    chance = 1 / (1 + np.exp(-x[:, 0] - 0.5 * x[:, 1]))
    outcome = (np.random.default_rng(seed + 1).random(len(x)) < chance).astype(float)
    params = {"objective": "cross_entropy", "num_threads": 1, "verbosity": -1, "seed": seed, "deterministic": True}
    params |= {"force_row_wise": True, "num_leaves": 7, "min_data_in_leaf": 20, "boosting": family}
    params |= {"bagging_freq": 1, "bagging_fraction": 0.5}
    data = lgb.Dataset(x, outcome, feature_name=list(ours().names))
    trained: str = lgb.train(params, data, trees).model_to_string()
    return trained


def manifest(form: ModelFiles | None = None, **other: object) -> Manifest:
    """The manifest of such a model; ``other`` fields in place of its own."""
    form = form or ours()
    fields: dict[str, object] = {
        "created_at": MADE_AT,
        "family": "boosting",
        "span": "1h",
        "symbols": ("BTCUSDT", "ETHUSDT"),
        "features": form.names,
        "feature_version": form.version,
        "barriers": {"stop_atrs": 3.0, "target_atrs": 6.0, "horizon": 96.0},
        "calibrator": {"kind": "beta", "values": [1.1, 0.9, 0.05], "knots": []},
        "bound": {"level": 0.9, "quarters": 20, "knots": [0.2, 0.5, 0.8], "lows": [0.1, 0.4, 0.6]},
        "params": {"num_leaves": 7, "learning_rate": 0.1},
        "seed": 1,
        "rows": 600,
        "first_ms": 1_577_836_800_000,
        "last_ms": 1_672_531_200_000,
        "quantiles": {name: tuple(float(q) for q in np.linspace(-2, 2, 11)) for name in form.names},
    }
    return Manifest(**(fields | other))  # type: ignore[arg-type]
