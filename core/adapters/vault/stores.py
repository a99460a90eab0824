"""Where the sealed document lies: an item of the system's keyring, or a file of the state folder.

Rule 1: a store holds one document and exchanges it whole; nobody ever sees half of one.
Rule 2: neither store is trusted: what comes out of it is proven by the vault's key.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from core.adapters import private_file
from core.adapters.vault.keyrings import Keyring

StoreKind = Literal["keyring", "file"]
FILE_NAME = "vault.sealed"


class Store(Protocol):
    """One place for one document."""

    @property
    def kind(self) -> StoreKind:
        """The word for this sort of place."""

    def read(self) -> bytes | None:
        """The document, None where there is none. Raises NeedsOwner or StoreUnusable."""

    def write(self, data: bytes) -> None:
        """Put ``data`` in its place. Raises NeedsOwner or StoreUnusable."""


class FileStore:
    """A file that only this user may read."""

    kind: StoreKind = "file"

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME

    def read(self) -> bytes | None:
        """What the file holds."""
        return private_file.read(self._path)

    def write(self, data: bytes) -> None:
        """Replace the file."""
        private_file.write(self._path, data)


class KeyringStore:
    """An item of the keyring, named after the installation."""

    kind: StoreKind = "keyring"

    def __init__(self, install: str, keyring: Callable[[], Keyring]) -> None:
        self._item = f"vault-{install}"
        self._keyring = keyring

    def read(self) -> bytes | None:
        """What the item holds."""
        text = self._keyring().get(self._item)
        return None if text is None else text.encode()

    def write(self, data: bytes) -> None:
        """Replace the item."""
        self._keyring().put(self._item, data.decode("ascii"))
