"""`firstmate migrate`: every database of the state folder brought up to date, each after a backup.

Rule 1: only what exists is touched, and nothing under a running assistant.
Rule 2: a database of a newer version, or a damaged one, is refused before anything in it changes.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from core.adapters import statelock
from core.adapters.folders import FAMILIES, folder_of, modes_in
from core.adapters.migrate import migrate
from core.settings import Settings


def main(args: Namespace, settings: Settings) -> int:
    """Say what was applied; 0. Raises StoreUnusable or AlreadyRunning."""
    found = databases(settings.home)
    if not found:
        print(f"{settings.home} holds no database yet: there is nothing to do.")
        return 0
    with statelock.hold(settings.home):
        for path, family in found:
            applied = migrate(path, family)
            what = f"applied {', '.join(applied)}" if applied else "up to date"
            print(f"{path.parent.name}/{path.name}: {what}", flush=True)
    return 0


def databases(home: Path) -> list[tuple[Path, str]]:
    """Every database there is, with its family."""
    places = [(folder_of(home, mode) / name, family) for mode in modes_in(home) for family, name in FAMILIES.items()]
    return [(path, family) for path, family in places if path.is_file()]
