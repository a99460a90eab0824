"""`firstmate features SYMBOL`: what the forecast sees of the stored bars, as a table or as CSV; reads only.

Rule 1: the numbers are those of the live path, folded bar by bar; a few come from comparing the symbols traded.
Rule 2: the newest rows are folded from RUN_UP bars before them, by which time where the fold began is forgotten; an
        export of everything begins with the first stored bar.
Rule 3: a file is written whole or not at all; a number that is not warm yet is a dash in the table, nothing in CSV.
"""

from __future__ import annotations

import asyncio
import csv
import math
import sys
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from heapq import merge
from itertools import groupby, repeat
from operator import itemgetter
from pathlib import Path
from typing import TextIO

from bot.wholefile import whole
from core.adapters.bars import SqliteBars
from core.adapters.columns import Columns
from core.adapters.db import Database
from core.adapters.folders import BARS_FILE, folder_of, mode_to_fill
from core.adapters.migrate import check_current
from core.domain.errors import BadData
from core.domain.market import SPANS, from_ms, span_name
from core.learn import cross, features
from core.settings import Settings

RUN_UP = 3000
SHOWN = 5
BLOCK = 6
NAMES = (*features.NAMES, *cross.NAMES)
WARM_UPS = (*features.WARM_UPS, *(repeat(features.WARM_UPS[features.AT["ret_24"]], cross.WIDTH)))
Row = tuple[int, list[float]]


def main(args: Namespace, settings: Settings) -> int:
    """Print or write the rows; 0. Raises BadData where no bar of the symbol is stored, NeedsOwner for a file."""
    span = SPANS[settings.timeframe]
    last = args.last or (None if args.csv else SHOWN)
    bars = asyncio.run(_read(settings, args.symbol, span, last))
    found = rows(bars, args.symbol, span)
    if not args.csv:
        newest = list(deque(found, last))
        print("\n".join(table(args.symbol, span, newest)))
        return 0
    found = iter(deque(found, last)) if last else found
    if args.csv == "-":
        write_csv(sys.stdout, found)
        return 0
    with whole(Path(args.csv), "--csv") as file:
        count = write_csv(file, found)
    print(f"{count:,} rows of {args.symbol} {span_name(span)} in {args.csv}, feature set {features.version()[:12]}.")
    return 0


async def _read(settings: Settings, symbol: str, span: timedelta, last: int | None) -> dict[str, Columns]:
    """The bars needed for the ``last`` rows of ``symbol``, all where None, with those of the symbols beside it."""
    for mode in dict.fromkeys((settings.mode, mode_to_fill(settings.mode))):
        path = folder_of(settings.home, mode) / BARS_FILE
        if not path.is_file():
            continue
        check_current(path, "bars")
        db = await Database.open(path, durable=False, readers=1)
        try:
            store = SqliteBars(db)
            if bars := await _stored(store, symbol, span, 0):
                start = bars.open_ms[max(0, len(bars) - (last or len(bars)) - RUN_UP)] if last else bars.open_ms[0]
                others = [each for each in settings.symbols if each != symbol]
                beside = {each: await _stored(store, each, span, start) for each in others}
                return {symbol: bars.after(start - 1), **{each: c for each, c in beside.items() if c}}
        finally:
            await db.close()
    wanted = f"{symbol} {span_name(span)}"
    raise BadData(f"no bars of {wanted} are stored: firstmate fetch {symbol} --since DATE, or see firstmate bars list.")


async def _stored(store: SqliteBars, symbol: str, span: timedelta, start_ms: int) -> Columns:
    found = Columns(symbol, span // timedelta(milliseconds=1))
    async for block in store.stream_columns(symbol, span, from_ms(start_ms)):
        found.extend(block)
    return found


def rows(bars: Mapping[str, Columns], symbol: str, span: timedelta) -> Iterator[Row]:
    """Open time and features (NAMES) of each bar of ``symbol``, oldest first; all symbols walk along one time line."""
    states = {name: features.new_state(span) for name in bars}
    seen = {name: [features.NOTHING] * features.WIDTH for name in bars}
    among = cross.Cross()
    tape = merge(*(zip(c.open_ms, repeat(name), *c.floats) for name, c in bars.items()))
    for open_ms, here in groupby(tape, key=itemgetter(0)):
        now = {}
        for _, name, *bar in here:
            features.step_row(states[name], seen[name], open_ms, *bar)
            now[name] = seen[name]
        compared = among.seen(open_ms, now)
        if symbol in now:
            yield open_ms, [*seen[symbol], *compared[symbol]]


def table(symbol: str, span: timedelta, newest: Sequence[Row]) -> list[str]:
    """A line for each feature with its warm-up and whether the model reads it, the newest bars to the right."""
    times = f"{span_name(span)} bars by open time in UTC"
    lines = [f"{symbol}, {times}; feature set {features.version()[:12]}; - is not warm yet; * is read by the model"]
    for start in range(0, len(newest), BLOCK):
        block = newest[start : start + BLOCK]
        heads = [f"{from_ms(open_ms):%m-%d %H:%M}" for open_ms, _ in block]
        lines += ["", _line("feature", "warm-up", heads)]
        for k, (name, warm_up) in enumerate(zip(NAMES, WARM_UPS, strict=True)):
            mark = "*" if name in features.MODEL_NAMES else " "
            lines.append(_line(f"{mark} {name}", str(warm_up), [_shown(row[k]) for _, row in block]))
    return lines


def _line(name: str, warm_up: str, cells: Sequence[str]) -> str:
    return f"{name:18}{warm_up:>7}" + "".join(f"{cell:>13}" for cell in cells)


def _shown(number: float) -> str:
    return "-" if math.isnan(number) else f"{number:.6g}"


def write_csv(out: TextIO, found: Iterator[Row]) -> int:
    """Write a header and a line a bar: open time (ms), features to the last bit, the set's version; how many bars."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("open_ms", *NAMES, "feature_set"))
    version, count = features.version()[:12], 0
    for open_ms, row in found:
        writer.writerow((open_ms, *("" if math.isnan(number) else repr(number) for number in row), version))
        count += 1
    return count
