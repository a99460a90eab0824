"""Whether the models answer, and what of that the owner is told.

Rule 1: a failure is told once, its end once answers have come for STEADY without a break: a process that comes and goes
        is one silence.
Rule 2: a failure within AGAIN of the last one told is told only where it lasts until then, and its end only where it
        was told itself.
Rule 3: without a champion nobody waits for answers: the silence ends without a word.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from core.run.lab_memory import Memory

if TYPE_CHECKING:
    from core.run.asking import Heard

STEADY = timedelta(minutes=10)
AGAIN = timedelta(hours=1)
_MS = timedelta(milliseconds=1)
_CODE = "NO_ANSWER: "


class Silence:
    """What came of the newest batches of one life; what was told of it lies in the memory."""

    def __init__(self) -> None:
        self._failure: str | None = None  # of the newest batch; None before the first
        self._well_ms = 0

    @property
    def why(self) -> str:
        """Why there was no answer at the newest bar, "" where there was one."""
        return self._failure or ""

    def heard(self, heard: Heard, now_ms: int) -> None:
        """Take note of what came of one batch."""
        if heard.failure:
            self._failure = heard.failure.removeprefix(_CODE)
        elif heard.answers is not None:
            if self._failure != "":
                self._well_ms = now_ms
            self._failure = ""

    def look(self, memory: Memory, now_ms: int, *, awaited: bool) -> tuple[Memory, str]:
        """What is to be remembered now, and what to be told, "" for nothing; ``awaited``: there is a champion."""
        if not awaited:
            self._failure = None
            return replace(memory, silent_ms=0), ""
        if self._failure:
            return self._silent(replace(memory, silent_ms=memory.silent_ms or now_ms), now_ms)
        if memory.silent_ms and self._failure == "" and now_ms - self._well_ms >= STEADY // _MS:
            return replace(memory, silent_ms=0), _back(memory, self._well_ms)
        return memory, ""

    def _silent(self, memory: Memory, now_ms: int) -> tuple[Memory, str]:
        if _told(memory) or now_ms - memory.told_ms < AGAIN // _MS:
            return memory, ""
        said = f"No forecasts, and so no new entries, until further word. {self._failure}"
        return replace(memory, told_ms=now_ms), said


def _told(memory: Memory) -> bool:
    return memory.told_ms >= memory.silent_ms


def _back(memory: Memory, well_ms: int) -> str:
    minutes = max(1, (well_ms - memory.silent_ms) // 60_000)
    return f"Forecasts are back; for {minutes:,} minutes there were none, or not all." if _told(memory) else ""
