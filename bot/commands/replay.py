"""`firstmate replay`: the journal stepped again from its first line, and the proof that it gives the same effects.

Rule 1: it trades nothing, needs no network, and leaves the state as it is.
Rule 2: the printed hash is over every effect; two machines with the same journal print the same one.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path

from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE, folder_of, mode_to_read
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import check_current
from core.run.replay import Verified, verify
from core.settings import Settings


def main(args: Namespace, settings: Settings) -> int:
    """Print lines and hash; 0. Raises InvariantBroken with the first line that does not repeat, StoreUnusable."""
    mode = mode_to_read(settings.home, settings.mode)
    path = folder_of(settings.home, mode) / MAIN_FILE
    check_current(path, "main")
    proven = asyncio.run(_verify(path))
    print(f"{mode}: {proven.lines:,} journal lines stepped again, every effect as it was.")
    print(f"effects sha256 {proven.effects_sha256}")
    return 0


async def _verify(path: Path) -> Verified:
    db = await Database.open(path, durable=True, readers=1)
    try:
        return await verify(SqliteJournal(db))
    finally:
        await db.close()
