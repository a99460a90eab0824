"""The web page, in a real browser and against strangers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from PIL import Image

from core.sim.chat.server import ChatServer
from tests.browser import Browser

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    """A chat server without a log."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    yield server
    await server.stop()


def picture() -> bytes:
    """A PNG of 2 x 2 pixels."""
    file = BytesIO()
    Image.new("RGB", (2, 2), "navy").save(file, "PNG")
    return file.getvalue()


async def call(server: ChatServer, method: str, **params: Any) -> Any:
    """What the Bot API answers."""
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/bot{TOKEN}/{method}", json=params) as answer:
        body = await answer.json()
    assert body["ok"], body
    return body["result"]


async def send_photo(server: ChatServer, **params: Any) -> Any:
    """A message with a small picture."""
    form = aiohttp.FormData(
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    )
    form.add_field("photo", picture(), filename="p.png")
    async with aiohttp.ClientSession() as http, http.post(f"{server.url}/bot{TOKEN}/sendPhoto", data=form) as answer:
        return (await answer.json())["result"]


def keys(*data: str) -> dict[str, Any]:
    """One row of inline buttons."""
    return {"inline_keyboard": [[{"text": each.title(), "callback_data": each} for each in data]]}


async def test_the_owner_reads_writes_and_presses_in_a_real_browser(server: ChatServer, tmp_path: Path):
    """Formatted text, a written message, a pressed button, its toast and the edit all show in chromium."""
    async with Browser(tmp_path) as browser:
        await call(server, "setMyCommands", commands=[{"command": "status", "description": "How things stand"}])
        sent = await call(
            server,
            "sendMessage",
            chat_id=OWNER,
            text="<b>Buy</b> 😀 <code>fm-1</code> <a href='https://example.org/x'>link</a>\n<pre>a  1</pre>&lt;img&gt;",
            parse_mode="HTML",
            reply_markup=keys("approve", "skip"),
        )
        await browser.open(server.page_url)
        card = f"[data-id='{sent['message_id']}']"
        assert [await browser.text(f"{card} .text {tag}") for tag in ("b", "code", "a", "pre")] == [
            "Buy",
            "fm-1",
            "link",
            "a  1",
        ]
        assert await browser.count(f"{card} .text img") == 0

        await browser.type("#input", "hello there\ue007")
        await browser.wait_text(".me .bubble", "hello there")
        await browser.click(f"{card} [data-data=approve]")
        press = await server.wait_update("callback_query", 10)
        await call(server, "answerCallbackQuery", callback_query_id=press["id"], text="On its way")
        await call(server, "editMessageText", chat_id=OWNER, message_id=sent["message_id"], text="Bought")
        await browser.wait_text("#toast", "On its way")
        await browser.wait_text(f"{card} .bubble", "Bought")
        assert await browser.count(f"{card} .btn") == 0

        await browser.click("#menu")
        await browser.click("#commands button")
        await browser.wait_text(".me .bubble", "/status")
        assert await browser.console() == []


async def test_pictures_alerts_reply_keyboards_and_deletions_show_in_a_real_browser(server: ChatServer, tmp_path: Path):
    """A picture enlarges on a click, an alert is a box, a reply keyboard writes, a deleted message goes."""
    async with Browser(tmp_path, dark=True) as browser:
        await browser.open(server.page_url)
        sent = await send_photo(server, chat_id=str(OWNER), caption="chart", reply_markup=keys("why"))
        card = f"[data-id='{sent['message_id']}']"
        await browser.click(f"{card} [data-data=why]")
        press = await server.wait_update("callback_query", 10)
        await call(server, "answerCallbackQuery", callback_query_id=press["id"], text="Because", show_alert=True)
        assert await browser.text("#alert p") == "Because"
        await browser.click("#alert button")
        await browser.click(f"{card} .photo")
        assert await browser.script("return document.querySelector('#viewer img').naturalWidth") == 2
        await browser.click("#viewer")

        await call(server, "sendChatAction", chat_id=OWNER, action="typing")
        await browser.find("#typing")
        await call(server, "sendMessage", chat_id=OWNER, text="pick", reply_markup={"keyboard": [["Status"]]})
        await browser.click("#keyboard .btn")
        await browser.wait_text(".me .bubble", "Status")
        await call(server, "deleteMessage", chat_id=OWNER, message_id=sent["message_id"])
        await server.wait_message(lambda m: m.text == "Status", 10)
        await call(server, "sendMessage", chat_id=OWNER, text="after")
        await browser.wait_text(".bubble", "after")
        assert await browser.count(card) == 0
        shot = tmp_path / "page.png"
        await browser.screenshot(shot)
        assert shot.stat().st_size > 5_000


