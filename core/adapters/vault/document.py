"""A vault as one text: header, sealed records, and the proof that none of it was changed.

Rule 1: there is one way to write a document; bytes that would not be written again just so are refused.
Rule 2: the last line proves all bytes before it by the vault's key: no record can be taken out, put in or exchanged.
Rule 3: until it is proven, only the header is believed, and of it only where to look for the key.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from core.adapters.vault.envelope import FORMAT, Sealed, Spot, seal, unseal
from core.adapters.vault.kek import Kek, Source
from core.domain.errors import StoreUnusable
from core.setting_kinds import Secret

Plain = Mapping[str, Mapping[str, Secret]]
"""Secrets by record and field."""


class Tampered(StoreUnusable):
    """A vault that is not as it was closed; nothing of it is used."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"The vault was changed, damaged or put back ({what}): move the files vault.* away, then bring back a"
            " sealed export with `./run keys import-sealed FILE`, or set new keys."
        )


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose vault it is and which key opens it."""

    format: int
    install: str
    key_id: str
    source: Source


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record: the vault's version when it was set, the time, and its fields."""

    version: int
    at: datetime
    fields: dict[str, Sealed]


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vault; ``version`` grows by one with every change."""

    header: Header
    version: int
    records: dict[str, Kept]


def written(document: Document, kek: Kek) -> bytes:
    """The document with its proof."""
    body = _body(document)
    return body + b"\n" + kek.mac("document", body).encode() + b"\n"


def parsed(data: bytes) -> Document:
    """The document in ``data``, not proven yet. Raises Tampered."""
    body, newline, proof = data.partition(b"\n")
    try:
        document = msgspec.json.decode(body, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Tampered("it cannot be read") from None
    if document.header.format != FORMAT:
        raise Tampered("its format is not known here")
    if _body(document) != body or not newline or len(proof) != 65 or proof[-1:] != b"\n":
        raise Tampered("it is not as it was written")
    return document


def require_proof(data: bytes, kek: Kek) -> None:
    """Refuse ``data`` unless every byte is as it was written. Raises Tampered."""
    body, _, proof = data.partition(b"\n")
    if not hmac.compare_digest(kek.mac("document", body).encode() + b"\n", proof):
        raise Tampered("its proof does not fit")


def kept(header: Header, record: str, fields: Mapping[str, Secret], version: int, at: datetime, kek: Kek) -> Kept:
    """One record with every field sealed at its spot."""
    spots = {field: _spot(header, record, field, version) for field in fields}
    return Kept(version, at, {field: seal(fields[field].reveal(), spot, kek) for field, spot in spots.items()})


def opened(document: Document, record: str, field: str, kek: Kek) -> Secret | None:
    """One secret, or None where there is no such field. Raises Tampered."""
    found = document.records.get(record)
    if found is None or field not in found.fields:
        return None
    header = document.header
    text = unseal(found.fields[field], _spot(header, record, field, found.version), kek)
    if text is None:
        raise Tampered(f"{record} {field} does not open")
    return Secret(text)


def all_opened(document: Document, kek: Kek) -> dict[str, dict[str, Secret]]:
    """Every secret by record and field. Raises Tampered."""
    plain: dict[str, dict[str, Secret]] = {}
    for record, field in places(document):
        secret = opened(document, record, field, kek)
        if secret is not None:
            plain.setdefault(record, {})[field] = secret
    return plain


def places(document: Document) -> Iterator[tuple[str, str]]:
    """Record and field of every secret, in order."""
    for record in sorted(document.records):
        for field in sorted(document.records[record].fields):
            yield record, field


def resealed(document: Document, header: Header, version: int, old: Kek, new: Kek) -> Document:
    """The same secrets under another header and key, each sealed anew. Raises Tampered."""
    plain = all_opened(document, old)
    records = {
        name: kept(header, name, plain.get(name, {}), was.version, was.at, new)
        for name, was in document.records.items()
    }
    return Document(header, version, records)


def _spot(header: Header, record: str, field: str, version: int) -> Spot:
    return Spot(header.install, header.key_id, header.source, record, field, version)


def _body(document: Document) -> bytes:
    return msgspec.json.encode(document, order="deterministic")
