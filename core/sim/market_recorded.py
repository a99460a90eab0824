"""A market that really happened, read from a folder of CSV, CSV.gz or the exchange's own dump zips.

Rule 1: files are found by name: a token like BTCUSDT followed by a bar length (``binance_BTCUSDT_1h.csv.gz``,
        ``BTCUSDT-1h-2024-10-28.zip``); several files of one symbol are joined.
Rule 2: a line that cannot be a bar refuses the whole file, by name and line; holes stay holes.
Rule 3: times may be seconds, milliseconds or microseconds; their size tells which.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from core.domain.errors import BadData
from core.domain.market import SPANS, bar_fault
from core.sim.market import Row
from core.sim.pairs import Pair, finer, pair

NAMED = re.compile(r"(?:^|[_-])([A-Z0-9]{5,20})[_-](1m|5m|15m|30m|1h|4h|1d)(?=[_.-])")
ENDINGS = (".csv", ".csv.gz", ".zip")


def find_files(folder: Path, symbol: str, span: str) -> list[Path]:
    """Files of that symbol and bar length, by name. Raises BadData when there is none."""
    if not folder.is_dir():
        raise BadData(f"{folder} is no folder: give one with CSV, CSV.gz or zip files of bars")
    files = sorted(p for p in folder.iterdir() if p.name.endswith(ENDINGS) and _named(p) == (symbol, span))
    if not files:
        there = sorted({f"{s} {t}" for s, t in map(_named, sorted(folder.iterdir())) if s})
        raise BadData(f"{folder} holds no {span} bars of {symbol}; it has: {', '.join(there) or 'nothing to read'}")
    return files


def _named(path: Path) -> tuple[str, str]:
    found = NAMED.search(path.name)
    return (found[1], found[2]) if found else ("", "")


@contextmanager
def _lines(path: Path) -> Iterator[Iterable[str]]:
    """Text lines of a file of any of the three kinds."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            inside = [n for n in archive.namelist() if n.endswith(".csv")]
            if len(inside) != 1:
                raise BadData(f"{path.name}: expected one CSV inside, found {len(inside)}")
            with archive.open(inside[0]) as raw:
                yield io.TextIOWrapper(raw, "utf-8")
    elif path.name.endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8") as text:
            yield text
    else:
        with path.open(encoding="utf-8") as text:
            yield text


def read_rows(path: Path, span_ms: int) -> list[Row]:
    """Every bar of one file as it stands there. Raises BadData naming file and line."""
    try:
        with _lines(path) as lines:
            return [_row(path, number, cells, span_ms) for number, cells in _cells(lines)]
    except (OSError, EOFError, zipfile.BadZipFile, UnicodeDecodeError, csv.Error) as fault:
        raise BadData(f"{path.name} cannot be read: {fault}") from fault


def _cells(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    for number, cells in enumerate(csv.reader(lines), 1):
        if cells and not (number == 1 and not cells[0][:1].isdigit()):
            yield number, cells


def _row(path: Path, number: int, cells: list[str], span_ms: int) -> Row:
    try:
        open_ms = in_ms(int(cells[0]))
        o, h, l, c, v = map(float, cells[1:6])  # noqa: E741
    except ValueError as fault:
        raise BadData(f"{path.name} line {number}: {fault}") from fault
    fault_text = bar_fault(o, h, l, c, v) or ("" if open_ms % span_ms == 0 else "the time is not on the bar's grid")
    if fault_text:
        raise BadData(f"{path.name} line {number}: {fault_text}")
    return Row(open_ms, o, h, l, c, v)


def in_ms(stamp: int) -> int:
    """Epoch milliseconds of a stamp in seconds, milliseconds or microseconds."""
    if stamp < 10**11:
        return stamp * 1000
    return stamp if stamp < 10**14 else stamp // 1000


class _Record:
    """All bars of one symbol as columns, sorted by open time."""

    def __init__(self, symbol: str, rows: list[Row]) -> None:
        unique = {row.open_ms: row for row in rows}
        ordered = [unique[key] for key in sorted(unique)]
        self.times = array("q", (r.open_ms for r in ordered))
        self.columns = tuple(array("d", (r[i] for r in ordered)) for i in range(1, 6))
        self.pair = finer(pair(symbol, ordered[len(ordered) // 2].close), _decimals(ordered))

    def at(self, i: int) -> Row:
        o, h, l, c, v = (column[i] for column in self.columns)  # noqa: E741
        return Row(self.times[i], o, h, l, c, v)


def _decimals(rows: list[Row]) -> int:
    """Most decimals among a sample of closes, 0..8."""
    sample = rows[:: max(len(rows) // 500, 1)]
    return max((len(f"{r.close:.8f}".rstrip("0").partition(".")[2]) for r in sample), default=2)


class RecordedMarket:
    """Bars from files; ends where the last file ends."""

    simulated = False

    def __init__(self, folder: Path, symbols: tuple[str, ...], span: str) -> None:
        self.label = f"recorded:{folder.name}"
        self.symbols = symbols
        self.span_ms = SPANS[span] // timedelta(milliseconds=1)
        self._records = {symbol: self._read(folder, symbol, span) for symbol in symbols}

    def _read(self, folder: Path, symbol: str, span: str) -> _Record:
        rows = [row for path in find_files(folder, symbol, span) for row in read_rows(path, self.span_ms)]
        if not rows:
            raise BadData(f"{folder} holds no {span} bars of {symbol}: its files are empty")
        return _Record(symbol, rows)

    @property
    def first_ms(self) -> int:
        """Open time of the earliest bar of any symbol."""
        return min(record.times[0] for record in self._records.values())

    def pair(self, symbol: str) -> Pair:
        """The pair; KeyError for a symbol this market was not given."""
        return self._records[symbol].pair

    def row(self, symbol: str, open_ms: int) -> Row | None:
        """The bar that opens then, or None in a hole."""
        record = self._records[symbol]
        i = bisect_left(record.times, open_ms)
        return record.at(i) if i < len(record.times) and record.times[i] == open_ms else None

    def rows(self, symbol: str, since_ms: int, until_ms: int, limit: int, newest: bool = False) -> list[Row]:
        """Up to ``limit`` bars with since <= open < until, oldest first."""
        record = self._records[symbol]
        first, end = bisect_left(record.times, since_ms), bisect_left(record.times, until_ms)
        first, end = (max(first, end - limit), end) if newest else (first, min(end, first + limit))
        return [record.at(i) for i in range(first, end)]

    def next_open(self, at_ms: int) -> int | None:
        """Open time of the first bar of any symbol at or after ``at_ms``; None at the end."""
        found = (
            record.times[i]
            for record in self._records.values()
            if (i := bisect_left(record.times, at_ms)) < len(record.times)
        )
        return min(found, default=None)
