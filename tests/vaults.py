"""A vault with made-up secrets, opened by a credential as a service manager would hand it over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.adapters.vault import Unlock, create_vault, exists, open_vault
from core.adapters.vault.unlocking import CREDENTIAL
from core.setting_kinds import Secret


def sealed(home: Path, records: Mapping[str, Mapping[str, str]], credentials: Path | None = None) -> dict[str, str]:
    """The environment in which a process opens the vault of ``home``, which holds ``records`` from now on."""
    folder = credentials or home.parent / "credentials"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CREDENTIAL).exists():
        (folder / CREDENTIAL).write_text("5a" * 32)
        (folder / CREDENTIAL).chmod(0o400)
    unlock = Unlock(credentials=folder)
    vault = open_vault(home, unlock) if exists(home) else create_vault(home, unlock, "credential", "file")
    for record, fields in records.items():
        vault.put(record, {name: Secret(text) for name, text in fields.items()})
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def exchange(mode: str, key: str, secret: str) -> dict[str, dict[str, str]]:
    """The record of an exchange's key for testnet or live."""
    return {f"exchange-{mode}": {"key": key, "secret": secret}}
