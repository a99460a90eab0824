"""How long a nightly retrain takes and how much it holds: `python bench/bench_train.py DATA_DIR [TRIALS]`.

Eight pairs, five years of hours, 50 trials in each of the nested searches, on two cores (this process and all it starts
are bound to two). Memory is the sum over all processes; pages they share count once for each.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

from bot.commands.train import Job, fit, make_rows
from core.adapters import training

SYMBOLS = ("ADAUSDT", "BNBUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "LINKUSDT", "LTCUSDT", "XRPUSDT")
HOUR = timedelta(hours=1)
FIVE_YEARS = 5 * 8_766
CORES, MEMORY_MB = 2, 1_024
TRIALS, SEED = 50, 1
LIMIT_MINUTES, LIMIT_MB = 15, 1_024


class Watched:
    """Looks how much memory the work and all below it hold, for as long as it lasts."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._begun = time.monotonic()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, training.resident_mb(os.getpid()))
            time.sleep(0.2)

    @property
    def minutes(self) -> float:
        """Since it began."""
        return (time.monotonic() - self._begun) / 60

    @property
    def processor_minutes(self) -> float:
        """Spent by processes that have ended."""
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (spent.ru_utime + spent.ru_stime) / 60

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is, on stderr."""
        print(f"{self.minutes:6.1f} min {done:5d} of {total}, {self.peak_mb:5.0f} MB", file=sys.stderr)


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
