"""Pairing as its owner does it: `firstmate pair` at a terminal, the code sent by phone, a yes typed."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.owner import bound
from core.adapters.statelock import hold
from core.sim.chat.server import ChatServer
from core.sim.chat.values import ChatUser
from tests.e2e.program import clean_env, run
from tests.e2e.terminal import Terminal, terminal

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER, OTHER = ChatUser(77, "Ada"), ChatUser(666, "Ada")
HOLDER = 1


@pytest.fixture
async def chat() -> AsyncIterator[ChatServer]:
    """The local chat; whoever is written about here writes to its bot."""
    server = ChatServer(TOKEN, HOLDER)
    await server.start()
    yield server
    await server.stop()


def env_of(folder: Path, chat: ChatServer, **more: str) -> dict[str, str]:
    """An environment with a token and no owner."""
    return clean_env(folder, home=str(folder / "state"), telegram_token=TOKEN, telegram_url=chat.url, **more)


def code_on(screen: str) -> str:
    """The code in the deep link."""
    found = re.search(r"https://t\.me/firstmate_bot\?start=([A-Za-z0-9]+)", screen)
    assert found, screen
    return found[1]


async def opened(pair: Terminal) -> str:
    """The code, once the command shows it."""
    return code_on(await asyncio.to_thread(pair.wait_for, "for one person"))


async def test_a_code_and_a_yes_bind_the_owner(tmp_path: Path, chat: ChatServer) -> None:
    """Only then; the file is for this user alone; from then on a start knows whom to obey."""
    home = tmp_path / "state"
    chat.say("/start before", user=OWNER)
    with terminal(tmp_path, env_of(tmp_path, chat), "pair") as pair:
        code = await opened(pair)
        assert "▀" in pair.shown
        chat.say(f"/start {code}", user=OWNER)
        await asyncio.to_thread(pair.wait_for, "Is that you?")
        assert "Ada (id 77) sent the code" in pair.shown
        assert bound(home) is None
        pair.type("y")
        assert await asyncio.to_thread(pair.end) == 0, pair.shown
    kept = bound(home)
    assert kept
    assert (kept.user_id, kept.name) == (77, "Ada")
    assert stat.S_IMODE((home / "owner").stat().st_mode) == 0o600
    assert [m.text[:20] for m in chat.messages() if m.from_bot] == ["You are my owner now"]
    refused = await asyncio.to_thread(run, tmp_path, "run", "--mode", "testnet", env=env_of(tmp_path, chat))
    assert refused.end() == 2  # it has no key
    assert "whom to obey" not in refused.err


async def test_where_the_audit_cannot_be_kept_nobody_is_bound(tmp_path: Path, chat: ChatServer) -> None:
    """What leaves no trace does not happen."""
    book = tmp_path / "state" / "paper" / "firstmate.db"
    book.parent.mkdir(parents=True)
    book.write_bytes(b"no database")
    with terminal(tmp_path, env_of(tmp_path, chat), "pair") as pair:
        chat.say(f"/start {await opened(pair)}", user=OWNER)
        await asyncio.to_thread(pair.wait_for, "Is that you?")
        pair.type("y")
        assert await asyncio.to_thread(pair.end) == 4, pair.shown
    assert bound(tmp_path / "state") is None


async def test_two_who_send_the_code_are_both_shown_and_nobody_is_bound(tmp_path: Path, chat: ChatServer) -> None:
    """The second comes while the first is being looked at, under the same name: the question ends by itself."""
    with terminal(tmp_path, env_of(tmp_path, chat), "pair") as pair:
        code = await opened(pair)
        chat.say(f"/start {code}", user=OTHER)
        await asyncio.to_thread(pair.wait_for, "Is that you?")
        chat.say(f"/start {code}", user=OWNER)
        assert await asyncio.to_thread(pair.end) == 1
    assert "sent by Ada (id 666) and Ada (id 77)" in pair.shown
    assert bound(tmp_path / "state") is None
    assert [m for m in chat.messages() if m.from_bot] == []


async def test_five_wrong_codes_end_it(tmp_path: Path, chat: ChatServer) -> None:
    """Whoever guesses gets no answer, and no sixth try."""
    with terminal(tmp_path, env_of(tmp_path, chat), "pair") as pair:
        code = await opened(pair)
        for number in range(5):
            chat.say(f"/start {number}{code}", user=OTHER)
        assert await asyncio.to_thread(pair.end) == 1
    assert "5 wrong codes were sent" in pair.shown
    assert [m for m in chat.messages() if m.from_bot] == []


async def test_a_no_and_a_second_thought_change_nothing(tmp_path: Path, chat: ChatServer) -> None:
    """Whoever is bound stays, unless the terminal says yes twice: to pairing anew, and to the person."""
    home, env = tmp_path / "state", env_of(tmp_path, chat)
    for person, words, code in ((OWNER, ["y"], 0), (OTHER, ["y", "n"], 1), (OTHER, ["n"], 1)):
        with terminal(tmp_path, env, "pair") as pair:
            if bound(home):
                await asyncio.to_thread(pair.wait_for, "Pair anew?")
                assert "Obeyed now: Ada (id 77)" in pair.shown
                pair.type(words.pop(0))
            if words:
                chat.say(f"/start {await opened(pair)}", user=person)
                await asyncio.to_thread(pair.wait_for, "Is that you?")
                pair.type(words.pop(0))
            assert await asyncio.to_thread(pair.end) == code, pair.shown
        kept = bound(home)
        assert kept
        assert kept.user_id == 77


async def test_where_pairing_cannot_work_one_line_says_why(tmp_path: Path, chat: ChatServer) -> None:
    """An owner set by hand, no terminal, an assistant that runs: each with its own exit code."""
    env = env_of(tmp_path, chat)

    def at_terminal(**more: str) -> tuple[int, str]:
        with terminal(tmp_path, {**env, **{f"FIRSTMATE_{k.upper()}": v for k, v in more.items()}}, "pair") as pair:
            return pair.end(), pair.shown

    code, shown = await asyncio.to_thread(at_terminal, owner_id="5")
    assert (code, "FIRSTMATE_OWNER_ID says 5 and wins" in shown) == (2, True), shown
    code, shown = await asyncio.to_thread(at_terminal, telegram_token="")
    assert (code, "token first" in shown) == (2, True), shown
    code, shown = await asyncio.to_thread(at_terminal, telegram_token="1:WRONG-TOKEN-for-tests")
    assert (code, "does not know this bot token" in shown) == (2, True), shown
    piped = await asyncio.to_thread(run, tmp_path, "pair", env=env)
    assert (piped.end(), "in a terminal" in piped.err) == (2, True)
    (tmp_path / "state").mkdir(exist_ok=True)
    with hold(tmp_path / "state"):
        code, shown = await asyncio.to_thread(at_terminal)
    assert (code, "stop it first" in shown) == (3, True), shown
    await chat.stop()
    code, shown = await asyncio.to_thread(at_terminal)
    assert (code, "Telegram cannot be reached" in shown) == (5, True), shown
