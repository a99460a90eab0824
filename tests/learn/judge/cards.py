"""Model cards for the tests: judged well unless a number is named."""

from __future__ import annotations

from dataclasses import replace

from core.learn.judge import card
from core.learn.judge.card import Making
from core.learn.judge.judgement import (
    AgainstRandom,
    Baseline,
    Bin,
    Calibration,
    Costs,
    Gain,
    Judgement,
    Kept,
    Scores,
    Slice,
    Trading,
    Trials,
)

MAKING = Making(
    "2026-11-01T03:14:00+00:00",
    "boosted",
    "1h",
    ("BTCUSDT", "ETHUSDT"),
    43,
    "0" * 64,
    600,
    "2020-01-01",
    "2022-12-31",
    "stop 3 ATR, target 6 ATR, 96 bars",
    "5 purged folds",
    1,
)
TRADING = Trading(0.0024, (0.1, 0.2, 0.3), 400, 1000, 0.001, 1.1, 0.12, Costs(0.3, 0.1, 0.2), (), ())
JUDGED = Judgement(
    "2020-01-01",
    "2022-12-31",
    Scores(5000, 0.61, 0.21, 0.55),
    (
        Baseline("the base rate", 0.64, Gain(0.03, 0.002, 36, 0.001)),
        Baseline("the rule", 0.63, Gain(0.02, 0.002, 36, 0.002)),
    ),
    Calibration("beta", 0.012, 0.008, (Bin(0.3, 0.31, 5000, 1.0, 900.0, 0.01),)),
    Kept(0.9, 0.93, 100, 20, 0.067),
    Kept(0.9, 0.91, 80, 16, 0.075),
    TRADING,
    TRADING,
    AgainstRandom(400, 0.004, 0.001, 0.001, 1000, 0.01),
    Trials(50, 20.0, 0.97, 0.2, 400.0),
    (Slice("1", 5000, 0.61, 0.64, 0.55, 0.012, 400, 0.001, 0.2),),
    (Slice("BTCUSDT", 5000, 0.61, 0.64, 0.55, 0.012, 400, 0.001, 0.2),),
)


def promotable() -> dict[str, object]:
    """The card of a model that passes its gate."""
    return card.to_json(card.made(MAKING, JUDGED))


def uncalibrated() -> dict[str, object]:
    """The card of a model whose forecasts are off by 5 % on average."""
    off = replace(JUDGED, calibration=replace(JUDGED.calibration, error=0.05))
    return card.to_json(card.made(MAKING, off))
