"""Pairing: who may become the owner, decided from the codes people send.

Rule 1: pure: who sent which code when in, how it stands out; seconds are of a clock that never steps back.
Rule 2: a code is for one person: as soon as a second one sends it nobody gets it, whoever was first.
Rule 3: TRIES_MAX wrong codes, whoever sent them, or VALID_S seconds make it worthless; what is void stays void.
Rule 4: codes are compared in constant time.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum

from core.adapters.redaction import printable

VALID_S = 600.0
TRIES_MAX = 5
CODE_CHARS = 14
ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # 55 that nobody mistakes for each other: 81 bits
NAME_MAX = 60


class Standing(StrEnum):
    """How a pairing stands; it can go on only from OPEN and CLAIMED."""

    OPEN = "open"
    CLAIMED = "claimed"
    CONFLICT = "conflict"
    TRIED_OUT = "tried out"
    TOO_LATE = "too late"


@dataclass(frozen=True, slots=True)
class Claimer:
    """Who sent the code: the numeric Telegram id, and the name as it may be shown."""

    user_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """One code, until when it is good, how many wrong ones came, and who sent the right one."""

    code: str
    until: float
    wrong: int = 0
    claimers: tuple[Claimer, ...] = ()


def begin(now: float) -> Pairing:
    """A pairing with a code nobody knows yet."""
    return Pairing("".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS)), now + VALID_S)


def standing(pairing: Pairing, now: float) -> Standing:
    """How it stands."""
    if len(pairing.claimers) > 1:
        return Standing.CONFLICT
    if pairing.wrong >= TRIES_MAX:
        return Standing.TRIED_OUT
    if now >= pairing.until:
        return Standing.TOO_LATE
    return Standing.CLAIMED if pairing.claimers else Standing.OPEN


def heard(pairing: Pairing, who: Claimer, code: str, now: float) -> Pairing:
    """The pairing after somebody sent a code."""
    right = hmac.compare_digest(code.encode(errors="replace"), pairing.code.encode())
    if standing(pairing, now) not in (Standing.OPEN, Standing.CLAIMED):
        return pairing
    if not right:
        return replace(pairing, wrong=pairing.wrong + 1)
    if any(claimer.user_id == who.user_id for claimer in pairing.claimers):
        return pairing
    return replace(pairing, claimers=(*pairing.claimers, who))


def shown_name(*parts: str | None) -> str:
    """A name fit for a terminal: nothing in it moves the cursor, turns the reading direction or runs on for ever."""
    text = " ".join(" ".join(part for part in parts if part).split())
    return printable(text)[:NAME_MAX] or "(no name)"
