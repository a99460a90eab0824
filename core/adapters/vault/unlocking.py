"""The three places a vault's key can come from: found where the header says, or made and kept there.

Rule 1: the header of a vault says which place; nothing else is tried in its stead.
Rule 2: what lies in such a place is judged before it is used: a key has 32 bytes, and others may not read it.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.adapters.vault import passphrase as passphrases
from core.adapters.vault.kek import (
    KEY_BYTES,
    FromCredential,
    FromKeyring,
    FromPassphrase,
    Kek,
    KekKind,
    Source,
    kind_of,
)
from core.adapters.vault.keyrings import Keyring, known_good
from core.adapters.vault.passphrase import FLOOR, Cost
from core.domain.errors import NeedsOwner
from core.setting_kinds import Secret

CREDENTIAL = "firstmate-vault-key"
NEXT_CREDENTIAL = f"{CREDENTIAL}.next"


@dataclass(frozen=True, slots=True)
class Unlock:
    """How this process comes by the key of a vault: a folder of credentials, a keyring, somebody who types.

    ``passphrase`` gets the words to ask with. ``floor`` is lowered by tests alone, which cannot wait.
    """

    credentials: Path | None = None
    passphrase: Callable[[str], Secret] | None = None
    keyring: Callable[[], Keyring] = known_good
    floor: Cost = FLOOR


def unlock_here(passphrase: Callable[[str], Secret] | None = None) -> Unlock:
    """The ways of this process: the folder systemd names in CREDENTIALS_DIRECTORY, the keyring, and ``passphrase``."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Unlock(credentials=Path(folder) if folder else None, passphrase=passphrase)


def found(source: Source, install: str, key_id: str, unlock: Unlock) -> Kek:
    """The key that a header asks for. Raises NeedsOwner where it is not to be had, StoreUnusable for a weak header."""
    match source:
        case FromKeyring():
            kept = unlock.keyring().get(_item(install, key_id))
            if kept is None:
                raise NeedsOwner("The keyring does not hold this vault's key: use the session in which it was set.")
            candidates = [_from_hex(kept)]
        case FromCredential():
            candidates = [_read_credential(path) for path in _credentials(unlock)]
        case FromPassphrase():
            passphrases.require_cost(source, unlock.floor)
            candidates = [passphrases.derived(_asked(unlock), source, install)]
    for kek in candidates:
        if hmac.compare_digest(kek.key_id(install), key_id):
            return kek
    raise NeedsOwner(f"This {kind_of(source)} does not open the vault: give the one it was closed with.")


def fresh(
    kind: KekKind,
    install: str,
    unlock: Unlock,
    passphrase: Secret | None = None,
    cost: Cost | None = None,
    old_id: str = "",
) -> tuple[Source, Kek]:
    """A key other than ``old_id`` to close a vault with, kept where it will be looked for. Raises NeedsOwner."""
    match kind:
        case "keyring":
            kek = Kek(secrets.token_bytes(KEY_BYTES))
            unlock.keyring().put(_item(install, kek.key_id(install)), kek.hex())
            return FromKeyring(), kek
        case "credential":
            return FromCredential(), _other_credential(unlock, install, old_id)
        case "passphrase":
            return passphrases.fresh(passphrase, install, cost, unlock.floor)


def forget(kind: KekKind, install: str, key_id: str, unlock: Unlock) -> None:
    """Let go of a key no vault needs any more, where it is ours to remove."""
    if kind == "keyring":
        unlock.keyring().forget(_item(install, key_id))


def _asked(unlock: Unlock) -> Secret:
    if unlock.passphrase is None:
        raise NeedsOwner(
            "The vault is locked: start in a terminal to type its passphrase, or give it by --passphrase-fd."
        )
    return unlock.passphrase("Passphrase of the vault")


def _credentials(unlock: Unlock) -> list[Path]:
    """The credentials that are there, the one in use first. Raises NeedsOwner where there is none."""
    folder = unlock.credentials
    there = [path for name in (CREDENTIAL, NEXT_CREDENTIAL) if folder and (path := folder / name).is_file()]
    if not there:
        raise NeedsOwner(
            f"The credential {CREDENTIAL} is missing: start through systemd with LoadCredentialEncrypted={CREDENTIAL}."
        )
    return there


def _other_credential(unlock: Unlock, install: str, old_id: str) -> Kek:
    """The credential to close with: the one that is there, or beside one in use already the next."""
    for path in _credentials(unlock):
        kek = _read_credential(path)
        if kek.key_id(install) != old_id:
            return kek
    raise NeedsOwner(f"The new key is missing: give it as the credential {NEXT_CREDENTIAL}, beside {CREDENTIAL}.")


def _read_credential(path: Path) -> Kek:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise NeedsOwner(f"The credential {path} may be read by everybody: `chmod 400 {path}`, and change it.")
            data = file.read(KEY_BYTES * 4)
    except OSError as error:
        raise NeedsOwner(f"The credential {path} cannot be read: {error.strerror}.") from error
    if len(data) == KEY_BYTES:
        return Kek(data)
    if re.fullmatch(rb"[0-9a-fA-F]{64}\r?\n?", data):
        return Kek(bytes.fromhex(data.decode().strip()))
    raise NeedsOwner(f"The credential {path.name} is no key: it holds 32 random bytes, or 64 hex digits.")


def _from_hex(text: str) -> Kek:
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise NeedsOwner("What the keyring holds as this vault's key is none: bring back a sealed export.")
    return Kek(bytes.fromhex(text))


def _item(install: str, key_id: str) -> str:
    return f"vault-key-{install}-{key_id}"