async def test_the_newest_message_stays_in_sight_unless_the_owner_reads_back(server: ChatServer, tmp_path: Path):
    """New messages scroll into view; while older ones are read a button counts what is new."""
    async with Browser(tmp_path) as browser:
        await browser.open(server.page_url)
        for number in range(40):
            await call(server, "sendMessage", chat_id=OWNER, text=f"message {number}")
        await browser.find("[data-id='40']")
        end = "const l = document.getElementById('log'); return l.scrollHeight - l.scrollTop - l.clientHeight < 2"
        assert await browser.script(end)
        await browser.script("document.getElementById('log').scrollTop = 0")
        await browser.find("#down")
        await call(server, "sendMessage", chat_id=OWNER, text="one more")
        await browser.find("#down[data-new='1']")
        assert not await browser.script(end)
        await browser.click("#down")
        assert await browser.script(end)


async def test_a_page_reconnects_to_its_session_or_says_that_it_ended(server: ChatServer, tmp_path: Path):
    """When the server goes away the page says so, and a new server's address is asked for."""
    async with Browser(tmp_path) as browser:
        await browser.open(server.page_url)
        await browser.wait_text("#state", "bot")
        port = urlsplit(server.url).port
        await server.stop()
        await browser.wait_text("#banner", "Connection lost")
        again = ChatServer(TOKEN, OWNER)
        await again.start(port=port or 0)
        await browser.wait_text("#banner", "Open the newest link")
        await again.stop()


async def test_a_link_opens_once(server: ChatServer):
    """A used link is refused, a fresh one works, and without a session there is no page."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        link = server.page_url
        async with http.get(link) as page:
            assert page.status == 200
            assert page.url.query_string == ""
            policy = page.headers["Content-Security-Policy"]
        async with http.get(link) as used:
            assert used.status == 403
    assert "default-src 'none'" in policy
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{server.url}/") as refused:
        assert refused.status == 403


async def test_a_preview_does_not_use_up_the_link(server: ChatServer):
    """A program that only asks for the head of the address gets nothing."""
    link = server.page_url
    async with aiohttp.ClientSession() as http:
        async with http.head(link) as preview:
            assert preview.status == 405
        async with http.get(link, allow_redirects=False) as opened:
            assert opened.status == 303


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(server: ChatServer):
    """The cookie is HttpOnly and SameSite=Strict."""
    async with aiohttp.ClientSession() as http, http.get(server.page_url, allow_redirects=False) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert answer.status == 303
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=["rebound host", "other origin", "null origin", "no origin"],
)
async def test_strangers_get_no_live_connection(server: ChatServer, headers: dict[str, str]):
    """Another site, or a name that was made to point at this computer, cannot listen or write."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await (await http.get(server.page_url)).release()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{server.url}/ws", headers=headers)
        assert refused.value.status == 403


@pytest.mark.parametrize("path", ["/", "/media/photo-424242-1", "/ws"])
async def test_a_foreign_host_name_is_refused_everywhere(server: ChatServer, path: str):
    """DNS rebinding gets nothing, not even with a session cookie."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await (await http.get(server.page_url)).release()
        async with http.get(server.url + path, headers={"Host": "chat.evil.example"}) as refused:
            assert refused.status == 403


async def test_a_foreign_host_cannot_use_up_a_link(server: ChatServer):
    """A rebound name that knows a link neither opens the page nor spends the link."""
    link = server.page_url
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(link, headers={"Host": "evil.example"}, allow_redirects=False) as refused:
            assert refused.status == 403
        async with http.get(link) as page:
            assert page.status == 200


async def test_nonsense_on_the_live_connection_is_answered_not_fatal(server: ChatServer):
    """A page that sends garbage is told, and the next message still goes through."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        await (await http.get(server.page_url)).release()
        async with http.ws_connect(f"{server.url}/ws", headers={"Origin": server.url}) as socket:
            assert (await socket.receive_json())["t"] == "all"
            for garbage in ("{", "[]", '{"do":"press","id":99,"data":"x"}', '{"do":"say","text":"  "}'):
                await socket.send_str(garbage)
                assert (await socket.receive_json())["t"] == "refused"
            await socket.send_json({"do": "say", "text": "hello"})
            assert (await socket.receive_json())["message"]["text"] == "hello"


async def test_only_loopback_is_served():
    """The chat never listens on an address that other computers can reach."""
    with pytest.raises(ValueError, match="loopback"):
        await ChatServer(TOKEN, OWNER).start(host="0.0.0.0")
