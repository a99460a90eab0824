"""The secrets of a mode, fetched from the vault into its settings, once, at a start.

Rule 1: where there is a vault it is opened, or the start says how it could be; nothing is tried in its stead.
Rule 2: a mode gets its own secrets and no others; paper and the demo trade without any.
Rule 3: with real money even the bot's token comes from the vault alone.
Rule 4: whatever was taken out is named, for the audit, by its record and a fingerprint.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bot.hidden_input import ask
from core.adapters.permits import fingerprint
from core.adapters.vault import Vault, exists, open_vault, unlock_here
from core.domain.errors import NeedsOwner
from core.mode_needs import KEY_RECORDS
from core.setting_kinds import Secret
from core.settings import PREFIX, Settings

PASSPHRASE_OPTION = "--passphrase-fd"


@dataclass(frozen=True, slots=True)
class Use:
    """A record that gave a secret; ``details``: its fingerprint, when it was sealed, the address it is sent to."""

    record: str
    details: Mapping[str, object]


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


def uses(vault: Vault | None, given: Settings, *ready: Settings) -> list[Use]:
    """What ``ready`` has out of the vault, a record once; ``given`` is what was known before."""
    sealed = {one.record: one.at for one in vault.records()} if vault else {}
    found: dict[str, Use] = {}
    for record, secret, url in (place for mine in ready for place in _places(mine)):
        if record in sealed and secret is not None and secret is not given.telegram_token:
            details = {"key": fingerprint(secret.reveal()), "sealed": sealed[record]}
            found.setdefault(record, Use(record, {**details, "url": url} if url else details))
    return list(found.values())


def _places(ready: Settings) -> Iterator[tuple[str, Secret | None, str]]:
    """Record and secret of each thing a start may take, and where that is sent; a seed is sent nowhere."""
    yield KEY_RECORDS.get(ready.mode, ""), ready.api_key, ready.rest_url
    yield "telegram", ready.telegram_token, ready.telegram_url
    yield "totp", ready.totp_seed, ""
