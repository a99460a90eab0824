"""The last look at what leaves for the chat: no message carries a secret, whoever wrote it.

Rule 1: every text and caption of every request is redacted; one that had to be loses its formatting, for the places of
        the formatting no longer fit.
"""

from __future__ import annotations

from typing import Any

import structlog
from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.methods import Response, TelegramMethod
from aiogram.methods.base import TelegramType

from core.adapters.redaction import redact

FORMATTED_BY = {"text": "entities", "caption": "caption_entities"}
log = structlog.get_logger()


class Discretion(BaseRequestMiddleware):
    """Redacts every outgoing message."""

    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        """Make the request, without secrets."""
        return await make_request(bot, discreet(method))


def discreet(method: TelegramMethod[TelegramType]) -> TelegramMethod[TelegramType]:
    """The request itself, or its copy with the secrets taken out."""
    changes: dict[str, Any] = {}
    for words, formatting in FORMATTED_BY.items():
        text = getattr(method, words, None)
        cleaned = redact(text) if isinstance(text, str) else text
        if cleaned != text:
            changes |= {words: cleaned}
            changes |= {formatting: None} if getattr(method, formatting, None) else {}
    if not changes:
        return method
    log.error("a message was about to carry a secret", method=method.__api_method__)
    return method.model_copy(update=changes)
