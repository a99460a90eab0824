"""The REST gate: aiohttp's requests to the face and its answers back; what breaks the line breaks the connection.

Rule 1: nothing is decided here; every answer comes from the line that was put in.
"""

from __future__ import annotations

from aiohttp import web

from core.sim.exchange.face import JSON, Ask, Line

BODY_MOST = 64 * 1024


class RestGate:
    """Answers REST requests over one line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to any path; a line that breaks leaves the client without one."""
        body = (await request.read()).decode("utf-8", "replace") if request.can_read_body else ""
        query = request.raw_path.partition("?")[2]
        ask = Ask(request.method, request.path, query, body, request.headers.get("X-MBX-APIKEY", ""))
        try:
            reply = await self._line.ask(ask)
        except OSError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # nobody is there to read it
        return web.Response(
            body=reply.body, status=reply.status, headers=reply.headers, content_type=JSON, charset="utf-8"
        )
