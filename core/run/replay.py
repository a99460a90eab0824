"""Proof that the journal repeats: every line stepped again from nothing has the effects it had, to the last character.

Rule 1: the same ``step`` that trades is the one that proves; nothing is taken from a snapshot.
Rule 2: effects are compared as Python writes them out: equal amounts with other digits (1.0 and 1.00) differ.
Rule 3: one line at a time is held, however long the journal is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from core.decide.step import step
from core.domain.errors import FirstmateError, InvariantBroken
from core.domain.state import State
from core.ports import Committed, Journal


@dataclass(frozen=True, slots=True)
class Verified:
    """How many lines were compared, and the SHA-256 over the effects of all of them, 64 hex digits."""

    lines: int
    effects_sha256: str


async def verify(journal: Journal, from_seq: int = 0) -> Verified:
    """What was proven of the lines above ``from_seq``; those before are stepped, but neither compared nor counted.

    Raises InvariantBroken with the number of the first line that does not repeat.
    """
    state, lines, digest = State(), 0, hashlib.sha256()
    async for line in journal.events_after(0):
        if line.seq <= from_seq:
            state, _ = _stepped(state, line)
            continue
        state, written = again(state, line)
        digest.update(f"{written}\n".encode())
        lines += 1
    return Verified(lines, digest.hexdigest())


def again(state: State, line: Committed) -> tuple[State, str]:
    """The state after ``line``, stepped from ``state``, and its effects written out.

    Raises InvariantBroken where number or effects are not those of the line: decisions must not drift.
    """
    after, written = _stepped(state, line)
    if after.seq != line.seq or written != repr(line.effects):
        raise InvariantBroken(f"Journal line {line.seq} does not repeat: the program or the journal has changed")
    return after, written


def _stepped(state: State, line: Committed) -> tuple[State, str]:
    try:
        after, effects = step(state, line.event)
    except FirstmateError as error:
        raise InvariantBroken(f"Journal line {line.seq} cannot be stepped again: {error.user_text}") from error
    return after, repr(tuple(effects))
