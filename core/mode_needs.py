"""What each mode needs of the settings before it may start.

Rule 1: each lack is one line, "what: the fix"; nothing falls back to another mode.
Rule 2: a key or a token travels only where nobody can read it on the way, or not beyond this computer.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from core.adapters.owner import owner_of
from core.setting_kinds import is_loopback
from core.settings import PREFIX, Settings, SettingsWrong

KEY_RECORDS = {"testnet": "exchange-testnet", "live": "exchange-live"}
"""Where the vault keeps the key of each mode that trades by one."""


def require_runnable(settings: Settings) -> None:
    """Pass when `run` may start in this mode; else raise SettingsWrong with the fix.

    An assistant that was configured never falls back to a chat without a login.
    """
    lines = list(_missing(settings))
    if lines:
        raise SettingsWrong(lines)


def _missing(settings: Settings) -> Iterator[str]:
    if settings.mode == "unset":
        yield "Settings were found but no mode: start with `./run run --mode paper`, or try `./run demo`."
        return
    if settings.mode == "demo":
        return
    yield from chat_missing(settings)
    if settings.mode in KEY_RECORDS:
        yield from account_missing(settings)


def chat_missing(settings: Settings) -> Iterator[str]:
    """What is missing to talk to the owner, "what: the fix"."""
    if settings.telegram_token is None:
        yield (
            f"Mode {settings.mode} needs the bot's token: `./run keys set telegram` (BotFather gives one),"
            " or try `./run demo`."
        )
    if owner_of(settings) is None:
        yield (
            f"Mode {settings.mode} needs to know whom to obey: `./run pair` binds your Telegram account,"
            f" or set {PREFIX}OWNER_ID to your numeric Telegram id."
        )
    yield from chat_in_clear(settings)


def chat_in_clear(settings: Settings) -> Iterator[str]:
    """Why the bot's token, and what the owner says, would be read and changed on the way, "what: the fix"."""
    if urlsplit(settings.telegram_url).scheme == "http" and not is_loopback(settings.telegram_url):
        yield (
            f"The bot's token is not sent over http: write {PREFIX}TELEGRAM_URL with https://"
            " (http:// is for this computer only)."
        )


def account_missing(settings: Settings) -> Iterator[str]:
    """What is missing to trade at the exchange by a key, "what: the fix"."""
    mode = settings.mode
    if settings.api_key is None or settings.api_secret is None:
        place = "testnet.binance.vision" if mode == "testnet" else "Binance"
        yield f"Mode {mode} needs a key of the exchange: `./run keys set {KEY_RECORDS[mode]}` ({place} gives one)."
    rest = "testnet_url" if mode == "testnet" else "exchange_url"
    for name, url in ((rest, settings.rest_url), ("stream_url", settings.user_stream_url)):
        scheme = urlsplit(url).scheme
        if scheme in ("http", "ws") and not is_loopback(url):
            yield (
                f"Mode {mode} sends nothing about your key over {scheme}: write {PREFIX}{name.upper()} with {scheme}s://"
                f" ({scheme}:// is for this computer only)."
            )
