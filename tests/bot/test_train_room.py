"""Where a training keeps its rows meanwhile: gone afterwards, whoever ended it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from bot.commands import train


def test_rows_that_a_killed_training_left_are_removed_by_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Tens of megabytes a night; what belongs to a training that runs, or to something else, stays."""
    with subprocess.Popen(["true"]) as gone:
        pass
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = [f"firstmate-train-{pid}-x" for pid in (gone.pid, os.getpid(), "mine")]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.npy").write_bytes(b"rows")
    with train.room() as folder:
        assert folder.is_dir()
        assert [(tmp_path / name).exists() for name in names] == [False, True, True]
    assert not folder.exists()
