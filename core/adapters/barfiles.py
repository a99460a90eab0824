"""Files of bars: CSV, CSV.gz and Binance's own dumps (.zip), read in constant memory and trusted in nothing.

Rule 1: a file is good as a whole or not at all: the first bad line is named with its fix.
Rule 2: times may be s, ms, µs or ns since the epoch, told by their size; they are on the grid of the bar length.
Rule 3: the same line twice is skipped and counted; a hole is no fault; a bar not closed yet is dropped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.adapters.columns import Columns, Numbers
from core.adapters.redaction import printable
from core.adapters.textlines import Progress, lines
from core.domain.errors import BadData
from core.domain.market import SPANS, bar_fault, span_name, to_ms

BLOCK = 10_080
HEADER = "timestamp,open,high,low,close,volume"
DUMP_FIELDS = 12
SUFFIXES = (".csv", ".csv.gz", ".zip")

_NAME = re.compile(
    rf"(?:[a-z0-9]+_)*(?P<symbol>[A-Z0-9]{{5,20}})[-_](?P<span>{'|'.join(SPANS)})(?:[-_]\d{{4}}(?:-\d\d){{0,2}})?"
)
_TIME_NAMES = ("timestamp", "open_time", "time")
_PRICE_NAMES = HEADER.split(",")[1:]
_SYMBOL = re.compile(r"[A-Z0-9]{2,20}")
# upper end of each unit's plain range: 10^11 s is the year 5138, 10^11 ms is 1973
_UNITS = ((10**11, 1_000, 1), (10**14, 1, 1), (10**17, 1, 1_000), (10**20, 1, 1_000_000))
_EARLIEST_MS = to_ms(datetime(2009, 1, 1, tzinfo=UTC))
_ENDLESS = float("inf")


@dataclass(frozen=True, slots=True)
class BarFile:
    """A file with bars of one symbol and length."""

    path: Path
    symbol: str
    span: timedelta


@dataclass(slots=True)
class Tally:
    """What was met while reading: bars kept, same lines skipped, unfinished bars dropped."""

    read: int = 0
    duplicates: int = 0
    unfinished: int = 0


def name_file(path: Path, symbol: str | None = None, span: timedelta | None = None) -> BarFile:
    """Symbol and bar length as given, else from a name like ``binance_BTCUSDT_1h.csv.gz``. Raises BadData."""
    suffix = next((s for s in SUFFIXES if path.name.endswith(s)), None)
    if suffix is None:
        raise BadData(f"{path.name}: not one of {', '.join(SUFFIXES)}")
    found = _NAME.fullmatch(path.name.removesuffix(suffix))
    symbol = symbol or (found["symbol"] if found else None)
    span = span or (SPANS[found["span"]] if found else None)
    if symbol is None or span is None:
        raise BadData(
            f"{path.name}: the name tells no symbol and bar length: rename it like BTCUSDT_1h.csv or give both"
        )
    if not _SYMBOL.fullmatch(symbol):
        raise BadData(f"{symbol} is no symbol: capital letters and digits, e.g. BTCUSDT")
    return BarFile(path, symbol, span)


def recorded(folder: Path) -> Mapping[str, list[BarFile]]:
    """Files of bars in a folder by symbol, in the order of their names; others are passed over. Raises BadData."""
    if not folder.is_dir():
        raise BadData(f"{folder} is no folder: name one that holds files like binance_BTCUSDT_1h.csv.gz")
    found: dict[str, list[BarFile]] = {}
    for path in sorted(folder.iterdir()):
        try:
            file = name_file(path)
        except BadData:
            continue
        found.setdefault(file.symbol, []).append(file)
    return found


def read_file(file: BarFile, now: datetime, tally: Tally, progress: Progress | None = None) -> Iterator[Columns]:
    """Checked bars, oldest first, in blocks; ``tally`` is complete at the end. Raises BadData at the first bad line.

    A fault may come after good blocks: whoever stores them waits for the end.
    """
    sieve = _Sieve(file, to_ms(now), tally)
    block = sieve.empty()
    for number, line in _rows(file.path, progress):
        bar = sieve.take(number, line)
        if bar:
            block.append(*bar)
        if len(block) == BLOCK:
            yield block
            block = sieve.empty()
    sieve.finish()
    if block:
        yield block


def _rows(path: Path, progress: Progress | None) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of each data line; every one has as many fields as the first."""
    width = 0
    for number, line in lines(path, progress):
        fields = line.split(",")
        if not width:
            width = len(fields)
            if _is_header(path, fields):
                continue
        if not line:
            continue
        if len(fields) != width or not line.isascii() or "_" in line:
            raise BadData(f"{path.name}:{number}: {line[:60]!r} is no line of {width} plain numbers: mend or remove it")
        yield number, fields
    if not width:
        raise BadData(f"{path.name}:1: the file is empty: fetch it again")


