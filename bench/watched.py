"""What a training takes, for the benches of the lab: minutes, processor time, and memory of all its processes."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time

from core.adapters import training

SYMBOLS = ("ADAUSDT", "BNBUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "LINKUSDT", "LTCUSDT", "XRPUSDT")


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
