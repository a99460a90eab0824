"""The bot's token goes to the server in the settings and nowhere else, whatever that server answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bot.slim  # noqa: F401, before whatever imports aiogram

# isort: split

import pytest
from aiogram import Bot
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.chatline import ChatLine
from core.adapters.httpline import ANSWER_MOST

TOKEN = "424242:FAKE-TOKEN-for-tests"


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    """A server that lets ``handle`` answer everything."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(url: str) -> AsyncIterator[Bot]:
    """A bot that talks to the server there, as the program's does."""
    talker = Bot(TOKEN, session=ChatLine(api=TelegramAPIServer.from_base(url), timeout=5))
    try:
        yield talker
    finally:
        await talker.session.close()


async def test_a_plain_answer_arrives() -> None:
    """The line is aiogram's own in everything else."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "result": {"id": 1, "is_bot": True, "first_name": request.path}})

    async with server(handle) as url, talking(url) as talker:
        assert (await talker.get_me()).first_name == f"/bot{TOKEN}/getMe"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_token_follows_no_redirect(status: int) -> None:
    """Nothing arrives where the server points to, and the refusal does not repeat the token."""
    stolen: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        stolen.append(request.path)
        return web.json_response({"ok": True, "result": []})

    async with server(thief) as other:

        async def lure(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": other + request.path_qs})

        async with server(lure) as url, talking(url) as talker:
            for call in (talker.get_updates(), talker.send_message(77, "hello"), talker.get_me()):
                with pytest.raises(TelegramNetworkError, match="another address") as refused:
                    await call
                assert TOKEN not in str(refused.value)
    assert stolen == []


async def test_updates_without_end_are_cut_off() -> None:
    """A server cannot fill this machine's memory with one answer."""
    sent = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(1024):
            await response.write(b" " * (1 << 20))
            sent += 1 << 20
        return response

    async with server(handle) as url, talking(url) as talker:
        with pytest.raises(TelegramNetworkError, match="longer than 8 MiB"):
            await talker.get_updates()
    assert sent < 4 * ANSWER_MOST


async def test_updates_nested_beyond_reason_are_no_updates() -> None:
    """They are refused like any other text that is no answer."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text='{"ok":true,"result":' + "[" * 1_000_000, content_type="application/json")

    async with server(handle) as url, talking(url) as talker:
        with pytest.raises(ClientDecodeError):
            await talker.get_updates()
