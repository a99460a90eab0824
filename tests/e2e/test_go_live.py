"""From paper to real money, as its owner walks it: the chat, the terminal, the first start; and what stops them.

The exchange is the stand-in on loopback; the account is made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from core.adapters import permits
from core.run.golive import PHRASE
from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests import vaults
from tests.e2e.program import clean_env, rows, run, running
from tests.e2e.talk import answered
from tests.practice import practised

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
WAIT_S = 60.0


@asynccontextmanager
async def exchange_here() -> AsyncIterator[str]:
    """The stand-in exchange with one account, on the wall's clock."""
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    market = SeededMarket(("BTCUSDT",), 3, 60_000, int(start.timestamp() * 1000), 600)
    balances = {"USDT": Decimal(1000)}
    exchange = SimExchange(market, start=datetime.now(UTC), speed=1.0, keys={KEY: SECRET}, balances=balances)
    async with listening(exchange) as url:
        yield url


def settings_of(folder: Path, exchange_url: str, **more: str) -> dict[str, str]:
    """An environment with everything live needs."""
    plain = {
        "home": str(folder / "state"),
        "exchange_url": exchange_url,
        "owner_id": str(OWNER),
        "symbols": "BTCUSDT",
        "timeframe": "1m",
        "history_bars": "500",
    }
    keys = {**vaults.exchange("live", KEY, SECRET), **vaults.exchange("testnet", KEY, SECRET)}
    records = {**keys, "telegram": {"token": TOKEN}}
    return {**clean_env(folder, **{**plain, **more}), **vaults.sealed(folder / "state", records)}


def typed_at_a_terminal(folder: Path, env: dict[str, str], text: str) -> tuple[int, str]:
    """`firstmate go-live` on a terminal where ``text`` is typed: exit code and everything shown."""
    ours, theirs = pty.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "bot", "go-live"], env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        os.write(ours, text.encode() + b"\n")
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the other side is closed
            while part := os.read(ours, 4096):
                shown += part
        return child.wait(WAIT_S), shown.decode()
    finally:
        os.close(ours)


async def test_from_paper_to_live_by_chat_and_terminal(tmp_path: Path) -> None:
    """Checks, phrase, confirmation, permit, start: each is needed, and then it trades with the real account."""
    home = tmp_path / "state"
    practised(home, 20)
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()

    async def say(text: str) -> str:
        return await answered(chat, text, WAIT_S)

    try:
        async with exchange_here() as url:
            env = settings_of(tmp_path, url, telegram_url=chat.url)
            with running(tmp_path, "run", "--mode", "paper", env=env) as paper:
                assert "Send /mode live first" in await say(PHRASE)
                shown = await say("/mode live")
                assert "Everything passed" in shown, shown
                assert PHRASE in shown
                assert permits.phrase(home) is None
                assert "Noted" in await say(PHRASE)
                code, shown = await asyncio.to_thread(typed_at_a_terminal, tmp_path, env, "GO LIVE")
                assert (code, "FAILED" in shown) == (0, False), shown
                assert f"Stop process {paper.pid}" in shown
                assert await asyncio.to_thread(paper.stop) == 0
            permit = home / "live" / "permit"
            assert stat.S_IMODE(permit.stat().st_mode) == 0o600
            assert permits.phrase(home) is None
            with running(tmp_path, "run", name="live", env=env) as live:
                db = home / "live" / "firstmate.db"
                seen = "SELECT 1 FROM journal WHERE kind = 'BalancesSeen'"
                await asyncio.to_thread(live.wait_until, lambda: rows(db, seen), "the account's balances", WAIT_S)
                answer = await say("/mode")
                assert "live mode" in answer
                assert "REAL MONEY" in answer
                assert "next 10 trades" in answer
                assert await asyncio.to_thread(live.stop) == 0
            said = "".join(message.text for message in chat.messages()) + paper.err + live.err + permit.read_text()
            assert KEY not in said
            assert SECRET not in said
    finally:
        await chat.stop()


