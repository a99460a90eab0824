"""An HTTP session that goes where it was sent and nowhere else, and swallows no more than an answer can be.

Rule 1: a redirect is never followed: no key and no token leaves for an address that is not in the settings.
Rule 2: of an answer, unpacked, no more than ANSWER_MOST bytes are ever held; a longer one is no answer.
Rule 3: nothing a server says is kept for the next request: there are no cookies.
Rule 4: what is raised names no address, for an address may hold the bot's token.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

ANSWER_MOST = 8 << 20


class LineFault(aiohttp.ClientError):
    """An answer that is not taken; its text is fit for a person."""


class Redirected(LineFault):
    """The server sent us to another address."""


class TooLong(LineFault):
    """The answer is longer than any we ask for."""


def session(
    connector: aiohttp.BaseConnector | None = None, headers: Mapping[str, str] | None = None
) -> aiohttp.ClientSession:
    """A session over ``connector``, or over one of its own."""
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        middlewares=(_stay,),
        response_class=_Bounded,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _stay(request: aiohttp.ClientRequest, ask: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """The answer to one request, provided that it is one."""
    response = await ask(request)
    if 300 <= response.status < 400:
        response.close()
        raise Redirected(f"it sent us to another address (HTTP {response.status}), which is never followed")
    return response


class _Bounded(aiohttp.ClientResponse):
    """A response whose body ends at ANSWER_MOST, whatever its headers promise and however it is packed."""

    async def read(self) -> bytes:
        """The whole body. Raises TooLong."""
        if self._body is None:
            try:
                self._body = await self._pieces()
            except BaseException:
                self.close()
                raise
        return await super().read()

    async def _pieces(self) -> bytes:
        body = bytearray()
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > ANSWER_MOST:
                raise TooLong(f"its answer is longer than {ANSWER_MOST >> 20} MiB")
        return bytes(body)
