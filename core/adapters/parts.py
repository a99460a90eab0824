"""The newest state as rows, one a field and for mappings one a key, so that a commit writes only what changed.

Rule 1: what ``step`` did not touch is the same object before and after; identity tells what to write.
Rule 2: a mapping comes back in the order it had: rows are read in rowid order, a changed order rewrites the mapping.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from core.adapters.codec import encode
from core.domain.errors import FirstmateError, InvariantBroken
from core.domain.state import State

Statement = tuple[str, list[tuple[Any, ...]]]

_CLEAR = "DELETE FROM state_parts"
_DROP = "DELETE FROM state_parts WHERE part = ? AND key = ?"
_PUT = "INSERT INTO state_parts VALUES (?, ?, ?) ON CONFLICT (part, key) DO UPDATE SET body = excluded.body"

_hints = get_type_hints(State)
_mapped = {f.name for f in fields(State) if get_origin(_hints[f.name]) is Mapping}
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    f.name: msgspec.json.Decoder(get_args(_hints[f.name])[1] if f.name in _mapped else _hints[f.name])
    for f in fields(State)
}


def differences(before: State | None, after: State) -> list[Statement]:
    """SQL that turns the rows of ``before`` into those of ``after``; without ``before`` all rows are written anew."""
    if before is None:
        return [(_CLEAR, [()]), (_PUT, list(_all_rows(after)))]
    gone: list[tuple[Any, ...]] = []
    put: list[tuple[Any, ...]] = []
    for name in _decoders:
        old, new = getattr(before, name), getattr(after, name)
        if new is old:
            continue
        if name in _mapped:
            _compare(name, old, new, gone, put)
        else:
            put.append((name, "", encode(new).decode()))
    return [(_DROP, gone), (_PUT, put)]


def _all_rows(state: State) -> Iterator[tuple[str, str, str]]:
    for name in _decoders:
        value = getattr(state, name)
        for key, body in value.items() if name in _mapped else (("", value),):
            yield name, key, encode(body).decode()


def _compare(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], gone: list[tuple[Any, ...]], put: list[tuple[Any, ...]]
) -> None:
    kept = [key for key in old if key in new]
    in_place = kept == list(new)[: len(kept)]
    gone.extend((name, key) for key in old if key not in new or not in_place)
    put.extend(
        (name, key, encode(value).decode())
        for key, value in new.items()
        if not in_place or key not in old or old[key] is not value
    )


def load(con: sqlite3.Connection) -> State | None:
    """The state the rows hold, or None before the first commit. Raises InvariantBroken on rows it cannot read."""
    values: dict[str, Any] = {name: {} for name in _mapped}
    for part, key, body in con.execute("SELECT part, key, body FROM state_parts ORDER BY rowid"):
        if part in _mapped:
            values[part][key] = _decode(part, body)
        elif part in _decoders:
            values[part] = _decode(part, body)
    return State(**values) if "seq" in values else None


def _decode(part: str, body: str) -> Any:
    try:
        return _decoders[part].decode(body)
    except (ValueError, TypeError, RecursionError, FirstmateError) as error:
        raise InvariantBroken(f"the stored state cannot be read ({part}: {error})") from error
