"""The high-water mark: the lowest version of the vault that is still believed, kept apart from the vault.

Rule 1: a vault older than its mark, or without one, was put back by somebody and is refused.
Rule 2: while keys change there is an entry for each, so that a change cut short leaves a vault that opens; either key
        proves the whole mark, so that nothing is done on the word of an entry somebody added.
Rule 3: the mark is written after the vault: a cut between the two leaves a mark that is behind, which the next opening
        brings forward.
What this cannot see: an older vault and its older mark put back together, as by restoring the whole state folder (where
the records lie in the keyring: the state folder and the keyring). Only a counter outside this machine could.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.adapters import private_file
from core.adapters.vault.document import Header, Tampered
from core.adapters.vault.envelope import FORMAT
from core.adapters.vault.kek import Kek, KekKind, kind_of
from core.adapters.vault.stores import StoreKind

FILE_NAME = "vault.mark"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version below which nothing is believed that this key closed, and this key's proof of the whole mark."""

    key_id: str
    kind: KekKind
    version: int
    proof: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A vault as one key closed it."""

    header: Header
    version: int
    kek: Kek


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the vault lies, and its version by key."""

    format: int
    install: str
    store: StoreKind
    entries: tuple[Entry, ...]


def read(home: Path) -> Mark | None:
    """The mark of this state folder, not proven yet; None where there is none. Raises Tampered or StoreUnusable."""
    data = private_file.read(home / FILE_NAME)
    if data is None:
        return None
    try:
        mark = msgspec.json.decode(data, type=Mark)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Tampered(f"{FILE_NAME} cannot be read") from None
    if _bytes(mark) != data or mark.format != FORMAT:
        raise Tampered(f"{FILE_NAME} is not as it was written")
    return mark


def write(home: Path, mark: Mark) -> None:
    """Replace the mark. Raises StoreUnusable."""
    private_file.write(home / FILE_NAME, _bytes(mark))


def mark_of(store: StoreKind, *closed: Closed) -> Mark:
    """The mark of one vault, proven by each of the keys that closed it."""
    install = closed[0].header.install
    said = [Entry(one.header.key_id, kind_of(one.header.source), one.version, "") for one in closed]
    bound = _bound(install, store, said)
    entries = [
        Entry(e.key_id, e.kind, e.version, by.kek.mac("mark", bound)) for e, by in zip(said, closed, strict=True)
    ]
    return Mark(FORMAT, install, store, tuple(entries))


def held_something(mark: Mark) -> bool:
    """Whether anything was ever sealed beside this mark; a beginning cut short leaves one that says version 0."""
    return any(one.version > 0 for one in mark.entries)


def proven(mark: Mark | None, header: Header, kek: Kek) -> int:
    """The version below which this vault is not believed, after all of the mark was proven. Raises Tampered."""
    if mark is None:
        raise Tampered(f"{FILE_NAME} is missing")
    proof = kek.mac("mark", _bound(mark.install, mark.store, mark.entries)).encode()
    ours = [one for one in mark.entries if one.key_id == header.key_id and mark.install == header.install]
    for said in ours:
        if hmac.compare_digest(proof, said.proof.encode()):
            return said.version
    raise Tampered(f"{FILE_NAME} does not belong to it")


def _bound(install: str, store: StoreKind, entries: Sequence[Entry]) -> bytes:
    """What a proof covers: everything but the proofs."""
    said = [value for one in entries for value in (one.key_id, one.kind, one.version)]
    return msgspec.json.encode([FORMAT, install, store, *said])


def _bytes(mark: Mark) -> bytes:
    return msgspec.json.encode(mark) + b"\n"
