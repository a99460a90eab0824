"""Small files: read back as they were, and only if nobody else can have written them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.adapters import handover, jsonfile
from core.adapters.owner import OWNER_FILE, Binding, bind, bound, owner_of
from core.domain.errors import StoreUnusable
from core.settings import Settings
from tests.run.samples import START


def test_a_small_file_that_others_could_have_written_counts_as_nothing(tmp_path: Path):
    """Nor does one behind a link; a file of another shape neither."""
    path = tmp_path / "answer"
    jsonfile.write(path, handover.Answer("a", True))
    assert jsonfile.read(path, handover.Answer) == handover.Answer("a", True)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert jsonfile.read(link, handover.Answer) is None
    path.chmod(0o620)
    assert jsonfile.read(path, handover.Answer) is None
    assert jsonfile.read(tmp_path / "none", handover.Answer) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of somebody else")
def test_a_small_file_somebody_else_put_there_counts_as_nothing(tmp_path: Path):
    """In a folder that others may write to, an owner of their choice is none."""
    bind(tmp_path, Binding(666, "Thief", START))
    os.chown(tmp_path / OWNER_FILE, 12_345, 12_345)
    (tmp_path / OWNER_FILE).chmod(0o644)
    assert bound(tmp_path) is None
    os.chown(tmp_path, 12_345, 12_345)
    assert bound(tmp_path) == Binding(666, "Thief", START)


def test_the_owner_is_the_one_set_else_the_one_bound_else_nobody(tmp_path: Path):
    """A file that makes no sense binds nobody."""
    assert owner_of(Settings(home=tmp_path)) is None
    bind(tmp_path, Binding(77, "Ada", START))
    assert bound(tmp_path) == Binding(77, "Ada", START)
    assert owner_of(Settings(home=tmp_path)) == 77
    assert owner_of(Settings(home=tmp_path, owner_id=5)) == 5
    for damage in ("", '{"user_id": -100, "name": "", "at": "2026-01-01T00:00:00Z"}', '{"user_id": "77"}'):
        (tmp_path / OWNER_FILE).write_text(damage)
        assert owner_of(Settings(home=tmp_path)) is None


def test_a_folder_that_is_gone_is_one_clear_line(tmp_path: Path):
    """The file is named, nothing is half written."""
    with pytest.raises(StoreUnusable, match=r"answer cannot be written: No such file"):
        jsonfile.write(tmp_path / "gone" / "answer", handover.Answer("a", True))
    assert list(tmp_path.iterdir()) == []
