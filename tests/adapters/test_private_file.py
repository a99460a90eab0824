"""Files for this user alone, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.adapters import private_file
from core.domain.errors import NeedsOwner, StoreUnusable


def test_a_file_is_replaced_whole_and_stays_private(tmp_path: Path):
    """Whatever the mask of the process and the mode of the file before."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    before = os.umask(0)
    try:
        private_file.write(path, b"new")
    finally:
        os.umask(before)
    assert private_file.read(path) == b"new"
    assert [(one.name, one.stat().st_mode & 0o777) for one in tmp_path.iterdir()] == [("a", 0o600)]


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A full disk loses nothing, and leaves no half file."""
    path = tmp_path / "a"
    private_file.write(path, b"old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnusable, match="No space left"):
        private_file.write(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("a", b"old")]


def test_a_link_is_neither_followed_nor_written_through(tmp_path: Path):
    """Nobody leads us to another file."""
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    (tmp_path / "b.part").symlink_to(tmp_path / "target")
    with pytest.raises(StoreUnusable, match="it is a link"):
        private_file.read(tmp_path / "a")
    with pytest.raises(StoreUnusable):
        private_file.write(tmp_path / "b", b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path):
    """A pipe in the place of a vault does not hang the start."""
    os.mkfifo(tmp_path / "a", 0o600)
    with pytest.raises(StoreUnusable, match="is not a file"):
        private_file.read(tmp_path / "a")


def test_a_file_larger_than_any_vault_is_refused(tmp_path: Path):
    """It is not read into memory first."""
    with (tmp_path / "a").open("wb") as file:
        file.truncate(private_file.BYTES_MAX + 1)
    (tmp_path / "a").chmod(0o600)
    with pytest.raises(StoreUnusable, match="larger"):
        private_file.read(tmp_path / "a")


def test_a_new_file_never_replaces_another(tmp_path: Path):
    """An export does not overwrite yesterday's."""
    private_file.create(tmp_path / "a", b"old")
    with pytest.raises(NeedsOwner, match="there already"):
        private_file.create(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
