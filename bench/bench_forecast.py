"""A batch of forecasts by the warm analyst's process, beside the same predict in this process; starts and memory.

Run: ``python bench/bench_forecast.py [--trees N] [--leaves N] [--rounds N]``. Both ways are asked in turns, one batch
each, so that what else the machine does falls on both; medians, and the 99th percentile of the round trip.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lightgbm as lgb
import numpy as np

from core.adapters.forecaster import ProcessForecaster
from core.adapters.models import Registry
from core.domain.model import Manifest
from core.learn.fit import bound, calibration
from core.learn.model_files import ours

BATCHES = (50, 200)
KEPT, LET_GO = timedelta(minutes=1), timedelta(hours=1)
CURVE = calibration.Calibrator("isotonic", tuple(k / 200 for k in range(201)), tuple(k / 200 for k in range(201)))
LOW = bound.Bound(0.9, 20, (0.2, 0.5, 0.8), (0.1, 0.4, 0.6))
NAMES = ours().names


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, len(NAMES)))


def trained(trees: int, leaves: int, seed: int) -> str:
    x = rows(20_000, seed)
    outcome = np.clip(0.33 + 0.05 * x[:, 0] + np.random.default_rng(seed).normal(0, 0.3, len(x)), 0, 1)
    params = {"objective": "cross_entropy", "num_leaves": leaves, "num_threads": 1, "verbosity": -1, "seed": seed}
    return str(lgb.train(params, lgb.Dataset(x, outcome, feature_name=list(NAMES)), trees).model_to_string())


def manifest() -> Manifest:
    grid = tuple(float(q) for q in np.linspace(-2, 2, 11))
    now = datetime.now(UTC)
    curves = (CURVE.to_json(), LOW.to_json())
    quantiles = dict.fromkeys(NAMES, grid)
    return Manifest(now, "boosted", "1h", ("X",), NAMES, ours().version, {}, *curves, {}, 1, 20_000, 0, 1, quantiles)


async def compare(folder: Path, rounds: int) -> list[str]:
    """A warm batch by the process, and by a Booster of this process, in turns."""
    forecaster, lines = ProcessForecaster(KEPT), []
    await forecaster.use(folder)
    here = lgb.Booster(model_file=str(folder / "model.txt"))
    for count in BATCHES:
        batches = [rows(count, seed) for seed in range(rounds)]
        there_s, here_s = [], []
        for x in batches:
            asked = x.tolist()
            there_s.append(await seconds(lambda asked=asked: forecaster.forecast(asked)))
            began = time.perf_counter()
            p = [CURVE.apply(one) for one in here.predict(x, num_threads=1).tolist()]
            [LOW.apply(one) for one in p]
            here_s.append(time.perf_counter() - began)
        slowest = sorted(there_s)[int(len(there_s) * 0.99)]
        lines.append(
            f"{count:4} rows   process {median(there_s) * 1e3:7.2f} ms (p99 {slowest * 1e3:6.2f})   in process"
            f" {median(here_s) * 1e3:7.2f} ms   ratio {median(there_s) / median(here_s):5.2f}"
        )
    process = forecaster._process
    assert process
    lines.append(f"worker's memory, warm    {memory_mb(process._process.pid):7.1f} MB resident")
    await forecaster.close()
    return lines


async def cold(folder: Path, starts: int) -> str:
    """A batch of 50 where bars are long: start, prove, answer, end."""
    forecaster, x = ProcessForecaster(LET_GO), rows(50, 1).tolist()
    await forecaster.use(folder)
    took = [await seconds(lambda: forecaster.forecast(x)) for _ in range(starts)]
    return f"  50 rows   process started for them, and ended: {median(took) * 1e3:7.1f} ms"


async def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    await work()  # type: ignore[misc]
    return time.perf_counter() - began


def memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--leaves", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=300)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        registry = Registry(Path(home), ours())
        folder = Path(home) / registry.add(trained(args.trees, args.leaves, 1), manifest(), {})
        size = (folder / "model.txt").stat().st_size / 1024
        print(
            f"{args.trees} trees of {args.leaves} leaves, {size:.0f} kB, {len(NAMES)} features, median of {args.rounds}"
        )
        for line in asyncio.run(compare(folder, args.rounds)):
            print(line)
        print(asyncio.run(cold(folder, 10)))


if __name__ == "__main__":
    main()
