"""A vault without a waiting room: a keyring in memory, a folder of credentials, and passphrases that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.adapters.vault import Cost, KekKind, StoreKind, Unlock, Vault, create_vault
from core.adapters.vault.keyrings import Keyring
from core.adapters.vault.unlocking import CREDENTIAL
from core.setting_kinds import Secret

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
PASSPHRASE = Secret("FAKE passphrase for tests")
NEW_PASSPHRASE = Secret("FAKE other passphrase for tests")
TOKEN = Secret("1:FAKE-TOKEN-for-tests")
KEY = Secret("FAKE-KEY-for-tests")
SECRET = Secret("FAKE-SECRET-for-tests")


@dataclass
class KeyringInMemory:
    """A backend that keeps texts until it is asked to lose them."""

    kept: dict[str, str] = field(default_factory=dict)

    def get_password(self, service: str, username: str) -> str | None:
        """The text kept under a name."""
        return self.kept.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a text."""
        self.kept[f"{service}/{username}"] = password

    def delete_password(self, service: str, username: str) -> None:
        """Forget a text."""
        del self.kept[f"{service}/{username}"]

    def keks(self) -> list[str]:
        """Names of the keys kept."""
        return [name for name in self.kept if "vault-key-" in name]


@dataclass
class Ways:
    """Every way to a key at once; ``typed`` is what somebody types when asked."""

    folder: Path
    backend: KeyringInMemory = field(default_factory=KeyringInMemory)
    typed: Secret = PASSPHRASE

    def credential(self, digits: str, name: str = CREDENTIAL) -> None:
        """Hand over a key made of two hex digits."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(digits * 32)
        path.chmod(0o400)

    @property
    def unlock(self) -> Unlock:
        """What a process is given."""
        return Unlock(self.folder, lambda _: self.typed, lambda: Keyring(self.backend, 5.0), CHEAP)


def ways(tmp_path: Path) -> Ways:
    """Every way, with a credential in place."""
    made = Ways(tmp_path / "credentials")
    made.credential("a1")
    return made


def made(home: Path, way: Ways, kek: KekKind = "credential", store: StoreKind = "file") -> Vault:
    """A vault with two records in it."""
    vault = create_vault(home, way.unlock, kek, store, PASSPHRASE if kek == "passphrase" else None, CHEAP)
    vault.put("telegram", {"token": TOKEN})
    vault.put("exchange-live", {"key": KEY, "secret": SECRET})
    return vault


def whole(vault: Vault) -> bool:
    """Whether every secret that ``made`` put in comes out."""
    shown = [vault.reveal("telegram", "token"), vault.reveal("exchange-live", "key")]
    return [*shown, vault.reveal("exchange-live", "secret")] == [TOKEN, KEY, SECRET] and vault.check() == 3
