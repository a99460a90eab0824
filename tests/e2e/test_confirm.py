"""A second proof at the terminal: halted in the chat, asked for there, confirmed by hand on the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.sim.chat.server import ChatServer
from tests.e2e.program import rows, run, running
from tests.e2e.talk import answered
from tests.e2e.terminal import terminal
from tests.e2e.test_go_live import OWNER, TOKEN, WAIT_S, exchange_here, settings_of


async def test_trading_again_on_the_testnet_is_confirmed_on_the_server(tmp_path: Path) -> None:
    """Nothing waits at first; a no changes nothing; a yes resumes, and the chat says so."""
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()

    async def say(text: str) -> str:
        return await answered(chat, text, WAIT_S)

    async def told(words: str) -> None:
        await chat.wait_message(lambda m: m.from_bot and words in m.text, WAIT_S)

    try:
        async with exchange_here() as url:
            env = settings_of(tmp_path, url, telegram_url=chat.url, testnet_url=url)
            idle = await asyncio.to_thread(run, tmp_path, "confirm", name="idle", env=env)
            assert (idle.end(), "No assistant runs" in idle.err) == (2, True)
            with running(tmp_path, "run", "--mode", "testnet", env=env) as program:
                seen = "SELECT 1 FROM journal WHERE kind = 'BalancesSeen'"
                db = tmp_path / "state" / "testnet" / "firstmate.db"
                await asyncio.to_thread(program.wait_until, lambda: rows(db, seen), "the account's balances", WAIT_S)
                nothing = await asyncio.to_thread(run, tmp_path, "confirm", name="nothing", env=env)
                assert (nothing.end(), "Nothing waits" in nothing.err) == (1, True)
                await say("/panic")
                asked = next(m for m in reversed(chat.messages()) if m.buttons)
                chat.press(asked.id, asked.buttons[0][0].data)
                await told("Halted.")
                await told("Trading is now HALTED")  # pushed beside the answer, in its own time
                for word, shown, answer in (
                    ("n", "Refused.", "Refused at the"),
                    ("y", "Confirmed:", "Confirmed at the"),
                ):
                    assert "./run confirm" in await say("/resume")
                    piped = await asyncio.to_thread(run, tmp_path, "confirm", name="piped", env=env)
                    assert (piped.end(), "in a terminal" in piped.err) == (2, True)
                    with terminal(tmp_path, env, "confirm") as confirm:
                        await asyncio.to_thread(confirm.wait_for, "Do it?")
                        assert "Trading is halted: panic button. Trade again?" in confirm.shown
                        confirm.type(word)
                        assert await asyncio.to_thread(confirm.end) == 0, confirm.shown
                        assert shown in confirm.shown
                    await told(f"{answer} terminal")
                assert "ACTIVE" in await say("/status")
                assert "second proof: at the terminal" in await say("/health")
    finally:
        await chat.stop()
