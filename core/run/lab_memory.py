"""What the lab knows of yesterday: one JSON text in the database.

Rule 1: what was done last comes from here, never from memory of the process.
Rule 2: what cannot be read is nothing known: then something is told once more, and nothing worse.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from core.lab_ports import LabRecords
from core.learn.drift import Level

NAME = "lab"


@dataclass(frozen=True, slots=True)
class Memory:
    """``champion_id`` forecasts since ``since_ms``, or did so last; ``level`` of drift was told of it, for ``why``; it
    looked milder from ``calm_ms`` on (0: it does not). ``announce`` explains the change of champion that is under way.
    ``silent_ms``: since when there are no forecasts (0: there are); ``told_ms``: when that was last told. ``nobody``:
    why there is no champion, ``unfit``: why a challenger that won was not promoted, both as told.
    """

    champion_id: str = ""
    since_ms: int = 0
    level: int = int(Level.NONE)
    why: str = ""
    calm_ms: int = 0
    announce: str = ""
    urgent: bool = False
    silent_ms: int = 0
    told_ms: int = 0
    nobody: str = ""
    unfit: str = ""


async def recall(records: LabRecords) -> Memory:
    """What was remembered last, or nothing."""
    try:
        said = json.loads(await records.recall(NAME) or "{}")
        known = {f.name: said[f.name] for f in fields(Memory) if type(said.get(f.name)) is type(f.default)}
        Level(known.get("level", 0))
    except (ValueError, AttributeError, RecursionError):
        return Memory()
    return Memory(**known)


async def remember(records: LabRecords, memory: Memory) -> None:
    """Keep it, in place of the one before."""
    await records.remember(NAME, json.dumps(asdict(memory)))
