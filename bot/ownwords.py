"""Whose words a message holds (what its sender typed just now, and nobody else's), and what of them may be kept.

Rule 1: digits that may be a code of an authenticator app are kept nowhere, whatever words stand around them.
"""

from __future__ import annotations

import re

from aiogram.types import Message

from core.adapters.redaction import redact

CODE_MASK = "******"
_CODES = re.compile(r"(?<!\d)(?:\d{3}[\s-]{0,2}\d{3}|\d{2}[\s-]\d{2}[\s-]\d{2})(?!\d)")

# any of these on a message says that somebody or something else has a part in its words
BORROWED = (
    "sender_chat",
    "sender_business_bot",
    "business_connection_id",
    "forward_origin",
    "forward_date",
    "is_automatic_forward",
    "via_bot",
    "guest_query_id",
    "guest_bot_caller_user",
    "guest_bot_caller_chat",
    "edit_date",
)


def own_words(message: Message) -> bool:
    """Whether its sender typed this: nothing forwarded, edited, sent through a bot, or in the name of a chat."""
    return not any(getattr(message, name, None) for name in BORROWED)


def keepable(text: str) -> str:
    """``text`` without secrets, and a mask for whatever may be a code (or is a price of six digits): "code ******"."""
    return _CODES.sub(CODE_MASK, redact(text))  # the secrets first: without its digits none would be found
