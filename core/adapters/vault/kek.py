"""The key-encryption key of a vault, and the words by which a header says where it comes from.

Rule 1: the key itself is never used twice for different ends: wrapping, proving and naming have keys derived from it.
Python cannot wipe memory: while a vault is open its key is in this process, and in a core dump of it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Literal, NoReturn

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.adapters.redaction import conceal

KekKind = Literal["keyring", "credential", "passphrase"]

KEY_BYTES = 32


class FromKeyring(msgspec.Struct, frozen=True, tag="keyring"):
    """A random key kept in the keyring of the operating system."""


class FromCredential(msgspec.Struct, frozen=True, tag="credential"):
    """A key that the service manager hands over in a folder of its own."""


class FromPassphrase(msgspec.Struct, frozen=True, tag="passphrase"):
    """A key derived from what the owner types."""

    salt: bytes
    memory_kib: int
    passes: int
    lanes: int


Source = FromKeyring | FromCredential | FromPassphrase


class Kek:
    """A key of 256 bits that prints as stars and is not pickled."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        conceal(raw.hex())
        self._raw = raw

    def derive(self, end: str, length: int = KEY_BYTES) -> bytes:
        """A key for one end, of ``length`` bytes."""
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=f"firstmate vault {end}".encode()).derive(
            self._raw
        )

    def key_id(self, install: str) -> str:
        """Sixteen hex digits that tell the keys of one installation apart and give nothing away."""
        return self.derive(f"key id {install}", 8).hex()

    def mac(self, end: str, data: bytes) -> str:
        """Proof (64 hex digits) that whoever wrote ``data`` to this end had the key."""
        return hmac.new(self.derive(f"mac {end}"), data, sha256).hexdigest()

    def hex(self) -> str:
        """The key itself, for the keyring."""
        return self._raw.hex()

    def __repr__(self) -> str:
        return "Kek(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere")


def kind_of(source: Source) -> KekKind:
    """The word for where a key comes from."""
    match source:
        case FromKeyring():
            return "keyring"
        case FromCredential():
            return "credential"
        case FromPassphrase():
            return "passphrase"
