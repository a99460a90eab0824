"""A vault whose writer had the key but moved an envelope is refused, and so is what was never so written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.vault import Tampered, open_vault
from core.adapters.vault import document as documents
from core.adapters.vault.document import Document
from tests.adapters.vault.rig import made, ways


def test_swapped_fields_do_not_open_even_under_a_fresh_proof(tmp_path: Path):
    """Key and secret exchanged, or a record under another's name."""
    way = ways(tmp_path)
    vault = made(tmp_path, way)
    document, kek = vault._document, vault._kek
    live = document.records["exchange-live"]
    swapped = msgspec.structs.replace(live, fields={"key": live.fields["secret"], "secret": live.fields["key"]})
    renamed = {"exchange-testnet": live}
    for records in ({"exchange-live": swapped}, renamed):
        wrong = msgspec.structs.replace(document, records=records)
        (tmp_path / "vault.sealed").write_bytes(documents.written(wrong, kek))
        with pytest.raises(Tampered, match="does not open"):
            open_vault(tmp_path, way.unlock).check()


def test_a_document_written_another_way_is_refused(tmp_path: Path):
    """Spaces, a field more or another order: there is one way to write it, so nothing can hide in between."""
    made(tmp_path, ways(tmp_path))
    data = (tmp_path / "vault.sealed").read_bytes()
    for wrong in (
        data.replace(b'"version":', b'"version": ', 1),
        data.replace(b'{"header"', b'{"more":1,"header"', 1),
        data.replace(b'"format":1', b'"format":2', 1),
        data.replace(b"\n", b"\r\n"),
        data[:-1],
    ):
        with pytest.raises(Tampered):
            documents.parsed(wrong)


@given(st.binary(max_size=400))
def test_no_bytes_at_all_are_more_than_refused(data: bytes):
    """Whatever lies in the place of a vault, the answer is one line."""
    with pytest.raises(Tampered):
        documents.parsed(data)


def test_what_is_nested_without_end_is_refused():
    """A file made to exhaust the reader ends with the same line."""
    with pytest.raises(Tampered):
        documents.parsed(b'{"header":' + b"[" * 200_000)


def test_the_same_document_is_always_the_same_bytes(tmp_path: Path):
    """Whatever order its records were put in."""
    document = made(tmp_path, ways(tmp_path))._document
    turned = Document(document.header, document.version, dict(reversed(document.records.items())))
    assert documents._body(turned) == documents._body(document)
