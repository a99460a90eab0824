"""How long a nightly retrain takes and how much it holds: `python bench/bench_train.py DATA_DIR [TRIALS]`.

Eight pairs, five years of hours, 50 trials in each of the nested searches, on two cores (this process and all it starts
are bound to two). Memory is the sum over all processes; pages they share count once for each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from bench.watched import SYMBOLS, Watched
from bot.commands.train import Job, fit, make_rows
from core.adapters import training

HOUR = timedelta(hours=1)
FIVE_YEARS = 5 * 8_766
CORES, MEMORY_MB = 2, 1_024
TRIALS, SEED = 50, 1
LIMIT_MINUTES, LIMIT_MB = 15, 1_024


def main(folder: Path, trials: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    load, watched = os.getloadavg()[0], Watched()
    with tempfile.TemporaryDirectory() as into:
        job = Job(folder, SYMBOLS, True, HOUR, FIVE_YEARS, Path(into), trials, SEED, None, CORES, MEMORY_MB)
        made = training.run(make_rows, job, MEMORY_MB, watched)
        text, _, _ = training.run(fit, (job, made), MEMORY_MB, watched)
    print(f"{made.rows:,} rows of {len(made.symbols)} pairs, {trials} trials in each of the nested searches")
    print(f"{watched.minutes:.1f} minutes on {CORES} cores (limit {LIMIT_MINUTES}), load {load:.1f} before it began")
    print(f"{watched.processor_minutes:.1f} minutes of processor time")
    print(
        f"{watched.peak_mb:.0f} MB at the highest, all processes (limit {LIMIT_MB}); the model has {len(text):,} bytes"
    )


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        sys.exit(
            "usage: python bench/bench_train.py DATA_DIR [TRIALS] (with binance_BTCUSDT_1h.csv.gz and its sisters)"
        )
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else TRIALS)
