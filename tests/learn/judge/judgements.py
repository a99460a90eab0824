from __future__ import annotations

from dataclasses import replace

from core.learn.judge.card import Making
from core.learn.judge.judgement import (
    AgainstRandom,
    Baseline,
    Bin,
    Calibration,
    Costs,
    Fall,
    Gain,
    Judgement,
    Kept,
    Part,
    Scores,
    Slice,
    Trading,
    Trials,
)

TRADING = Trading(
    cost=0.0024,
    total=0.18,
    totals=(0.11, 0.18, 0.25),
    bets=412,
    days=1_826,
    per_bet=0.0031,
    sharpe=1.1,
    drawdown=0.08,
    costs=Costs(0.24, 0.06, 0.18),
    years=(Part("2021", 200, 0.44, 0.004, 0.12), Part("2022", 212, 0.41, 0.002, 0.06)),
    falls=(Fall("2021", 0.05, 0.12), Fall("2022", 0.08, 0.06)),
)
SLICE = Slice("BTC/USDT", 5_000, 0.61, 0.62, 0.55, 0.015, 50, 0.004, 0.02)
GOOD = Judgement(
    first="2018-05-04",
    last="2023-06-30",
    scores=Scores(40_000, 0.61, 0.2, 0.55),
    baselines=(
        Baseline("the base rate", 0.615, Gain(0.005, 0.001, 60, 0.0001)),
        Baseline("logistic regression", 0.612, Gain(0.002, 0.001, 60, 0.02)),
    ),
    calibration=Calibration(
        "beta", 0.012, 0.009, (Bin(0.3, 0.31, 4_000, 0.5, 90.0, 0.03), Bin(0.4, 0.39, 4_000, 0.5, 80.0, 0.03))
    ),
    bound_halves=Kept(0.9, 0.85, 0.82, 1_000, 20, 0.027),
    bound_ahead=Kept(0.9, 0.7, 0.78, 60, 20, 0.1),
    by_trust=TRADING,
    by_forecast=replace(TRADING, bets=2_000),
    luck=AgainstRandom(412, 0.0055, 0.0001, 0.001, 1_000, 1 / 1_001),
    trials=Trials(50, 6.5, 0.97, 0.1, 700.0),
    folds=(replace(SLICE, name="2018-05..2019-03"),),
    pairs=(SLICE, replace(SLICE, name="ETH/USDT")),
    groups=(("trend", 0.6), ("time", 0.4)),
)

MAKING = Making(
    made_at="2023-07-01",
    family="gradient-boosted trees (LightGBM)",
    span="1h",
    symbols=("BTC/USDT", "ETH/USDT"),
    features=44,
    feature_version="0f" * 32,
    rows=88_000,
    first="2018-05-04",
    last="2023-06-30",
    barriers="stop 3 ATR below, target 6 ATR above, 96 bars at most.",
    folds="combinatorial purged cross-validation, 6 blocks, 2 of them tested at a time.",
    seed=7,
)
