"""The bar store that imports and downloads fill, for the commands that do.

Rule 1: it is that of the configured mode where real bars are traded on, else that of paper trading.
Rule 2: the state folder's lock is held meanwhile: nothing is filled under a running assistant.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from tqdm import tqdm

from core.adapters import statelock
from core.adapters.bars import SqliteBars
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, folder_of, mode_to_fill
from core.adapters.migrate import migrate
from core.settings import Settings


@asynccontextmanager
async def bar_store(settings: Settings) -> AsyncIterator[SqliteBars]:
    """The store, made and up to date. Raises AlreadyRunning or StoreUnusable."""
    with statelock.hold(settings.home):
        folder = statelock.prepare(folder_of(settings.home, mode_to_fill(settings.mode)))
        migrate(folder / BARS_FILE, "bars")
        db = await Database.open(folder / BARS_FILE, durable=False)
        try:
            yield SqliteBars(db)
        finally:
            await db.close()


@contextmanager
def progress(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Takes (done, in all); a bar on a terminal, silence elsewhere."""
    with tqdm(
        desc=title, unit=unit, unit_scale=True, leave=False, disable=not sys.stderr.isatty(), file=sys.stderr
    ) as bar:

        def reached(done: int, total: int) -> None:
            bar.total = max(total, done)
            bar.update(done - bar.n)

        yield reached
