"""`firstmate export`: what was recorded, to stdout, while the assistant runs or not.

Rule 1: rows go out as they are read, a page at a time: memory does not grow with the journal.
Rule 2: money is exact text; ``*_ms`` are milliseconds since 1970 in UTC.
Rule 3: CSV has its header even without rows, JSON is one array; what is JSON inside a column is JSON in JSON.
"""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import TextIO

from core.adapters.folders import MAIN_FILE, folder_of, mode_to_read
from core.adapters.glance import columns
from core.adapters.readonly import table_rows
from core.settings import Settings

Row = dict[str, object]
NESTED = {
    "trades": frozenset({"fees"}),
    "signals": frozenset({"numbers", "forecast", "steps"}),
    "journal": frozenset({"body", "effects"}),
}


def main(args: Namespace, settings: Settings) -> int:
    """Print one table; 0. Raises StoreUnusable where there is nothing to read."""
    path = folder_of(settings.home, mode_to_read(settings.home, settings.mode)) / MAIN_FILE
    rows = table_rows(path, args.what)
    if args.format == "csv":
        write_csv(sys.stdout, columns(path, args.what), rows)
    else:
        write_json(sys.stdout, rows, NESTED.get(args.what, frozenset()))
    return 0


def write_csv(out: TextIO, names: list[str], rows: Iterator[Row]) -> None:
    """A header and a line a row."""
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def write_json(out: TextIO, rows: Iterator[Row], nested: frozenset[str]) -> None:
    """An array, a line a row."""
    before = "["
    for row in rows:
        plain = {name: _opened(value) if name in nested else value for name, value in row.items()}
        out.write(f"{before}\n{json.dumps(plain)}")
        before = ","
    out.write("[]\n" if before == "[" else "\n]\n")


def _opened(text: object) -> object:
    return json.loads(text) if isinstance(text, str) else text
