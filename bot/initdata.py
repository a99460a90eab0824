"""What Telegram says about whoever opened the Mini App: believed when signed, fresh and the owner's, else refused.

https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app

Rule 1: aiogram proves the signature; age, owner, form and a field said twice are looked at here.
Rule 2: why something was refused is for the log, in one word; whoever sent it learns only that it was.
Rule 3: what is proven is who opened it within the last hour: a page that acts on it has to ask once for each.
"""

from __future__ import annotations

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import structlog
from aiogram.utils.web_app import WebAppInitData, safe_parse_webapp_init_data

from core.domain.errors import BadData

AGE_MAX = timedelta(hours=1)
AHEAD_MAX = timedelta(seconds=60)
LENGTH_MAX = 4096
FIELDS_MAX = 20
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME = re.compile(r"\d{1,10}", re.ASCII)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """Who opened the Mini App, and when."""

    user_id: int
    at: datetime


def opened(init_data: str, token: str, owner_id: int, now: datetime) -> Opened:
    """The owner's opening of the Mini App of the bot with ``token``. Raises BadData for anybody's and anything else."""
    fault, found = _judged(init_data, token)
    if found is not None and found.user is not None:
        fault = _unfit(found, found.user.id, owner_id, now)
        if not fault:
            return Opened(found.user.id, found.auth_date)
    log.warning("an opening of the Mini App was refused", why=fault or "nobody")
    raise BadData("This page could not be opened: open it again from the chat.")


def _judged(init_data: str, token: str) -> tuple[str, WebAppInitData | None]:
    """What was signed by Telegram for this bot, or in a word why it was not."""
    if not token or len(init_data) > LENGTH_MAX:
        return "length", None
    try:
        pairs = parse_qsl(init_data, keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX)
        if not _well_formed(pairs):
            return "form", None
        return "", safe_parse_webapp_init_data(token, init_data)
    except (ValueError, TypeError, RecursionError):
        return "signature", None


def _well_formed(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether each field is there once and has a value, and the two that count look as they must."""
    said = dict(pairs)
    fits = _HASH.fullmatch(said.get("hash", "")) and _TIME.fullmatch(said.get("auth_date", ""))
    return len(said) == len(pairs) and all(said.values()) and fits is not None


def _unfit(found: WebAppInitData, user_id: int, owner_id: int, now: datetime) -> str:
    """Why what was truly signed is refused all the same, in a word; empty when it is not."""
    if user_id != owner_id:
        return "stranger"
    return "" if -AHEAD_MAX <= now - found.auth_date <= AGE_MAX else "age"
