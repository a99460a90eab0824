"""Where each mode's state lies, and which mode a command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.folders import MAIN_FILE, folder_of, mode_to_fill, mode_to_read, modes_in
from core.domain.errors import StoreUnusable


def lived(home: Path, *modes: str) -> None:
    """State folders in which something was kept."""
    for mode in modes:
        folder_of(home, mode).mkdir(parents=True)
        (folder_of(home, mode) / MAIN_FILE).touch()


def test_folders_put_aside_are_no_modes(tmp_path: Path):
    """An earlier demo is the owner's to keep, no command reads it."""
    lived(tmp_path, "paper", "demo", "demo.1")
    assert modes_in(tmp_path) == ["demo", "paper"]


@pytest.mark.parametrize("mode", ["demo", "paper"])
def test_the_configured_mode_is_read_where_it_lived(tmp_path: Path, mode: str):
    """The settings decide between two accounts."""
    lived(tmp_path, "demo", "paper")
    assert mode_to_read(tmp_path, mode) == mode


def test_the_only_one_that_lived_needs_no_naming(tmp_path: Path):
    """A folder with nothing but bars in it does not count."""
    lived(tmp_path, "demo")
    folder_of(tmp_path, "paper").mkdir()
    assert [mode_to_read(tmp_path, mode) for mode in ("unset", "paper", "demo")] == ["demo"] * 3


def test_nothing_is_guessed(tmp_path: Path):
    """No state, or two and no choice, is one sentence each."""
    with pytest.raises(StoreUnusable, match="no state yet"):
        mode_to_read(tmp_path, "demo")
    lived(tmp_path, "demo", "paper")
    with pytest.raises(StoreUnusable, match="demo, paper: say which"):
        mode_to_read(tmp_path, "live")


def test_bars_are_kept_where_they_are_traded_on():
    """A demo plays its own market, so what is fetched meanwhile is for paper trading."""
    assert [mode_to_fill(mode) for mode in ("demo", "unset", "paper", "live")] == ["paper", "paper", "paper", "live"]