def _is_header(path: Path, fields: list[str]) -> bool:
    names = [field.strip().lower() for field in fields]
    if names[0] in _TIME_NAMES and names[1:6] == _PRICE_NAMES:
        return True
    if len(fields) == DUMP_FIELDS and fields[0].isdigit():
        return False
    raise BadData(f"{path.name}:1: expected the header {HEADER} or Binance's own {DUMP_FIELDS} columns")


class _Sieve:
    """Lets each bar through once, in order; names the line that is wrong."""

    def __init__(self, file: BarFile, now_ms: int, tally: Tally) -> None:
        self._file = file
        self._span_ms = file.span // timedelta(milliseconds=1)
        self._now_ms = now_ms
        self._tally = tally
        self._last_ms = -1
        self._last: Numbers | None = None
        self._step_min = _ENDLESS

    def empty(self) -> Columns:
        return Columns(self._file.symbol, self._span_ms)

    def take(self, number: int, fields: list[str]) -> tuple[int, Numbers] | None:
        """The bar of a line, or None where it is skipped. Raises BadData."""
        try:
            open_ms = self._time(number, fields[0])
            numbers: Numbers = tuple(map(float, fields[1:6]))  # type: ignore[assignment]
        except ValueError as error:
            raise self._bad(number, f"{str(error)[:100]}: put the number there or remove the line") from error
        if self._tally.unfinished:
            raise self._bad(number, "it follows a bar that is not closed yet: check the clock of this machine")
        if open_ms <= self._last_ms:
            self._same(number, open_ms, numbers)
            return None
        self._check(number, numbers)
        if self._last is not None:
            self._step_min = min(self._step_min, open_ms - self._last_ms)
        self._last_ms, self._last = open_ms, numbers
        if open_ms + self._span_ms > self._now_ms:
            self._tally.unfinished = 1
            return None
        self._tally.read += 1
        return open_ms, numbers

    def finish(self) -> None:
        """What only the whole file shows. Raises BadData."""
        if self._tally.read > 2 and self._step_min != self._span_ms:
            name = span_name(self._file.span)
            raise BadData(f"{self._file.path.name}: no two bars are {name} apart: give the right timeframe")

    def _time(self, number: int, text: str) -> int:
        value = int(text) if text.isdigit() else _whole(text)
        for top, times, parts in _UNITS:
            if value < top:
                open_ms, rest = divmod(value * times, parts)
                break
        else:
            open_ms, rest = -1, 0
        if open_ms < _EARLIEST_MS:
            raise self._bad(number, f"{text[:40]} is no time since 1970 in s, ms, µs or ns: mend the first column")
        if rest or open_ms % self._span_ms:
            name = span_name(self._file.span)
            raise self._bad(number, f"{text} is not the open time of a {name} bar: give the right timeframe")
        return open_ms

    def _same(self, number: int, open_ms: int, numbers: Numbers) -> None:
        if open_ms < self._last_ms:
            raise self._bad(number, "older than the line before: sort the file by time")
        if numbers != self._last:
            raise self._bad(number, "the same bar as the line before with other numbers: remove the wrong one")
        self._tally.duplicates += 1

    def _check(self, number: int, numbers: Numbers) -> None:
        open_, high, low, close, volume = numbers
        possible = 0 < low <= open_ <= high < _ENDLESS and low <= close <= high and 0 <= volume < _ENDLESS
        if not possible:  # the sentence costs more than the question, so it is only asked for a bad bar
            raise self._bad(number, f"{bar_fault(*numbers)}: mend or remove the line")

    def _bad(self, number: int, text: str) -> BadData:
        return BadData(f"{self._file.path.name}:{number}: {printable(text)}")


def _whole(text: str) -> int:
    """A whole number that some program wrote as a float. Raises ValueError."""
    value = float(text)
    if not value.is_integer():
        raise ValueError(f"{text} is no whole number")
    return int(value)
