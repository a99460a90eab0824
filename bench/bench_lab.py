"""The lab's features: a million bars compiled beside ta + pandas, live beside history, a bar in plain Python.

Run: ``python bench/bench_lab.py [--bars N]``. The families of ta and rounds of the compiled features take turns, so
that what else the machine does falls on both; trust the ratios. Both sides make the 40 features of MODEL_NAMES that
need one symbol; the compiled side also all those the cards show.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import ta

from core.learn import compiled, features
from core.learn.analyst import Analyst
from core.learn.cross import Cross

START_MS = 1_577_836_800_000
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LIVE_BARS = 6_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "ADAUSDT", "DOGEUSDT", "LINKUSDT", "LTCUSDT", "XRPUSDT")


def walk(bars: int, seed: int, span: timedelta) -> compiled.Series:
    """A seeded market: open times, open, high, low, close, volume."""
    rng = np.random.default_rng(seed)
    close = 20_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.003, bars)))
    open_ = np.concatenate(([20_000.0], close[:-1]))
    high = np.maximum(open_, close) * (1.0 + np.abs(rng.normal(0.0, 0.001, bars)))
    low = np.minimum(open_, close) / (1.0 + np.abs(rng.normal(0.0, 0.001, bars)))
    open_ms = START_MS + np.arange(bars, dtype=np.int64) * (span // timedelta(milliseconds=1))
    return open_ms, open_, high, low, close, rng.exponential(1000.0, bars)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class ByTa:
    """The model's features by ta and pandas, a family at a time; what one family made the next ones read."""

    def __init__(self, bars: compiled.Series) -> None:
        self.open_ms = pd.Series(bars[0])
        self.high, self.low, self.close, self.volume = (pd.Series(column) for column in bars[2:])
        self.found: dict[str, object] = {}
        self.families = (self.returns, self.moments, self.averages, self.rsi, self.atr, self.macd, self.adx, self.bands)
        self.families += (self.stochastic, self.cci, self.mfi, self.flows, self.extremes, self.clock)  # type: ignore[assignment]

    def returns(self) -> None:
        self.logs = pd.Series(np.log(self.close))
        self.found |= {f"ret_{k}": self.logs.diff(k) for k in (1, 3, 12, 24, 72, 168)}
        self.move = self.logs.diff()
        self.found["ret_1_lag_1"] = self.move.shift(1)

    def moments(self) -> None:
        window = self.move.rolling(24)
        deviation = window.std(ddof=0)
        volatility = np.sqrt((self.move**2).ewm(span=100, adjust=False).mean() * 525_960)
        self.found |= {"mean_24": window.mean(), "min_24": window.min(), "max_24": window.max()}
        self.found |= {"skew_24": window.skew(), "volatility": volatility}
        self.found["volatility_ratio"] = deviation * math.sqrt(525_960) / volatility

    def averages(self) -> None:
        ema = {n: ta.trend.EMAIndicator(self.close, n).ema_indicator() for n in (20, 50, 200)}
        self.found |= {f"over_ema_{n}": self.close / ema[n] - 1 for n in (20, 200)}
        self.found |= {"ema_20_50": ema[20] / ema[50] - 1, "ema_50_200": ema[50] / ema[200] - 1}

    def rsi(self) -> None:
        self.strength = ta.momentum.RSIIndicator(self.close, 14).rsi()
        self.found |= {"rsi_14": self.strength, "rsi_change_6": self.strength.diff(6)}

    def atr(self) -> None:
        self.range = ta.volatility.AverageTrueRange(self.high, self.low, self.close, 14).average_true_range()
        self.found["atr_share"] = self.range / self.close

    def macd(self) -> None:
        made = ta.trend.MACD(self.close)
        hist = made.macd_diff()
        side = np.sign(hist)
        age = side.groupby((side != side.shift()).cumsum()).cumcount()
        crossing = (side / (1 + age)).where(age <= 100, 0.0)
        self.found |= {"macd_atr": made.macd() / self.range, "macd_hist_atr": hist / self.range}
        self.found |= {"macd_cross": crossing, "rsi_macd": (self.strength / 50 - 1) * crossing}

    def adx(self) -> None:
        made = ta.trend.ADXIndicator(self.high, self.low, self.close, 14)
        self.found |= {"adx_14": made.adx(), "di_lead": made.adx_pos() - made.adx_neg()}

    def bands(self) -> None:
        made = ta.volatility.BollingerBands(self.close, 20, 2)
        self.found |= {"bb_place": made.bollinger_pband(), "bb_width": made.bollinger_wband() / 100}

    def stochastic(self) -> None:
        self.found["stoch_k"] = ta.momentum.StochasticOscillator(self.high, self.low, self.close, 14, 3).stoch()

    def cci(self) -> None:
        self.found["cci_20"] = ta.trend.CCIIndicator(self.high, self.low, self.close, 20).cci()

    def mfi(self) -> None:
        made = ta.volume.MFIIndicator(self.high, self.low, self.close, self.volume, 14)
        self.found["mfi_14"] = made.money_flow_index()

    def flows(self) -> None:
        signed = np.sign(self.close.diff()) * self.volume
        self.found["obv_24"] = signed.rolling(24).sum() / signed.abs().rolling(24).sum()
        self.found["volume_ratio"] = self.volume / self.volume.rolling(20).mean()

    def extremes(self) -> None:
        self.found["over_high_20"] = self.close / self.high.rolling(20).max().shift(1) - 1
        self.found["from_low_55"] = self.close / self.low.rolling(55).min() - 1
        self.found["drawdown_168"] = self.close / self.high.rolling(168).max() - 1

    def clock(self) -> None:
        for name, lap, first in (("hour", 86_400_000, 0), ("week", 604_800_000, 345_600_000)):
            turn = 2 * np.pi * ((self.open_ms - first) % lap) / lap
            self.found |= {f"{name}_sin": np.sin(turn), f"{name}_cos": np.cos(turn)}


