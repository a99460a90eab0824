"""Sealed exports: a vault under a passphrase, for a backup or another machine.

Rule 1: an export is proven and opened, every secret of it, before anything of it is kept.
Rule 2: it never replaces a record: an old export must not bring back an old key unseen.
"""

from __future__ import annotations

from pathlib import Path

from core.adapters import private_file
from core.adapters.vault import document as documents
from core.adapters.vault import passphrase as passphrases
from core.adapters.vault.document import Tampered
from core.adapters.vault.kek import FromPassphrase
from core.adapters.vault.passphrase import Cost
from core.adapters.vault.unlocking import Unlock
from core.adapters.vault.vault import Vault
from core.domain.errors import BadData, NeedsOwner
from core.setting_kinds import Secret

Secrets = dict[str, dict[str, Secret]]


def export(vault: Vault, path: Path, passphrase: Secret, cost: Cost | None = None) -> None:
    """Write everything, sealed under ``passphrase``, to a new file. Raises NeedsOwner or StoreUnusable."""
    private_file.create(path, vault.exported(passphrase, cost))


def read_export(path: Path, passphrase: Secret, unlock: Unlock) -> Secrets:
    """Every secret of an export, by record and field. Raises BadData, NeedsOwner or StoreUnusable."""
    data = private_file.read(path, shared=True)
    if data is None:
        raise BadData(f"There is no file {path}.")
    try:
        document = documents.parsed(data)
        header = document.header
        if not isinstance(header.source, FromPassphrase):
            raise BadData(f"{path.name} is a vault, not an export: make one with `./run keys export-sealed`.")
        passphrases.require_cost(header.source, unlock.floor)
        kek = passphrases.derived(passphrase, header.source, header.install)
        if kek.key_id(header.install) != header.key_id:
            raise NeedsOwner(f"That passphrase does not open {path.name}: give the one it was exported with.")
        documents.require_proof(data, kek)
        return documents.all_opened(document, kek)
    except Tampered:
        raise BadData(f"{path.name} was changed or damaged: take another copy of the export.") from None


def take_in(vault: Vault, secrets: Secrets) -> None:
    """Keep every record of an export, all or none. Raises BadData where one is there already."""
    there = [listed.record for listed in vault.records() if listed.record in secrets]
    if there:
        raise BadData(
            f"The vault has {there[0]} already: `./run keys remove {there[0]}` first, if the export is right."
        )
    vault.put_all(secrets)
