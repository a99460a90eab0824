"""The secrets of a mode, fetched from the vault into its settings, once, at a start.

Rule 1: where there is a vault it is opened, or the start says how it could be; nothing is tried in its stead.
Rule 2: a mode gets its own secrets and no others; paper and the demo trade without any.
Rule 3: with real money even the bot's token comes from the vault alone.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from bot.hidden_input import ask
from core.adapters.vault import Vault, exists, open_vault, unlock_here
from core.domain.errors import NeedsOwner
from core.mode_needs import KEY_RECORDS
from core.settings import PREFIX, Settings

PASSPHRASE_OPTION = "--passphrase-fd"


def opened(args: Namespace, settings: Settings) -> Vault | None:
    """The vault of this state folder, None where there is none. Raises NeedsOwner where it stays locked, Tampered."""
    if not exists(settings.home):
        return None
    return open_vault(settings.home, unlock_here(lambda what: ask(what, args.passphrase_fd, PASSPHRASE_OPTION)))


def armed(settings: Settings, vault: Vault | None) -> Settings:
    """These settings with the secrets of their mode. Raises NeedsOwner for a token in clear beside real money."""
    token = settings.telegram_token
    if settings.mode == "live" and token is not None:
        raise NeedsOwner(
            f"Mode live takes the bot's token from the vault alone: `./run keys set telegram`,"
            f" then remove {PREFIX}TELEGRAM_TOKEN from .env and the environment."
        )
    if vault is None:
        return settings
    record = KEY_RECORDS.get(settings.mode)
    return replace(
        settings,
        telegram_token=token or vault.reveal("telegram", "token"),
        api_key=vault.reveal(record, "key") if record else None,
        api_secret=vault.reveal(record, "secret") if record else None,
        totp_seed=vault.reveal("totp", "seed"),
    )


def on_the_way_to_live(settings: Settings, vault: Vault | None) -> Settings:
    """The settings that mode live would start with here, for a look at whether it could."""
    return armed(replace(settings, mode="live", telegram_token=None), vault)
