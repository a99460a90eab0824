"""Whose words a message holds: what its sender typed just now, and nobody else's."""

from __future__ import annotations

from aiogram.types import Message

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
