"""The world of one round as processes: the exchange that fails on demand, the chat, and the client that is killed.

Rule 1: the servers live through the round; only the client is killed, and started again over what it left behind.
Rule 2: all of them live at one pace; the client's time is the exchange's.
Rule 3: what the owner and the world do in between is asked of the exchange's own door, ``/sim``, which never fails.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.commands.exchange import KEY, SECRET
from core.adapters.folders import MAIN_FILE
from tests import vaults
from tests.blackbox import fast, market
from tests.e2e.program import Program, clean_env
from tests.e2e.witness import Log, placed

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = "77"
CASH = "100000"
BARS = 3000
LAUNCHER = "tests.blackbox.fast"


class Client(Program):
    """A process at the town's pace: ``firstmate WORDS``, or another bot by ``python MODULE WORDS``."""

    def __init__(self, folder: Path, *words: str, name: str, env: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.words = words
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self.child = subprocess.Popen(
                [sys.executable, "-m", LAUNCHER, *words],
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )


@dataclass(frozen=True, slots=True)
class Town:
    """Where everything is: the exchange's door, and what a client needs to be started."""

    folder: Path
    url: str
    env: dict[str, str]
    pace: fast.Pace
    log: Log

    @property
    def database(self) -> Path:
        """The assistant's main database."""
        return self.folder / "state" / "testnet" / MAIN_FILE

    def client(self, name: str, *words: str) -> Client:
        """A new process of the client under test."""
        return Client(self.folder, *words, name=name, env=self.env)

    def ask(self, path: str, **params: object) -> Any:
        """What the exchange's door answers; reads where nothing is given to change. None where it refuses."""
        change = path not in ("state", "truth")
        query = urllib.parse.urlencode(params)
        request = urllib.request.Request(
            f"{self.url}/sim/v1/{path}?{query}", data=b"" if change else None, method="POST" if change else "GET"
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError:
            return None

    def placed(self) -> int:
        """How many orders the exchange has taken, known as soon as it is certain there."""
        return len(placed(self.log.lines()))

    def truth(self) -> dict[str, Any]:
        """Everything that ever happened at the exchange."""
        told: dict[str, Any] = self.ask("truth")
        return told


def _address(server: Program) -> str:
    server.wait_until(lambda: re.search(r"http://[\w.]+:\d+", server.out), "an address")
    found = re.search(r"http://[\w.]+:\d+", server.out)
    assert found
    return found.group()


def yesterday() -> datetime:
    """A start that leaves a day of minutes to be played."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)


@contextmanager
def founded(
    folder: Path,
    seed: int,
    speed: float,
    share: float,
    symbols: Sequence[str] = market.SYMBOLS,
    *,
    start: datetime | None = None,
    still: bool = False,
) -> Iterator[Town]:
    """A town with its servers up; ``share`` of the requests fail from the first moment on.

    Founded again in the same folder with the same ``start`` it goes on where it was, at whatever speed.
    """
    start = start or yesterday()
    drawn = market.write(folder / "drawn", seed, start, BARS, symbols, still=still)
    pace = replace(fast.begun(speed), epoch=start.timestamp())
    shared = {"telegram_token": TOKEN, "owner_id": OWNER, "symbols": ",".join(symbols), "timeframe": "1m"}
    env = {**clean_env(folder, **shared, paper_cash=CASH), fast.VARIABLE: str(pace)}
    words = ("exchange", "--market", f"recorded:{drawn}", "--from", f"{start:%Y-%m-%dT%H:%M}", "--speed", "1")
    words += ("--state", str(folder / "exchange"), "--faults", f"{seed}:{share:.3f}")
    with ExitStack() as stack:
        exchange = Client(folder, *words, name="exchange", env=env)
        stack.callback(_end, exchange)
        chat = Client(folder, "chat-server", name="chat", env=env)
        stack.callback(_end, chat)
        url = _address(exchange)
        settings = _settings(folder, url, _address(chat))
        keys = vaults.sealed(folder / "state", vaults.exchange("testnet", KEY, SECRET))
        known = {**env, **clean_env(folder, **shared, **settings), **keys, "NAIVE_KEY": KEY, "NAIVE_SECRET": SECRET}
        town = Town(folder, url, known, pace, Log(folder / "exchange"))
        exact = replace(pace, epoch=town.ask("state")["time"] / 1000 - pace.passed())
        yield replace(town, env={**town.env, fast.VARIABLE: str(exact)}, pace=exact)


def _settings(folder: Path, url: str, chat_url: str) -> dict[str, str]:
    return {
        "home": str(folder / "state"),
        "testnet_url": url,
        "stream_url": url.replace("http", "ws", 1) + "/ws-api/v3",
        "telegram_url": chat_url,
        "approve": "auto",
        "history_bars": str(market.HISTORY),
        "stale_bars": "10",
        "symbol_exposure_max": "0.08",
        "gross_exposure_max": "1",
        "bucket_exposure_max": "1",
        "orders_open_max": "60",
        "orders_per_min_max": "60",
        "day_loss_max": "0.5",
        "drawdown_max": "0.5",
    }


def _end(program: Program) -> None:
    if program.alive:
        program.child.send_signal(signal.SIGTERM)
        try:
            program.child.wait(5)
        except subprocess.TimeoutExpired:
            program.kill()
