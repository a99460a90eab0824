"""`firstmate audit`: who did what, and the proof that nothing of it was changed; reads beside a running assistant.

Rule 1: `verify` computes every row again and exits 1 at the first that does not fit, or when a head that was noted
        before is not in the chain: then rows were cut from its end or made anew.
Rule 2: `head` prints what to note, somewhere this machine cannot write to; it computes nothing.
"""

from __future__ import annotations

import json
import re
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

from core.adapters import audit
from core.adapters.folders import MAIN_FILE, folder_of, mode_to_read
from core.domain.errors import BadData
from core.domain.market import from_ms
from core.settings import Settings

LAST = 20
COLUMNS = ("seq", "at_ms", "actor", "what", "subject", "details", "prev", "hash")


def main(args: Namespace, settings: Settings) -> int:
    """Print what was asked for; 0, or 1 by Rule 1. Raises BadData, StoreUnusable."""
    _require_fitting(args)
    mode = mode_to_read(settings.home, settings.mode)
    path = folder_of(settings.home, mode) / MAIN_FILE
    if args.what == "verify":
        return _verify(mode, path, args.head or "")
    if args.what == "head":
        rows, newest = audit.head_of(path)
        print(f"{newest}  {mode}, {rows:,} rows")
        return 0
    for row in audit.newest(path, args.last or LAST):
        print(_as_json(row) if args.json else _as_text(row))
    return 0


def _require_fitting(args: Namespace) -> None:
    """Pass when every flag belongs to what was asked for. Raises BadData."""
    belong = {"head": "verify", "last": "show", "json": "show"}
    for flag, what in belong.items():
        if getattr(args, flag) and args.what != what:
            raise BadData(f"--{flag} belongs to `./run audit {what}`.")
    if args.head and not re.fullmatch(r"[0-9a-fA-F]{64}", args.head):
        raise BadData("--head takes the 64 hex digits that `./run audit head` printed.")


def _verify(mode: str, path: Path, noted: str) -> int:
    found = audit.verify(path, noted)
    print(f"{mode}: {found.rows:,} audit rows")
    print(f"head {found.head or 'none'}")
    if found.broken_at is not None:
        where = f"row {found.broken_at}" if found.broken_at else "the table"
        print(f"BROKEN at {where}: {found.fault}")
    elif noted and found.noted_at is None:
        print("BROKEN: the head you noted is not in this chain: rows were cut from its end, or it was made anew")
    else:
        print("every row follows from the one before it" + _since(found, noted))
    sound = found.broken_at is None and (found.noted_at is not None or not noted)
    return 0 if sound else 1


def _since(found: audit.Audited, noted: str) -> str:
    """How the chain went on after the head that was noted."""
    if not noted or found.noted_at is None:
        return ""
    return f"; the head you noted is row {found.noted_at}, {found.rows - found.noted_at:,} follow it"


def _as_text(row: audit.Row) -> str:
    seq, at_ms, *words = row[:6]
    try:
        moment = f"{from_ms(at_ms):%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError, OverflowError):  # forged: verify will say so, the rest can still be shown
        moment = str(at_ms)
    return "  ".join([f"{seq:>6}", *(_printable(word) for word in (moment, *words))])


def _printable(word: object) -> str:
    """Text that cannot steer a terminal."""
    text = str(word)
    return text if text.isprintable() else ascii(text)[1:-1]


def _as_json(row: audit.Row) -> str:
    shown: dict[str, object] = dict(zip(COLUMNS, row, strict=True))
    with suppress(TypeError, ValueError):  # forged, so no JSON: it is shown as it is
        shown["details"] = json.loads(row[5])
    return json.dumps(shown, default=repr)
