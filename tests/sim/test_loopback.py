"""No page of another site reaches the stand-in servers, whatever it knows of their keys and tokens."""

from __future__ import annotations

import aiohttp
import pytest

from core.sim.chat.server import ChatServer
from core.sim.loopback import is_foreign
from tests.sim.exchange.exchange_rig import served

TOKEN = "424242:FAKE-TOKEN-for-tests"
HERE = "127.0.0.1:8080"
FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:8080"},
    {"Host": "192.168.1.5:8080"},
    {"Host": "[::1"},
    {"Host": ""},
    {"Host": HERE, "Origin": "http://evil.example"},
    {"Host": HERE, "Origin": "http://127.0.0.1:9090"},
    {"Host": HERE, "Origin": "null"},
    {"Host": HERE, "Sec-Fetch-Site": "cross-site"},
    {"Host": HERE, "Sec-Fetch-Site": "same-site"},
]
OWN = [
    {"Host": HERE},
    {"Host": "localhost:8080"},
    {"Host": "[::1]:8080"},
    {"Host": HERE, "Origin": f"http://{HERE}"},
    {"Host": HERE, "Sec-Fetch-Site": "none"},
    {"Host": HERE, "Sec-Fetch-Site": "same-origin"},
]
SENT = [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_another_site_or_name_is_foreign(headers: dict[str, str]):
    """A name that was made to point here, another origin, an image of another page."""
    assert is_foreign(headers)


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_programs_and_the_server_s_own_page_are_not(headers: dict[str, str]):
    """Whoever names this computer and comes from nowhere else."""
    assert not is_foreign(headers)


@pytest.mark.parametrize("headers", SENT, ids=str)
async def test_another_site_s_page_cannot_move_the_exchange(headers: dict[str, str]):
    """Neither its clock, which needs no key, nor its streams."""
    async with served() as (found, plain):
        before = found.now_ms()
        async with plain.session.post(f"{plain.url}/sim/v1/advance", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, -1002)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await plain.session.ws_connect(f"{plain.url}/ws/btcusdt@trade", headers=headers)
        assert (refused.value.status, found.now_ms()) == (403, before)


@pytest.mark.parametrize("headers", SENT, ids=str)
async def test_another_site_s_page_cannot_take_the_bot_s_updates(headers: dict[str, str]):
    """A known token alone is not enough: what the owner wrote stays until the bot has it."""
    chat = ChatServer(TOKEN, 77)
    await chat.start()
    try:
        chat.say("/pause")
        url = f"{chat.url}/bot{TOKEN}/getUpdates?offset=9999"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert answer.status == 403
        assert (await chat.wait_update("message", 1))["text"] == "/pause"
    finally:
        await chat.stop()
