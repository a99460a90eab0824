"""The server as a process of its own: found by its address, killed, started again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.sim.chat.server import ChatServer, serve

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
ALONE = "import asyncio, sys, pathlib; from core.sim.chat.server import serve; "
ALONE += f"asyncio.run(serve(0, {TOKEN!r}, {OWNER}, pathlib.Path(sys.argv[1])))"


async def call(url: str, method: str, **params: Any) -> Any:
    """What the Bot API gives."""
    async with aiohttp.ClientSession() as http, http.post(f"{url}/bot{TOKEN}/{method}", json=params) as answer:
        body = await answer.json()
    assert body["ok"], body
    return body["result"]


@contextlib.asynccontextmanager
async def alone(log: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """A chat server in its own process: the process, the bot's address, the page's address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ALONE, str(log), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            first, second = [(await process.stdout.readline()).decode() for _ in range(2)]
        found = [re.search(r"http://\S+", line) for line in (first, second)]
        assert found[0] is not None
        assert found[1] is not None
        yield process, found[0].group(), found[1].group()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def write_on_the_page(page: str, text: str) -> None:
    """The owner opens the link, writes and sees the message."""
    url = page.split("/?")[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await (await http.get(page)).release()
        async with http.ws_connect(f"{url}/ws", headers={"Origin": url}) as socket:
            assert (await socket.receive_json())["t"] == "all"
            await socket.send_json({"do": "say", "text": text})
            assert (await socket.receive_json())["message"]["text"] == text


async def test_a_killed_server_delivers_what_was_not_confirmed(tmp_path: Path):
    """After kill -9 the owner's command is still there for the bot, and the bot's message for the owner."""
    log = tmp_path / "chat.jsonl"
    async with alone(log) as (process, url, page):
        await write_on_the_page(page, "/pause")
        (before,) = await call(url, "getUpdates")
        sent = await call(url, "sendMessage", chat_id=OWNER, text="Pausing")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with alone(log) as (_, url, page):
        assert await call(url, "getUpdates") == [before]
        again = await call(url, "sendMessage", chat_id=OWNER, text="Paused")
        await write_on_the_page(page, "/resume")
        _, after = await call(url, "getUpdates")
    assert after["update_id"] == before["update_id"] + 1
    assert again["message_id"] == sent["message_id"] + 1


async def test_serving_alone_prints_addresses_and_hides_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Both addresses are printed, the token's secret part is not, and a used link is followed by a new one."""
    serving = asyncio.create_task(serve(0, TOKEN, OWNER, None))
    printed = ""
    while "page:" not in printed:
        await asyncio.sleep(0.01)
        printed += capsys.readouterr().out
    page = re.search(r"http://\S+\?t=\S+", printed)
    assert page is not None
    assert "FAKE-TOKEN" not in printed
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await (await http.get(page.group())).release()
    assert "?t=" in capsys.readouterr().out
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_a_taken_port_and_a_strange_token_are_refused():
    """Each is one clear error and nothing keeps running."""
    with pytest.raises(ValueError, match="123456:LETTERS"):
        ChatServer("token", OWNER)
    first = ChatServer(TOKEN, OWNER)
    await first.start()
    port = int(first.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="address already in use"):
        await ChatServer(TOKEN, OWNER).start(port=port)
    await first.stop()


async def test_waiting_for_a_message_in_vain_tells_what_was_there():
    """A test that waits too long reads the last messages in its error."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    server.say("something else")
    with pytest.raises(TimeoutError, match="something else"):
        await server.wait_message(lambda m: m.from_bot, 0.01)
    await server.stop()


async def test_a_disk_that_refuses_is_told_to_the_bot(tmp_path: Path):
    """A picture that cannot be stored is answered with 500 and nothing is sent."""
    server = ChatServer(TOKEN, OWNER, path=tmp_path / "chat.jsonl")
    await server.start()
    shutil.rmtree(tmp_path / "chat_files")
    form = aiohttp.FormData({"chat_id": str(OWNER)})
    form.add_field("document", b"x", filename="x.txt")
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/bot{TOKEN}/sendDocument", data=form) as answer:
        assert (answer.status, (await answer.json())["error_code"]) == (500, 500)
    assert not server.messages()
    await server.stop()
