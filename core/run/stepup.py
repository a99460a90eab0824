"""The second proof before the stakes rise: how strong a proof is, and the six digits of an authenticator app, judged.

Rule 1: pure: seed, digits and time in, a verdict and the next state out; whoever keeps the state writes it down before
        acting on the verdict.
Rule 2: digits are good in their own half minute, the one before and the one after; no half minute is accepted twice,
        and none before one that was (RFC 6238, section 5.2).
Rule 3: after WRONG_MAX wrong ones in a row nothing is compared for LOCK, right or wrong.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from core.domain.errors import BadData

DIGITS, STEP_S, DRIFT_STEPS = 6, 30, 1
HASH = SHA1()  # nosec B303  # what every authenticator app computes; an HMAC leans on no lack of collisions
SEED_BYTES, SEED_BYTES_MIN = 20, 16
WRONG_MAX = 5
LOCK = timedelta(minutes=15)
ISSUER = "firstmate"
_CODE = re.compile(r"(\d{3})[ -]?(\d{3})", re.ASCII)


class Proof(StrEnum):
    """How the owner showed that a command is meant: a press in the chat, or something a stolen phone cannot give."""

    BUTTON = "button"
    CODE = "code"
    TERMINAL = "terminal"


class Verdict(StrEnum):
    """What became of six digits; LOCKS is the wrong one that locks, LOCKED whatever follows it."""

    RIGHT = "right"
    WRONG = "wrong"
    USED = "used"
    LOCKS = "locks"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Tries:
    """What is remembered: the last half minute accepted (-1: none), wrong ones in a row since, a lock's end."""

    last_step: int = -1
    wrong: int = 0
    locked_until: datetime | None = None

    def locked(self, now: datetime) -> bool:
        """Whether digits are refused unseen."""
        return self.locked_until is not None and now < self.locked_until


def judge(tries: Tries, step: int | None, now: datetime) -> tuple[Tries, Verdict]:
    """What to remember from now on and what to answer to digits of half minute ``step`` (None: of no valid one)."""
    if tries.locked(now):
        return tries, Verdict.LOCKED
    if step is not None and step > tries.last_step:
        return Tries(step), Verdict.RIGHT
    wrong = tries.wrong + 1
    if wrong >= WRONG_MAX:
        return Tries(tries.last_step, 0, now + LOCK), Verdict.LOCKS
    return replace(tries, wrong=wrong, locked_until=None), Verdict.WRONG if step is None else Verdict.USED


def matching_step(seed: str, code: str, now: datetime) -> int | None:
    """The newest half minute around ``now`` whose digits these are, counted since 1970. Raises BadData for the seed."""
    machine = TOTP(_key(seed), DIGITS, HASH, STEP_S)
    current = int(now.timestamp()) // STEP_S
    steps = range(max(0, current - DRIFT_STEPS), current + DRIFT_STEPS + 1)
    # every one is compared, whichever fits: the time taken tells nothing
    fits = [step for step in steps if hmac.compare_digest(machine.generate(step * STEP_S), code.encode())]
    return max(fits, default=None)


def code_in(text: str | None) -> str:
    """The six digits of a message that is nothing else ("123456", "123 456"), or empty."""
    found = _CODE.fullmatch((text or "").strip())
    return "".join(found.groups()) if found else ""


def new_seed() -> str:
    """A seed nobody has seen, 160 bits in base32, as authenticator apps take it."""
    return base64.b32encode(secrets.token_bytes(SEED_BYTES)).decode()


def otpauth_uri(seed: str, account: str) -> str:
    """The seed as a link for an authenticator app, which its QR code holds. Raises BadData."""
    return TOTP(_key(seed), DIGITS, HASH, STEP_S).get_provisioning_uri(account, ISSUER)


def _key(seed: str) -> bytes:
    """The bytes of a seed as people copy it: any case, blanks, no padding. Raises BadData, never quoting it."""
    plain = "".join(seed.split()).replace("-", "").rstrip("=").upper()
    try:
        key = base64.b32decode(plain + "=" * (-len(plain) % 8))
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SEED_BYTES_MIN:
        raise BadData(
            f"The seed of the authenticator app is not usable: base32, at least {SEED_BYTES_MIN} bytes."
            " Make a new one: ./run keys set totp."
        )
    return key
