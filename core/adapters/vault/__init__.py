"""The vault: exchange keys, bot token and seed, sealed one by one; who opens it says how by an ``Unlock``.

vault = open_vault(home, unlock_here())           # systemd credential or keyring; NeedsOwner where it stays locked
secret = vault.reveal("exchange-live", "secret")  # Secret, or None; concealed from the logs
"""

from core.adapters.vault.document import Tampered
from core.adapters.vault.kek import KekKind
from core.adapters.vault.passphrase import Cost
from core.adapters.vault.secret_kinds import RECORDS, concealed, kind_of_secret
from core.adapters.vault.stores import StoreKind
from core.adapters.vault.unlocking import Unlock, unlock_here
from core.adapters.vault.vault import Listed, Vault, create_vault, exists, open_vault

__all__ = [
    "RECORDS",
    "Cost",
    "KekKind",
    "Listed",
    "StoreKind",
    "Tampered",
    "Unlock",
    "Vault",
    "concealed",
    "create_vault",
    "exists",
    "kind_of_secret",
    "open_vault",
    "unlock_here",
]
