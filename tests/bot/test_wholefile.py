"""A file somebody asked for is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.wholefile import whole
from core.domain.errors import BadData, NeedsOwner


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path):
    """Whoever reads meanwhile reads the old one; afterwards nothing else is left."""
    path = tmp_path / "page.html"
    path.write_text("old")
    with whole(path, "--page") as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path):
    """One sentence that names the option, and no half of a file beside it."""
    path = tmp_path / "page.html"
    path.write_text("old")
    with (
        pytest.raises(NeedsOwner, match=r"cannot be written \(No space left\): name another file by --page"),
        whole(path, "--page"),
    ):
        raise OSError(28, "No space left")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(tmp_path: Path):
    """It stays a folder, and nothing is left beside it."""
    (tmp_path / "place").mkdir()
    with pytest.raises(NeedsOwner, match="cannot be written"), whole(tmp_path / "place", "--csv") as file:
        file.write("rows")
    assert [one.name for one in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("cut", [KeyboardInterrupt(), BadData("a bar that cannot be")])
def test_what_was_cut_off_leaves_nothing_beside(tmp_path: Path, cut: BaseException):
    """Interrupted, or refused in the middle: the old file stands, and half of the new one is gone."""
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(type(cut)), whole(path, "--csv"):
        raise cut
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path):
    """A device or a pipe, /dev/null for one: whoever is root would have a file in its place."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(NeedsOwner, match="it is no plain file"), whole(path, "--page") as file:
        file.write("new")
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]
