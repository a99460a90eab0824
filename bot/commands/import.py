"""`firstmate import FILE...`: bars from files into the bar store of the configured mode, or of paper trading.

Rule 1: every file is read and checked to its end before anything is written: one bad line in the last file, and the
        state folder is as it was.
Rule 2: a file that was imported before changes nothing.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from bot.barstore import bar_store, progress
from core.adapters.barfiles import BarFile, Tally, name_file, read_file
from core.adapters.barimport import ImportReport, import_file
from core.domain.errors import BadData
from core.domain.market import SPANS, span_name
from core.settings import Settings


def main(args: Namespace, settings: Settings) -> int:
    """Import every file and say what became of it; 0. Raises BadData naming file and line, AlreadyRunning."""
    span = SPANS[args.timeframe] if args.timeframe else None
    files = [name_file(path, args.symbol, span) for path in args.files]
    now = datetime.now(UTC)
    for file in files:
        check(file, now)
    asyncio.run(_import(files, now, settings))
    return 0


def check(file: BarFile, now: datetime) -> None:
    """Nothing, or BadData with the first bad line of the file."""
    tally = Tally()
    with progress(f"checking {file.path.name}", "B") as reached:
        for _ in read_file(file, now, tally, reached):
            pass
    if not tally.read:
        raise BadData(f"{file.path.name}: holds no closed bar: nothing to import")


async def _import(files: list[BarFile], now: datetime, settings: Settings) -> None:
    async with bar_store(settings) as store:
        for file in files:
            with progress(f"importing {file.path.name}", "B") as reached:
                report = await import_file(
                    store, file.path, now=now, symbol=file.symbol, span=file.span, progress=reached
                )
            print(f"{file.path.name}: {'; '.join(words(report))}.", flush=True)
        print(f"Stored in {store.folder}.")


def words(report: ImportReport) -> Iterator[str]:
    """What became of a file, piece by piece; what did not happen is not mentioned."""
    known = report.read - report.new - report.conflicting
    yield f"{report.read:,} bars of {report.symbol} {span_name(report.span)}, {report.new:,} new"
    if known:
        yield f"{known:,} were stored before"
    if report.conflicting:
        yield f"{report.conflicting:,} differ from the stored ones, which stay"
    if report.duplicates:
        yield f"{report.duplicates:,} repeated lines were skipped"
    if report.holes:
        yield f"holes left: {report.holes:,}"
    if report.dropped_unfinished:
        yield "the last bar was not closed yet and was left out"
    for number, at in enumerate(report.split_at, 1):
        yield f"another instrument from {at:%Y-%m-%d} on, the one before is {report.symbol}~{number}"
