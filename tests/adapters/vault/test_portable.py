"""A sealed export travels; what is not one, or not whole, is not taken in."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.vault import create_vault, open_vault, portable
from core.domain.errors import BadData, NeedsOwner, StoreUnusable
from tests.adapters.vault.rig import CHEAP, NEW_PASSPHRASE, PASSPHRASE, SECRET, Ways, made, ways, whole


def exported(tmp_path: Path, way: Ways) -> Path:
    """An export of a vault of this machine."""
    portable.export(made(tmp_path / "here", way), tmp_path / "export", NEW_PASSPHRASE, CHEAP)
    return tmp_path / "export"


def test_an_export_opens_on_another_machine_by_its_passphrase_alone(tmp_path: Path):
    """Without the keyring or the credential it was made with, and although others may read the copy."""
    file = exported(tmp_path, ways(tmp_path))
    file.chmod(0o644)
    (tmp_path / "there").mkdir()
    there = ways(tmp_path / "there")
    there.credential("c3")
    vault = create_vault(tmp_path / "there", there.unlock, "credential", "file")
    portable.take_in(vault, portable.read_export(file, NEW_PASSPHRASE, there.unlock))
    assert whole(open_vault(tmp_path / "there", there.unlock))
    assert SECRET.reveal().encode() not in file.read_bytes()


def test_an_export_with_any_byte_flipped_is_refused(tmp_path: Path):
    """Before anything of it is kept."""
    way = ways(tmp_path)
    file = exported(tmp_path, way)
    before = file.read_bytes()
    for at in range(0, len(before), 7):
        file.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
        with pytest.raises((BadData, NeedsOwner, StoreUnusable)):
            portable.read_export(file, NEW_PASSPHRASE, way.unlock)


def test_the_wrong_passphrase_of_an_export_is_said_to_be_wrong(tmp_path: Path):
    """And names the file."""
    way = ways(tmp_path)
    with pytest.raises(NeedsOwner, match="does not open export"):
        portable.read_export(exported(tmp_path, way), PASSPHRASE, way.unlock)


def test_an_export_brings_no_old_key_back_unseen(tmp_path: Path):
    """A record that is there is never replaced, and then no other is taken in either."""
    way = ways(tmp_path)
    file = exported(tmp_path, way)
    vault = open_vault(tmp_path / "here", way.unlock)
    vault.remove("telegram")
    with pytest.raises(BadData, match="has exchange-live already"):
        portable.take_in(vault, portable.read_export(file, NEW_PASSPHRASE, way.unlock))
    assert vault.reveal("telegram", "token") is None


def test_a_vault_is_no_export(tmp_path: Path):
    """Its key lies elsewhere; the line says how an export is made."""
    way = ways(tmp_path)
    exported(tmp_path, way)
    with pytest.raises(BadData, match="export-sealed"):
        portable.read_export(tmp_path / "here" / "vault.sealed", PASSPHRASE, way.unlock)
