"""Where things lie in a state folder: one folder a mode, two databases in each.

Rule 1: each mode has its own, so that play money never meets real money.
Rule 2: a folder that was put aside (``demo.1``) is no mode's folder.
"""

from __future__ import annotations

from pathlib import Path

from core.domain.errors import StoreUnusable
from core.settings import MODES

MAIN_FILE = "firstmate.db"
BARS_FILE = "bars.db"
FAMILIES = {"main": MAIN_FILE, "bars": BARS_FILE}
TRADING_MODES = tuple(mode for mode in MODES if mode != "demo")


def folder_of(home: Path, mode: str) -> Path:
    """Where a mode keeps its state."""
    return home / mode


def modes_in(home: Path) -> list[str]:
    """Modes that have a folder here, in the order of MODES."""
    return [mode for mode in MODES if folder_of(home, mode).is_dir()]


def mode_to_read(home: Path, mode: str) -> str:
    """The mode whose state a reader means: ``mode`` where it has one, else the only one that has.

    Raises StoreUnusable where there is none, or more than one to choose from.
    """
    there = [name for name in MODES if (folder_of(home, name) / MAIN_FILE).is_file()]
    if mode in there:
        return mode
    if len(there) == 1:
        return there[0]
    if not there:
        raise StoreUnusable(f"{home} holds no state yet: start firstmate once, or name another folder by --state.")
    raise StoreUnusable(f"{home} holds the modes {', '.join(there)}: say which by FIRSTMATE_MODE.")


def mode_to_fill(mode: str) -> str:
    """The mode whose bar store imports and downloads go to: ``mode`` where it trades on real bars, else paper.

    A demo plays its own market and starts over in an empty folder, so bars for it would be lost.
    """
    return mode if mode in TRADING_MODES else "paper"
