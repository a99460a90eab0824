"""What the process that runs day and night holds in memory, seen from outside on the real program.

Python itself tells every import statement a process runs, early or late, when asked to by its environment.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path

from core.adapters.models import FOLDER, Registry
from core.learn.model_files import ours
from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests.e2e import zigzag
from tests.e2e.program import clean_env, run, running
from tests.learn import tiny_models
from tests.run.labs import GOOD_CARD

OWNER = 77
TOKEN = "1000:FAKE-TOKEN-for-tests"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
TOO_BIG = {"pandas", "numpy", "numba", "lightgbm", "matplotlib", "PIL", "scipy", "sklearn", "ta"}
TELL_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


def imports(err: str) -> set[str]:
    """Full names of everything a program that told its imports has imported."""
    return {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}


def assert_small(names: set[str]) -> None:
    """What trading and chatting need is there, research and drawing are not, and of ccxt one exchange only."""
    assert {"aiogram.types.message", "ccxt.abstract.binance", "apscheduler.schedulers.asyncio"} <= names
    assert not {name.partition(".")[0] for name in names} & TOO_BIG
    assert not {name for name in names if name.startswith("ccxt.") and name.endswith(".kraken")}


async def test_paper_trading_holds_no_research_or_drawing_library(tmp_path: Path) -> None:
    """The resident process answers, folds history, keeps a model in use and pushes messages without the heavy half."""
    start = datetime.now(UTC).replace(second=0, microsecond=0)
    market = SeededMarket(SYMBOLS, 3, 60_000, int(start.timestamp() * 1000), 600)
    registry = Registry(tmp_path / "state" / "paper" / FOLDER, ours())
    manifest = tiny_models.manifest(span="1m", created_at=start)
    registry.promote(registry.add(tiny_models.text(1), manifest, GOOD_CARD))
    chat = ChatServer(TOKEN, OWNER)
    await chat.start()
    async with listening(SimExchange(market, start=start, speed=1.0, keys={}, balances={})) as url:
        told = clean_env(
            tmp_path,
            mode="paper",
            exchange_url=url,
            telegram_url=chat.url,
            telegram_token=TOKEN,
            owner_id=str(OWNER),
            symbols=",".join(SYMBOLS),
            timeframe="1m",
            history_bars="500",
        )
        with running(tmp_path, "run", "--state", str(tmp_path / "state"), env=told | TELL_IMPORTS) as program:
            for words in ("/status", "/health", "/signal BTCUSDT", "/risk", "/trades", "/model", "/retrain"):
                sent = len(chat.messages())
                chat.say(words)
                await chat.wait_message(lambda m, sent=sent: m.from_bot and len(chat.messages()) > sent + 1, 60)
            await chat.wait_message(lambda m: "forecasts from now on" in m.text, 60)
            await asyncio.to_thread(program.wait_until, lambda: program.err.count('"event": "history"') == 2, "history")
            program.child.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(program.end)
    await chat.stop()
    assert code == 0
    assert_small(imports(program.err))


def test_a_demo_with_signals_and_pictures_holds_no_drawing_library(tmp_path: Path) -> None:
    """Pictures are drawn by a worker: the process that sends them never loads what draws them."""
    market = ("--market", f"recorded:{zigzag.write(tmp_path / 'drawn')}", "--symbols", ",".join(zigzag.SYMBOLS))
    words = ("demo", "--speed", "max", "--headless", "--approve", "auto", *market, "--from", "2024-01-01")
    env = clean_env(tmp_path, history_bars=str(zigzag.HISTORY)) | TELL_IMPORTS
    done = run(tmp_path, *words, "--bars", "40", "--state", str(tmp_path / "state"), env=env)
    assert done.child.returncode == 0
    assert "[picture" in done.out
    assert_small(imports(done.err))
