"""Pulse of every part: when it last did well, what failed since, and what /health shows of it.

Rule 1: a part reports its own success and failure; silence longer than its patience is a failure too.
Rule 2: a part that fails is unwell but alive: a restart brings back no network. Silence alone is a standstill.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.run.questions import Check


@dataclass(frozen=True, slots=True)
class Pulse:
    """One part: its patience in seconds, when it last did well, when it was last heard of, and the failure since."""

    patience_s: float
    well_at: float
    heard_at: float
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
        self._pulses[name] = Pulse(patience_s, self._monotonic(), self._monotonic())

    def well(self, name: str) -> None:
        """This part did its work just now."""
        now = self._monotonic()
        self._pulses[name] = replace(self._pulses[name], well_at=now, heard_at=now, trouble="")

    def done(self, name: str) -> None:
        """This part did all it ever has to do: from now on it may be silent."""
        self.well(name)
        self._pulses[name] = replace(self._pulses[name], patience_s=math.inf)

    def failed(self, name: str, why: str) -> None:
        """This part tried and could not."""
        pulse = self._pulses[name]
        self._pulses[name] = replace(pulse, heard_at=self._monotonic(), failures=pulse.failures + 1, trouble=why)

    def missed(self, name: str) -> None:
        """This part was due and did not run, or overran into its next time."""
        pulse = self._pulses[name]
        self._pulses[name] = replace(pulse, missed=pulse.missed + 1)

    def alive(self) -> bool:
        """Whether no part has been silent, without success or failure, beyond its patience."""
        now = self._monotonic()
        return all(now - pulse.heard_at <= pulse.patience_s for pulse in self._pulses.values())

    def checks(self) -> tuple[Check, ...]:
        """One line a part, in the order they were declared."""
        return tuple(self._check(name, pulse) for name, pulse in self._pulses.items())

    def _check(self, name: str, pulse: Pulse) -> Check:
        silence = self._monotonic() - pulse.well_at
        well = silence <= pulse.patience_s and not pulse.trouble
        counts = "".join(
            f", {count} {word}" for count, word in ((pulse.failures, "failed"), (pulse.missed, "missed")) if count
        )
        return Check(name, well, pulse.trouble or f"last well {silence:.0f} s ago{counts}")
