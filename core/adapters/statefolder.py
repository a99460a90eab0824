"""A mode's state folder, opened: its two databases, and the mark of this installation.

Rule 1: what is opened here is closed here, in reverse order.
Rule 2: the databases are up to date before anybody reads them.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, MAIN_FILE
from core.adapters.migrate import migrate
from core.adapters.statelock import prepare

INSTALL_FILE = "install"


@dataclass(frozen=True, slots=True)
class Stores:
    """The two databases of a state folder, opened and up to date."""

    main: Database
    bars: Database


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[Stores]:
    """Both databases, migrated; closed at the end. Raises StoreUnusable."""
    prepare(folder)
    migrate(folder / MAIN_FILE, "main")
    migrate(folder / BARS_FILE, "bars")
    async with AsyncExitStack() as stack:
        main = await Database.open(folder / MAIN_FILE, durable=True)
        stack.push_async_callback(main.close)
        bars = await Database.open(folder / BARS_FILE, durable=False)
        stack.push_async_callback(bars.close)
        yield Stores(main, bars)


def install_mark(folder: Path) -> str:
    """The mark of this installation in client ids, five characters, made once and kept."""
    path = folder / INSTALL_FILE
    if not path.exists():
        beside = path.with_suffix(".new")
        beside.write_text("fm" + "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(3)) + "\n")
        beside.replace(path)  # never half a mark: orders of two installations must not look alike
    return path.read_text().strip()
