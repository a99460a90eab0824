"""A passphrase made into a key, at a price that keeps guessing dear.

Rule 1: a passphrase becomes a key by Argon2id at no less than a floor, whatever a header says; too dear is refused too,
        for the header is read before it can be proven.
Rule 2: what the key costs is bound into it: with other parameters, or at another installation, it is another key.
"""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from core.adapters.vault.kek import KEY_BYTES, FromPassphrase, Kek
from core.domain.errors import NeedsOwner, StoreUnusable
from core.setting_kinds import Secret

SALT_BYTES = 16
PASSPHRASE_MIN = 12


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a passphrase costs: memory in KiB, passes over it, lanes beside each other."""

    memory_kib: int
    passes: int
    lanes: int


FLOOR = Cost(memory_kib=64 << 10, passes=3, lanes=1)
WANTED = Cost(memory_kib=256 << 10, passes=3, lanes=4)
CEILING = Cost(memory_kib=4 << 20, passes=64, lanes=64)


def derived(passphrase: Secret, source: FromPassphrase, install: str) -> Kek:
    """The key of a passphrase; takes half a second and up to 256 MiB. Raises NeedsOwner when memory is short."""
    text = unicodedata.normalize("NFC", passphrase.reveal()).encode()
    bound = f"firstmate vault 1 {install}".encode()
    try:
        argon = Argon2id(
            salt=source.salt,
            length=KEY_BYTES,
            iterations=source.passes,
            lanes=source.lanes,
            memory_cost=source.memory_kib,
            ad=bound,
        )
        return Kek(argon.derive(text))
    except MemoryError:
        needed = source.memory_kib >> 10
        raise NeedsOwner(f"Opening the vault takes {needed} MiB of free memory: free some and try again.") from None


def require_cost(source: FromPassphrase, floor: Cost) -> None:
    """Refuse what makes guessing cheap, or opening impossibly dear. Raises StoreUnusable."""
    cost = (source.memory_kib, source.passes, source.lanes)
    low = (floor.memory_kib, floor.passes, floor.lanes)
    high = (CEILING.memory_kib, CEILING.passes, CEILING.lanes)
    if len(source.salt) != SALT_BYTES or any(
        not at_least <= c <= at_most for at_least, c, at_most in zip(low, cost, high, strict=True)
    ):
        raise StoreUnusable(
            "The vault's passphrase is protected less than firstmate allows, so somebody changed it: move the files"
            " vault.* away, then bring back a sealed export with `./run keys import-sealed FILE`, or set new keys."
        )


def affordable(free_kib: int) -> Cost:
    """256 MiB where twice as much is free, else half or a quarter of it; never below the floor."""
    memory = WANTED.memory_kib
    while memory > FLOOR.memory_kib and free_kib < 2 * memory:
        memory //= 2
    return Cost(memory, WANTED.passes, WANTED.lanes)


def memory_free_kib() -> int:
    """Memory that can be had, in KiB; 0 where the system does not say."""
    try:
        said = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
        if said:
            return int(said[1])
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 11  # half of what is built in
    except (OSError, ValueError):
        return 0


def require_long(passphrase: Secret) -> None:
    """Pass a new passphrase that is long enough. Raises NeedsOwner."""
    if len(passphrase.reveal()) < PASSPHRASE_MIN:
        raise NeedsOwner(
            f"That passphrase is too short: take {PASSPHRASE_MIN} characters or more, best five words or so."
        )


def fresh(passphrase: Secret | None, install: str, cost: Cost | None, floor: Cost) -> tuple[FromPassphrase, Kek]:
    """The key of a new passphrase, at ``cost`` or what this machine affords. Raises NeedsOwner, StoreUnusable."""
    if passphrase is None:
        raise NeedsOwner("A passphrase is needed: run this in a terminal, or give it by --passphrase-fd.")
    require_long(passphrase)
    cost = cost or affordable(memory_free_kib())
    source = FromPassphrase(secrets.token_bytes(SALT_BYTES), cost.memory_kib, cost.passes, cost.lanes)
    require_cost(source, floor)
    return source, derived(passphrase, source, install)
