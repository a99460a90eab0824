"""Pulse of every part: when it last did well, what failed since, and what /health shows of it.

Rule 1: a part reports its own success and failure; silence longer than its patience is a failure too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.run.desk import Check


@dataclass(frozen=True, slots=True)
class Pulse:
    """One part: its patience in seconds, last success and the failure since, if any."""

    patience_s: float
    well_at: float
    failures: int = 0
    missed: int = 0
    trouble: str = ""


class Vitals:
    """Pulses by name; ``monotonic`` in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pulses: dict[str, Pulse] = {}

    def expect(self, name: str, patience_s: float) -> None:
        """Start to watch a part that should do well at least every ``patience_s`` seconds."""
        self._pulses[name] = Pulse(patience_s, self._monotonic())

    def well(self, name: str) -> None:
        """This part did its work just now."""
        pulse = self._pulses[name]
        self._pulses[name] = replace(pulse, well_at=self._monotonic(), trouble="")

    def failed(self, name: str, why: str) -> None:
        """This part tried and could not."""
        pulse = self._pulses[name]
        self._pulses[name] = replace(pulse, failures=pulse.failures + 1, trouble=why)

    def missed(self, name: str) -> None:
        """This part was due and did not run, or overran into its next time."""
        pulse = self._pulses[name]
        self._pulses[name] = replace(pulse, missed=pulse.missed + 1)

    def alive(self) -> bool:
        """Whether no part has been silent beyond its patience."""
        return all(self._silence(pulse) <= pulse.patience_s for pulse in self._pulses.values())

    def checks(self) -> tuple[Check, ...]:
        """One line a part, in the order they were declared."""
        return tuple(self._check(name, pulse) for name, pulse in self._pulses.items())

    def _silence(self, pulse: Pulse) -> float:
        return self._monotonic() - pulse.well_at

    def _check(self, name: str, pulse: Pulse) -> Check:
        silence = self._silence(pulse)
        well = silence <= pulse.patience_s and not pulse.trouble
        counts = "".join(
            f", {count} {word}" for count, word in ((pulse.failures, "failed"), (pulse.missed, "missed")) if count
        )
        return Check(name, well, pulse.trouble or f"last well {silence:.0f} s ago{counts}")
