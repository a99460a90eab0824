"""Whom the bot obeys: one Telegram account, bound by pairing, or set by hand.

Rule 1: the setting wins where it is set; the binding is a file in the state folder and can be changed on this machine
        only (``firstmate pair``).
Rule 2: what is bound is the numeric id, which is that of the private chat too; the name is for people to read.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from core.adapters import jsonfile
from core.settings import Settings

OWNER_FILE = "owner"


class Binding(msgspec.Struct, frozen=True):
    """Who was bound, under which name, and when."""

    user_id: int
    name: str
    at: datetime


def bound(home: Path) -> Binding | None:
    """Who is bound in this state folder."""
    found = jsonfile.read(home / OWNER_FILE, Binding)
    return found if found and found.user_id > 0 else None


def bind(home: Path, owner: Binding) -> None:
    """Obey this account from the next start on, durable before this returns."""
    jsonfile.write(home / OWNER_FILE, owner)


def owner_of(settings: Settings) -> int | None:
    """The numeric Telegram id of the one person obeyed, or None where nobody is."""
    if settings.owner_id is not None:
        return settings.owner_id
    found = bound(settings.home) if settings.home else None  # a demo that is put together may have no folder
    return found.user_id if found else None
