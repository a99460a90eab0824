"""A program as it is, on a quicker clock: `python -m tests.blackbox.fast WORDS` is `firstmate WORDS`.

Rule 1: every process that is given the same ``Pace`` has the same time, whenever it is started: the pace names one
        moment of the machine's own clock and what time it was then.
Rule 2: all of a process's waits shrink alike: timers, timeouts, Retry-After, the guard's rounds; so does the patience
        of both sides with each other. Work takes as long as it takes.
Rule 3: nothing else of the program is changed.
"""

from __future__ import annotations

import datetime as real
import importlib
import os
import selectors
import sys
import time
from dataclasses import dataclass

VARIABLE = "BLACKBOX_PACE"
CLOCKED = (
    "core.adapters.clock",
    "core.run.schedule",
    "apscheduler.schedulers.base",
    "apscheduler.executors.base",
    "apscheduler.triggers.interval",
    "apscheduler.triggers.date",
)
_machine = time.monotonic


@dataclass(frozen=True, slots=True)
class Pace:
    """``speed`` seconds pass in one of the machine's; at ``since`` (its monotonic clock) it was ``epoch`` (Unix)."""

    speed: float
    since: float
    epoch: float

    def __str__(self) -> str:
        return f"{self.speed!r}:{self.since!r}:{self.epoch!r}"

    def passed(self) -> float:
        """Seconds since ``epoch``."""
        return (_machine() - self.since) * self.speed

    def now(self) -> float:
        """Unix time."""
        return self.epoch + self.passed()


def read(text: str) -> Pace:
    """A pace from its text."""
    speed, since, epoch = map(float, text.split(":"))
    return Pace(speed, since, epoch)


def begun(speed: float) -> Pace:
    """A pace that begins with the time of the wall."""
    return Pace(speed, _machine(), time.time())


def apply(pace: Pace) -> None:
    """Let this process live at that pace from now on."""
    time.time = pace.now
    time.time_ns = lambda: int(pace.now() * 1e9)
    time.monotonic = lambda: pace.since + pace.passed()
    _hasten_waits(pace.speed)
    for name in CLOCKED:
        importlib.import_module(name).datetime = _datetime_of(pace)  # type: ignore[attr-defined]


def _hasten_waits(speed: float) -> None:
    waits = selectors.EpollSelector.select

    def select(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        return waits(self, timeout / speed if timeout and timeout > 0 else timeout)

    selectors.EpollSelector.select = select  # type: ignore[assignment, method-assign]


def _datetime_of(pace: Pace) -> type[real.datetime]:
    class AnyDatetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real.datetime)

    class Datetime(real.datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: real.tzinfo | None = None) -> real.datetime:  # type: ignore[override]
            return real.datetime.fromtimestamp(pace.now(), tz)

    return Datetime


def main() -> int:
    """Run what was asked for: a command of the program, or a file of Python."""
    apply(read(os.environ[VARIABLE]))
    if sys.argv[1] == "python":
        sys.argv = sys.argv[2:]
        return int(importlib.import_module(sys.argv[0]).main())
    from bot.cli import main as program

    return program(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
