"""One secret in its envelope: sealed by a key of its own, which the vault's key wraps.

Rule 1: a data key and both nonces are fresh for every sealing and never used again.
Rule 2: both seals are bound to format, installation, key and where it comes from, record, field and version (the
        additional data of AES-GCM), and each to its end: nothing opens in another place or as another version.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.adapters.vault.kek import KEY_BYTES, Kek, Source

NONCE_BYTES = 12
FORMAT = 1


class Sealed(msgspec.Struct, frozen=True):
    """A secret's two ciphertexts with their nonces; useless without the vault's key."""

    key_nonce: bytes
    key: bytes
    nonce: bytes
    text: bytes


@dataclass(frozen=True, slots=True)
class Spot:
    """The one place where an envelope opens."""

    install: str
    key_id: str
    source: Source
    record: str
    field: str
    version: int

    def bound(self, end: str) -> bytes:
        """The additional data of one of the two seals."""
        place = (self.record, self.field, self.version)
        return msgspec.json.encode([FORMAT, self.install, self.key_id, self.source, *place, end])


def seal(text: str, spot: Spot, kek: Kek) -> Sealed:
    """``text`` in an envelope that opens at ``spot`` alone."""
    data_key, key_nonce, nonce = secrets.token_bytes(KEY_BYTES), _nonce(), _nonce()
    wrapped = AESGCM(kek.derive("wrap")).encrypt(key_nonce, data_key, spot.bound("key"))
    return Sealed(key_nonce, wrapped, nonce, AESGCM(data_key).encrypt(nonce, text.encode(), spot.bound("text")))


def unseal(sealed: Sealed, spot: Spot, kek: Kek) -> str | None:
    """What was sealed at ``spot``; None when anything about it was changed."""
    try:
        data_key = AESGCM(kek.derive("wrap")).decrypt(sealed.key_nonce, sealed.key, spot.bound("key"))
        return AESGCM(data_key).decrypt(sealed.nonce, sealed.text, spot.bound("text")).decode()
    except (InvalidTag, ValueError):  # ValueError: a nonce or a key of an impossible length
        return None


def _nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)