def allowed_to_ask(home: Path, at: datetime | None = None, owner_id: int = OWNER) -> None:
    """The phrase as the chat keeps it."""
    home.mkdir(parents=True, exist_ok=True)
    permits.keep_phrase(home, permits.Phrase(at or datetime.now(UTC), owner_id))


@pytest.mark.parametrize(
    ("trades", "phrase_age_s", "owner_id", "typed", "says"),
    [
        (19, 0, OWNER, "GO LIVE", "mend paper trades first"),
        (20, None, OWNER, "GO LIVE", "The phrase was not typed"),
        (20, 1000, OWNER, "GO LIVE", "type it again"),
        (20, 0, OWNER + 1, "GO LIVE", "The phrase was not typed"),
        (20, 0, OWNER, "go", "something else was typed"),
    ],
)
async def test_without_any_one_of_them_nothing_is_allowed(
    tmp_path: Path, trades: int, phrase_age_s: int | None, owner_id: int, typed: str, says: str
) -> None:
    """Too little practice, no phrase, an old or a stranger's one, another last word: no permit, no mode remembered."""
    home = tmp_path / "state"
    practised(home, trades)
    if phrase_age_s is not None:
        allowed_to_ask(home, datetime.now(UTC) - timedelta(seconds=phrase_age_s), owner_id)
    async with exchange_here() as url:
        code, shown = await asyncio.to_thread(typed_at_a_terminal, tmp_path, settings_of(tmp_path, url), typed)
    assert code in (1, 2)
    assert says in shown
    assert "Traceback" not in shown
    assert permits.permit(home) is None
    assert not (home / "firstmate.toml").exists()


async def test_without_a_terminal_live_cannot_be_confirmed(tmp_path: Path) -> None:
    """A script that pipes the words in gets one line and exit code 2."""
    home = tmp_path / "state"
    practised(home, 20)
    allowed_to_ask(home)
    async with exchange_here() as url:
        done = await asyncio.to_thread(run, tmp_path, "go-live", env=settings_of(tmp_path, url))
    assert done.child.returncode == 2
    assert done.err.count("\n") == 1
    assert "in a terminal" in done.err
    assert permits.permit(home) is None


async def test_live_does_not_start_with_a_key_that_may_withdraw(tmp_path: Path) -> None:
    """A permit does not help a key that may do too much later: one line with the right and the box to untick."""
    home = tmp_path / "state"
    permits.allow(home, permits.Permit(permits.fingerprint(KEY), "tests", datetime.now(UTC), ()))
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()
    try:
        async with exchange_here() as url, meddled(url) as worse:
            env = settings_of(tmp_path, worse, telegram_url=chat.url, mode="live")
            done = await asyncio.to_thread(run, tmp_path, "run", env=env)
    finally:
        await chat.stop()
    assert done.child.returncode == 2
    (line,) = [line for line in done.err.splitlines() if line.startswith("firstmate: ")]
    assert "enableWithdrawals" in line
    assert "untick “Enable Withdrawals”" in line


@asynccontextmanager
async def meddled(url: str) -> AsyncIterator[str]:
    """The same exchange, where the owner has just allowed the key to withdraw."""

    async def pass_on(request: web.Request) -> web.Response:
        target = f"{url}{request.path_qs}"
        async with ClientSession(auto_decompress=True) as session:
            body = await request.read()
            headers = {k: v for k, v in request.headers.items() if k.lower() in ("x-mbx-apikey", "content-type")}
            async with session.request(request.method, target, data=body, headers=headers) as answer:
                text = await answer.text()
        if request.path.endswith("/apiRestrictions"):
            text = text.replace('"enableWithdrawals":false', '"enableWithdrawals":true')
            text = text.replace('"enableWithdrawals": false', '"enableWithdrawals": true')
        return web.Response(status=answer.status, text=text, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
