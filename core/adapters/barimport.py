"""A file of bars into the store: the whole file or nothing.

Rule 1: the file is read and checked to its end before the first bar is stored; then all go in as one transaction.
Rule 2: a hole of over 14 days after which the price is over twice or under half of what it was is two instruments
        under one name: the newest keeps the name, the older ones are called NAME~1, NAME~2 ... from the oldest on.
Rule 3: importing a file again changes nothing.
"""

from __future__ import annotations

import asyncio
import math
import struct
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from core.adapters.barfiles import BarFile, Tally, name_file, read_file
from core.adapters.bars import SqliteBars
from core.adapters.columns import Columns
from core.adapters.textlines import Progress
from core.domain.errors import BadData, StoreUnusable
from core.domain.market import from_ms

SPLIT_HOLE = timedelta(days=14)
SPLIT_JUMP = math.log(2)

_HEAD = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file: bars read, new in the store, met twice in the file, different from stored ones
    (those stay), holes left, times at which another instrument begins, unfinished bars dropped.
    """

    symbol: str
    span: timedelta
    read: int
    new: int
    duplicates: int
    conflicting: int
    holes: int
    split_at: tuple[datetime, ...]
    dropped_unfinished: int


@dataclass(slots=True)
class _Staged:
    """A checked file as raw columns on disk, cut where another instrument begins."""

    file: BarFile
    spool: IO[bytes]
    tally: Tally = field(default_factory=Tally)
    holes: int = 0
    splits: list[int] = field(default_factory=list)
    _last: tuple[int, float] | None = None

    def add(self, block: Columns) -> None:
        start = 0
        for i, (open_ms, price) in enumerate(zip(block.open_ms, block.open, strict=True)):
            if self._last and open_ms - self._last[0] != block.span_ms:
                self.holes += 1
                if _another_instrument(self._last, open_ms, price):
                    self._write(block.part(start, i))
                    start = i
                    self.splits.append(open_ms)
            self._last = (open_ms, block.close[i])
        self._write(block.part(start, len(block)))

    def _write(self, piece: Columns) -> None:
        if piece:
            self.spool.write(_HEAD.pack(len(self.splits), len(piece)))
            for raw in (piece.open_ms.tobytes(), *(column.tobytes() for column in piece.floats)):
                self.spool.write(raw)

    def blocks(self) -> Iterator[Columns]:
        """What was staged, under its final names."""
        self.spool.seek(0)
        span_ms = self.file.span // timedelta(milliseconds=1)
        while head := self.spool.read(_HEAD.size):
            era, count = _HEAD.unpack(head)
            name = self.file.symbol if era == len(self.splits) else f"{self.file.symbol}~{era + 1}"
            times, *floats = [self.spool.read(8 * count) for _ in range(6)]
            yield Columns(name, span_ms, array("q", times), *(array("d", column) for column in floats))


def _another_instrument(before: tuple[int, float], open_ms: int, price: float) -> bool:
    long = open_ms - before[0] > SPLIT_HOLE // timedelta(milliseconds=1)
    return long and abs(math.log(price) - math.log(before[1])) > SPLIT_JUMP


async def import_file(
    store: SqliteBars,
    path: Path,
    *,
    now: datetime,
    symbol: str | None = None,
    span: timedelta | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """What became of the file; ``progress`` hears (bytes read, bytes in all) from another thread. Raises BadData."""
    file = name_file(path, symbol, span)
    try:
        with tempfile.TemporaryFile(dir=store.folder) as spool:
            staged = await asyncio.to_thread(_stage, file, spool, now, progress)
            saved = await store.merge_all(staged.blocks(), "file")
    except OSError as error:
        raise StoreUnusable(f"{store.folder} cannot be written ({error.strerror}): free some space there") from error
    tally = staged.tally
    return ImportReport(
        symbol=file.symbol,
        span=file.span,
        read=tally.read,
        new=saved.new,
        duplicates=tally.duplicates,
        conflicting=saved.conflicting,
        holes=staged.holes - len(staged.splits),
        split_at=tuple(map(from_ms, staged.splits)),
        dropped_unfinished=tally.unfinished,
    )


def _stage(file: BarFile, spool: IO[bytes], now: datetime, progress: Progress | None) -> _Staged:
    staged = _Staged(file, spool)
    for block in read_file(file, now, staged.tally, progress):
        staged.add(block)
    if not staged.tally.read:
        raise BadData(f"{file.path.name}: holds no closed bar: nothing to import")
    return staged
