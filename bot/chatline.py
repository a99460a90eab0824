"""The line to the Bot API server: aiogram's own, over a session that follows no redirect and has bounds.

Rule 1: every request names the bot's token in its address: it goes to the server in the settings or nowhere.
"""

from __future__ import annotations

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

from aiogram.client.session.aiohttp import AiohttpSession
from aiohttp import ClientSession

from core.adapters.httpline import session


class ChatLine(AiohttpSession):
    """aiogram's session over ours."""

    async def create_session(self) -> ClientSession:
        """The one session there is, made when it is first needed."""
        if self._should_reset_connector:
            await self.close()
        if self._session is None or self._session.closed:
            self._session = session(self._connector_type(**self._connector_init))
            self._should_reset_connector = False
        return self._session
