"""Planted secrets in a whole life with debug logs, outages, a crash and a restart: nothing that was left shows one."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from core.adapters.redaction import MASK
from core.adapters.vault import Unlock, create_vault
from core.setting_kinds import Secret
from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests.e2e.program import Program, clean_env
from tests.e2e.talk import answered
from tests.secrets_scan import Finding, Scan

OWNER = 77
WAIT_S = 90.0
KEY, SECRET = "FAKEcanaryKEY" * 4, "FAKEcanarySECRET" * 4
TOKEN = "987654:FAKE-canary-token-for-tests-of-traces"
SEED = "FAKECANARYSEEDFAKECANARYSEED2345"
PASSPHRASE = "FAKE canary passphrase, five words"
PLANTED = {
    "key": KEY,
    "secret": SECRET,
    "token": TOKEN,
    "token's second half": TOKEN.partition(":")[2],
    "seed": SEED,
    "passphrase": PASSPHRASE,
}


# the same program, falling down in every way while it quotes what it knows
CRASH = """
import asyncio, sys, threading, warnings
from bot import cli
from bot.commands import run

async def broken(settings, live, used):
    known = settings.api_secret.reveal()
    warnings.warn(f"warned of {known}")
    threading.Thread(target=lambda: [][len(known)]).start()
    asyncio.get_running_loop().call_soon(lambda: {}[known])
    await asyncio.sleep(0.2)
    raise RuntimeError(f"signed with {known} by {settings.api_key.reveal()} {settings.telegram_token.reveal()!r}")

run._serve = broken
sys.exit(cli.main(["run", "--mode", "testnet", *sys.argv[1:]]))
"""


def planted(home: Path) -> None:
    """A vault that holds the canaries and opens by the canary passphrase."""
    vault = create_vault(home, Unlock(), "passphrase", "file", Secret(PASSPHRASE))
    vault.put("exchange-testnet", {"key": Secret(KEY), "secret": Secret(SECRET)})
    vault.put("telegram", {"token": Secret(TOKEN)})
    vault.put("totp", {"seed": Secret(SEED)})


def started(folder: Path, *words: str, name: str, env: Mapping[str, str]) -> Program:
    """A command that reads the passphrase from a descriptor it inherits."""
    ours, theirs = os.pipe()
    os.write(theirs, PASSPHRASE.encode() + b"\n")
    os.close(theirs)
    os.set_inheritable(ours, True)
    try:
        return Program(folder, *words, "--passphrase-fd", str(ours), name=name, env=dict(env), pass_fds=(ours,))
    finally:
        os.close(ours)


def crash(folder: Path, env: Mapping[str, str]) -> str:
    """What the program says when it falls down; kept beside its other logs."""
    ours, theirs = os.pipe()
    os.write(theirs, PASSPHRASE.encode() + b"\n")
    os.close(theirs)
    words = [sys.executable, "-c", CRASH, "--passphrase-fd", str(ours)]
    done = subprocess.run(
        words, cwd=folder, env=dict(env), pass_fds=(ours,), capture_output=True, timeout=WAIT_S, check=False
    )
    os.close(ours)
    (folder / "crash.err").write_bytes(done.stdout + done.stderr)
    return done.stderr.decode()


class Life:
    """One program with its chat and its exchange, both of which go away now and then."""

    def __init__(self, folder: Path, env: Mapping[str, str], chat: ChatServer, scan: Scan) -> None:
        self.folder, self.env, self.chat, self.scan = folder, dict(env), chat, scan
        self.said: list[str] = []
        self.found: list[Finding] = []

    async def start(self, name: str) -> Program:
        """The assistant, once it has compared its books."""
        program = started(self.folder, "run", "--mode", "testnet", name=name, env=self.env)
        await asyncio.to_thread(program.wait_until, lambda: '"history"' in program.err, "a start", WAIT_S)
        self.look(program)
        return program

    def look(self, program: Program) -> None:
        """Take in what /proc shows of it, where it shows anything: it is closed to its own user too, not to root."""
        shown = self.scan.process(program.pid)
        self.found += shown if os.geteuid() == 0 else [finding for finding in shown if finding.secret]

    async def say(self, text: str) -> str:
        """The bot's next answer."""
        self.said.append(await answered(self.chat, text, WAIT_S))
        return self.said[-1]


async def halted_and_resumed(life: Life) -> None:
    """The panic button, a wrong code, the right one."""
    await life.say("/panic")
    message = next(m for m in reversed(life.chat.messages()) if m.from_bot and m.buttons)
    life.chat.press(message.id, message.buttons[0][0].data)
    await life.chat.wait_message(lambda m: "Trading is now HALTED" in m.text, WAIT_S)  # pushed, in its own time
    shown = await life.say("/resume")
    assert "authenticator" in shown, shown
    await life.say("000000")
    code = TOTP(base64.b32decode(SEED), 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time())).decode()
    life.said.append(await life.say(code))


async def test_no_trace_of_a_life_shows_a_secret(tmp_path: Path) -> None:
    """Keys, token, seed and passphrase: not in logs, databases, backups, messages, outputs or the process list."""
    home = tmp_path / "state"
    planted(home)
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()
    begun = datetime.now(UTC)
    market = SeededMarket(("BTCUSDT",), 3, 60_000, int(begun.replace(second=0, microsecond=0).timestamp() * 1000), 600)
    exchange = SimExchange(market, start=begun, speed=1.0, keys={KEY: SECRET}, balances={"USDT": Decimal(1000)})
    scan = Scan(PLANTED)
    async with listening(exchange) as url:
        settings = {"testnet_url": url, "telegram_url": chat.url, "owner_id": str(OWNER), "symbols": "BTCUSDT"}
        env = clean_env(
            tmp_path, home=str(home), timeframe="1m", history_bars="500", log_level="debug", approve="auto", **settings
        )
        life = Life(tmp_path, env, chat, scan)
        program = await life.start("first")
        for command in ("/status", "/mode live", "/health", "/reconcile", "/balance", "/nonsense", "/limits kelly 9"):
            await life.say(command)
        await halted_and_resumed(life)
        program.kill()
        program = await life.start("second")
        await life.say(f"/status {TOKEN} {SECRET}")  # an owner who pastes them into the chat is not quoted
        await chat.stop()  # errors that name the address with the token in it
        await asyncio.sleep(3)
    await asyncio.sleep(8)  # and errors of an exchange that is gone, in the middle of signed requests
    life.look(program)
    assert await asyncio.to_thread(program.stop) in (0, 2, 5)
    outputs = [("status", "--json"), ("export", "journal", "--format", "json"), ("audit", "show"), ("doctor",)]
    for words in outputs:
        done = Program(tmp_path, *words, name=words[0], env=env)
        await asyncio.to_thread(done.end)
    crashed = crash(tmp_path, env)
    assert "RuntimeError" in crashed
    assert "Traceback" in crashed
    locked = started(tmp_path, "keys", "check", name="keys", env=env)
    assert await asyncio.to_thread(locked.end) == 0
    found = [*life.found, *scan.tree(tmp_path), *[f for text in life.said for f in scan.text(text, "the chat")]]
    assert found == []
    assert "warning" in program.err  # the outages left their lines
    assert MASK in crashed
