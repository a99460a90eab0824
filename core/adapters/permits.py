"""The owner's leave to trade with real money, and the phrase that asks for it, as two small files.

Rule 1: a permit names the key it was given for by its fingerprint; with another key there is none.
Rule 2: neither file holds anything secret, and nobody but this user may read or write them (0600).
Rule 3: a file that cannot be read counts as none: whoever is in doubt asks the owner again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from core.adapters import jsonfile
from core.adapters.folders import folder_of
from core.adapters.statelock import prepare

PERMIT_FILE = "permit"
PHRASE_FILE = "go-live.phrase"
FINGERPRINT_DIGITS = 6


class Permit(msgspec.Struct, frozen=True):
    """Who allowed real money when, for which key, and what was checked then."""

    key: str
    by: str
    at: datetime
    checks: tuple[str, ...]


class Phrase(msgspec.Struct, frozen=True):
    """That the owner typed the phrase in the chat, and when."""

    at: datetime
    owner_id: int


def fingerprint(api_key: str) -> str:
    """Six hex digits that tell keys apart and give nothing away."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def permit(home: Path) -> Permit | None:
    """The permit for live in this state folder."""
    return jsonfile.read(folder_of(home, "live") / PERMIT_FILE, Permit)


def permit_fault(home: Path, api_key: str) -> str:
    """Why there is no leave to trade live with this key, "why: the fix"; empty where there is."""
    given, key = permit(home), fingerprint(api_key)
    if given is None:
        return "Mode live needs your leave first: `./run go-live` checks everything and asks for it."
    if given.key != key:
        return f"Your leave for mode live is for key {given.key} and the key set is {key}: `./run go-live` asks anew."
    return ""


def allow(home: Path, given: Permit) -> None:
    """Keep a permit, durable before this returns; live's folder is made, for its first start comes after."""
    jsonfile.write(prepare(folder_of(home, "live")) / PERMIT_FILE, given)


def phrase(home: Path) -> Phrase | None:
    """The phrase as it was typed last."""
    return jsonfile.read(home / PHRASE_FILE, Phrase)


def keep_phrase(home: Path, typed: Phrase) -> None:
    """Keep that the phrase was typed."""
    jsonfile.write(home / PHRASE_FILE, typed)


def forget_phrase(home: Path) -> None:
    """A phrase serves once."""
    (home / PHRASE_FILE).unlink(missing_ok=True)
