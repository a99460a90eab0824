"""The high-water mark: the lowest version of the vault that is still believed, kept apart from the vault.

Rule 1: a vault older than its mark, or without one, was put back by somebody and is refused.
Rule 2: an entry is proven by the key it is about; while keys change there is one for each, so that a change cut short
        leaves a vault that opens.
Rule 3: the mark is written after the vault: a cut between the two leaves a mark that is behind, which the next opening
        brings forward.
What this cannot see: an older vault and its older mark put back together, as by restoring the whole state folder (where
the records lie in the keyring: the state folder and the keyring). Only a counter outside this machine could.
"""

from __future__ import annotations

import hmac
from pathlib import Path

import msgspec

from core.adapters import private_file
from core.adapters.vault.document import Header, Tampered
from core.adapters.vault.envelope import FORMAT
from core.adapters.vault.kek import Kek, KekKind, kind_of
from core.adapters.vault.stores import StoreKind

FILE_NAME = "vault.mark"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version below which nothing is believed that this key closed."""

    key_id: str
    kind: KekKind
    version: int
    proof: str


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


def entry(header: Header, store: StoreKind, version: int, kek: Kek) -> Entry:
    """What is said of one key, with its proof."""
    kind = kind_of(header.source)
    return Entry(header.key_id, kind, version, _proof(header.install, store, header.key_id, kind, version, kek))


def mark_of(header: Header, store: StoreKind, *entries: Entry) -> Mark:
    """A mark of one vault."""
    return Mark(FORMAT, header.install, store, entries)


def proven(mark: Mark | None, header: Header, kek: Kek) -> int:
    """The version below which this vault is not believed. Raises Tampered."""
    if mark is None:
        raise Tampered(f"{FILE_NAME} is missing")
    for said in mark.entries:
        if said.key_id == header.key_id:
            proof = _proof(header.install, mark.store, said.key_id, said.kind, said.version, kek)
            if mark.install == header.install and hmac.compare_digest(proof.encode(), said.proof.encode()):
                return said.version
    raise Tampered(f"{FILE_NAME} does not belong to it")


def _proof(install: str, store: StoreKind, key_id: str, kind: KekKind, version: int, kek: Kek) -> str:
    return kek.mac("mark", msgspec.json.encode([FORMAT, install, store, key_id, kind, version]))


def _bytes(mark: Mark) -> bytes:
    return msgspec.json.encode(mark) + b"\n"
