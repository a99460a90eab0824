"""`firstmate bars list`: every stored history of every mode; reads only, also beside a running assistant."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from core.adapters.bars import History, SqliteBars
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, folder_of, modes_in
from core.adapters.migrate import check_current
from core.domain.errors import StoreUnusable
from core.domain.market import span_name
from core.settings import Settings

HEADER = ("mode", "symbol", "bar", "first", "last", "bars", "holes", "from")
RIGHT = frozenset({"bars", "holes"})


def main(args: Namespace, settings: Settings) -> int:
    """Print the table; 0. Raises StoreUnusable where there is no bar store."""
    stores = {mode: folder_of(settings.home, mode) / BARS_FILE for mode in modes_in(settings.home)}
    found = {mode: path for mode, path in stores.items() if path.is_file()}
    if not found:
        raise StoreUnusable(f"{settings.home} holds no bars yet: fetch or import some, or start firstmate once.")
    rows = [row(mode, line) for mode, path in found.items() for line in asyncio.run(histories(path))]
    print("\n".join(table([HEADER, *rows])))
    return 0


async def histories(path: Path) -> Sequence[History]:
    """The lines of one store. Raises StoreUnusable."""
    check_current(path, "bars")
    db = await Database.open(path, durable=False, readers=1)
    try:
        return await SqliteBars(db).histories()
    finally:
        await db.close()


def row(mode: str, line: History) -> tuple[str, ...]:
    """One history under HEADER; times are open times in UTC."""
    ends = (f"{line.first:%Y-%m-%d %H:%M}", f"{line.last:%Y-%m-%d %H:%M}")
    return mode, line.symbol, span_name(line.span), *ends, f"{line.count:,}", f"{line.holes:,}", line.source


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as they need, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if name in RIGHT else "<" for name in HEADER]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in rows
    ]