def speed(count: int) -> None:
    """A million bars: ta by families, the compiled features between them."""
    bars = walk(count, 7, MINUTE)
    alone = features.MODEL_NAMES[: len(features.MODEL_AT)]
    print(f"ready after {seconds(lambda: compiled.model_matrix({'BTCUSDT': bars}, MINUTE)):.1f} s, compiling included")
    rounds: dict[str, list[float]] = {"model": [], "all": []}
    judge, spent = ByTa(bars), {}
    for family in judge.families:
        rounds["model"].append(seconds(lambda: compiled.matrix(bars[1:], bars[0], MINUTE, alone)))
        rounds["all"].append(seconds(lambda: compiled.matrix(bars[1:], bars[0], MINUTE)))
        spent[family.__name__] = seconds(family)
    assert set(judge.found) == set(alone), set(judge.found) ^ set(alone)
    total = sum(spent.values())
    print(f"{count:,} bars, ta + pandas, {len(alone)} features: {total:.1f} s")
    print("  " + ", ".join(f"{name} {took:.2f}" for name, took in spent.items()))
    for name, width in (("model", len(alone)), ("all", features.WIDTH)):
        took, best = median(rounds[name]), min(rounds[name])
        print(f"compiled, {width} features: {took:.3f} s median, {best:.3f} best: {total / took:.0f} x faster")


def parity() -> None:
    """Model rows of eight symbols lived bar by bar, restarted in the middle from their saved states, beside history."""
    series = {symbol: walk(LIVE_BARS, seed, HOUR) for seed, symbol in enumerate(SYMBOLS)}
    batch = compiled.model_matrix(series, HOUR)
    theirs = hashlib.sha256(b"".join(batch[symbol][1].tobytes() for symbol in SYMBOLS)).hexdigest()
    for restarts in ((), tuple(random.Random(1).sample(range(LIVE_BARS), 20))):
        began = time.perf_counter()
        ours = hashlib.sha256(lived(series, restarts)).hexdigest()
        each = (time.perf_counter() - began) / LIVE_BARS / len(SYMBOLS) * 1e6
        how = f"{len(restarts)} restarts" if restarts else "no restart"
        print(f"{LIVE_BARS} bars x {len(SYMBOLS)} symbols live, {how}: {ours[:16]} history: {theirs[:16]}", end=" ")
        print("equal" if ours == theirs else "DIFFERENT", f"({each:.0f} us a bar: analyst, comparison, model row)")


def lived(series: dict[str, compiled.Series], restarts: tuple[int, ...]) -> bytes:
    """The model rows of the live path, symbol after symbol."""
    analysts, among = {symbol: Analyst(symbol, HOUR) for symbol in series}, Cross()
    rows: dict[str, list[tuple[float, ...]]] = {symbol: [] for symbol in series}
    columns = {symbol: [column.tolist() for column in bars] for symbol, bars in series.items()}
    for k in range(LIVE_BARS):
        if k in restarts:
            saved, shared = {symbol: each.dump() for symbol, each in analysts.items()}, among.dump()
            analysts, among = {symbol: Analyst(symbol, HOUR) for symbol in series}, Cross()
            among.restore(shared)
            for symbol, each in analysts.items():
                each.restore(saved[symbol])
        for symbol, each in analysts.items():
            each.take(*(column[k] for column in columns[symbol]))
        compared = among.seen(columns["BTCUSDT"][0][k], {symbol: each.row for symbol, each in analysts.items()})
        for symbol, each in analysts.items():
            if seen := features.model_row(each.row, compared[symbol]):
                rows[symbol].append(seen)
    return b"".join(np.array(found).tobytes() for found in rows.values())


def plain() -> None:
    """What a bar costs without numpy."""
    open_ms, *columns = (column.tolist() for column in walk(20_000, 3, HOUR))
    costs = []
    for _ in range(5):
        fold = features.fold(open_ms, columns, features.new_state(HOUR))  # type: ignore[arg-type]
        costs.append(seconds(lambda fold=fold: [None for _ in fold]) / len(open_ms) * 1e6)  # type: ignore[misc]
    each = Analyst("BTCUSDT", HOUR)
    each.take(*(column[0] for column in (open_ms, *columns)))
    print(f"plain Python {sys.version.split()[0]}: {min(costs):.1f} us a bar for {features.WIDTH} features", end=", ")
    print(f"{len(each.dump())} bytes of saved state a symbol")


def main() -> None:
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=1_000_000)
    count = parser.parse_args().bars
    warnings.simplefilter("ignore")
    parity()
    plain()
    speed(count)


if __name__ == "__main__":
    main()
