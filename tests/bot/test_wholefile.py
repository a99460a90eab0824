"""A file somebody asked for is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.wholefile import whole
from core.domain.errors import NeedsOwner


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
