"""The key-encryption key of a vault, and the three places it can come from.

Rule 1: the header of a vault says which place; nothing else is tried in its stead.
Rule 2: a passphrase becomes a key by Argon2id at no less than a floor, whatever the header says; too dear is refused
        too, for the header is read before it can be proven.
Rule 3: the key itself is never used twice for different ends: wrapping, proving and naming have keys derived from it.
Python cannot wipe memory: while a vault is open its key is in this process, and in a core dump of it.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, NoReturn

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.adapters.redaction import conceal
from core.adapters.vault.keyrings import Keyring, known_good
from core.domain.errors import NeedsOwner, StoreUnusable
from core.setting_kinds import Secret

KekKind = Literal["keyring", "credential", "passphrase"]

KEY_BYTES = 32
SALT_BYTES = 16
CREDENTIAL = "firstmate-vault-key"
NEXT_CREDENTIAL = f"{CREDENTIAL}.next"
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


def kind_of(source: Source) -> KekKind:
    """The word for where a key comes from."""
    match source:
        case FromKeyring():
            return "keyring"
        case FromCredential():
            return "credential"
        case FromPassphrase():
            return "passphrase"


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
            require_cost(source, unlock.floor)
            candidates = [derived(_asked(unlock), source, install)]
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
            return _from_passphrase(passphrase, install, cost or affordable(memory_free_kib()), unlock.floor)


def forget(kind: KekKind, install: str, key_id: str, unlock: Unlock) -> None:
    """Let go of a key no vault needs any more, where it is ours to remove."""
    if kind == "keyring":
        unlock.keyring().forget(_item(install, key_id))


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
            " vault.* away, then bring back a sealed export with `firstmate keys import-sealed FILE`, or set new keys."
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


def _from_passphrase(passphrase: Secret | None, install: str, cost: Cost, floor: Cost) -> tuple[Source, Kek]:
    if passphrase is None:
        raise NeedsOwner("A passphrase is needed: run this in a terminal, or give it by --passphrase-fd.")
    require_long(passphrase)
    source = FromPassphrase(secrets.token_bytes(SALT_BYTES), cost.memory_kib, cost.passes, cost.lanes)
    require_cost(source, floor)
    return source, derived(passphrase, source, install)


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
