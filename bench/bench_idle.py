"""The idle assistant beside its peers: resident memory after it settled, and seconds to its first answer.

Run: ``python bench/bench_idle.py [--symbols N] [--bars N] [--rounds N]``. One of them has its lab in use:
champion and challenger with a record of four weeks, which it judges as it wakes, and /model is asked. Paper mode
against the simulated exchange and the local chat, which live in this process; every process measured is another one,
one at a time, peers interleaved.
Every line is measured here and now; trust the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bench_forecast import manifest, trained
from core.adapters.lab_records import SqliteLabRecords
from core.adapters.models import FOLDER, Registry
from core.adapters.statefolder import stores
from core.lab_ports import Bet, Ended, Said, Spoken
from core.learn.model_files import ours
from core.run.fitting import BARRIERS
from core.run.shadow import CHALLENGER, CHAMPION
from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests.run.labs import GOOD_CARD

ROOT = Path(__file__).resolve().parents[1]
HOUR_MS = 3_600_000
OWNER_ID = 77
SETTLE_MOST_S = 300.0
LAB_DAYS = 28
TICKS_A_S = os.sysconf("SC_CLK_TCK")

SLIM = ["-m", "bot", "run"]
# what is imported already is taken as it is
PLAIN = ["-c", "import aiogram, ccxt.async_support; from bot.cli import main; main(['run'])"]
LIBRARIES = (
    "aiogram, apscheduler.schedulers.asyncio, ccxt.async_support, pandas, ta, lightgbm, aiosqlite, "
    "cryptography.fernet, keyring, structlog, dotenv, tqdm"
)
EAGER = ["-c", f"import {LIBRARIES}, time; print('up', flush=True); time.sleep(3600)"]


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: ``rss_mb`` and ``pss_mb`` of the settled process, ``peak_mb`` until then, seconds to the answer."""

    rss_mb: float
    pss_mb: float
    peak_mb: float
    answer_s: float


def memory_mb(pid: int) -> tuple[float, float, float]:
    """Resident, proportional and peak resident memory of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    kb = {line.split()[0]: int(line.split()[1]) for line in rollup[1:] + status if line.endswith("kB")}
    return kb["Rss:"] / 1024, kb["Pss:"] / 1024, kb["VmHWM:"] / 1024


def busy_s(pid: int) -> float:
    """CPU time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_S


async def settle(pid: int) -> None:
    """Wait until a process is idle: under 3 % of one core over three seconds."""
    until = time.monotonic() + SETTLE_MOST_S
    before = -1.0
    while time.monotonic() < until and busy_s(pid) - before > 0.1:
        before = busy_s(pid)
        await asyncio.sleep(3)


@asynccontextmanager
async def child(words: list[str], env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process that has ended when the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, env=env, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def put_to_use(home: Path, symbols: tuple[str, ...], now_ms: int) -> None:
    """A champion and a challenger, and what both said of each bar of LAB_DAYS, with what came of it."""
    registry, rng = Registry(home / "paper" / FOLDER, ours()), random.Random(7)
    made = changed(manifest(), barriers=BARRIERS, symbols=symbols)
    first, second = (registry.add(trained(200, 31, n), made, GOOD_CARD) for n in (1, 2))
    registry.promote(first)
    registry.set_challenger(second)
    bets = [
        Bet(symbol, HOUR_MS, now_ms - hour * HOUR_MS, 0.06, 0.03, 96)
        for hour in range(24 * LAB_DAYS, 96, -1)
        for symbol in symbols
    ]
    said = (Said(first, CHAMPION, 0.4, 0.3), Said(second, CHALLENGER, 0.41, 0.3))
    width = len(ours().names)
    async with stores(home / "paper") as kept:
        records = SqliteLabRecords(kept.main)
        row = struct.Struct(f"<{width}d")
        await records.keep([Spoken(bet, said, row.pack(*(rng.gauss(0, 1) for _ in range(width)))) for bet in bets])
        await records.settle([Ended(bet, bet.open_ms + 12 * HOUR_MS, float(rng.random() < 0.4)) for bet in bets])
        reign = {"champion_id": first, "since_ms": now_ms - LAB_DAYS * 24 * HOUR_MS}
        await records.remember("lab", json.dumps(reign))


async def assistant(words: list[str], symbols: tuple[str, ...], bars: int, *, lab: bool = False) -> Figures:
    """Start paper trading on a fresh state, ask /status at once (of a ``lab`` in use /model too), let it settle."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    market = SeededMarket(symbols, 3, HOUR_MS, int(start.timestamp() * 1000), bars)
    chat = ChatServer("1000:FAKE-TOKEN-for-tests", OWNER_ID)
    await chat.start()
    with tempfile.TemporaryDirectory() as home:
        if lab:
            await put_to_use(Path(home), symbols, int(start.timestamp() * 1000))
        async with listening(SimExchange(market, start=start, speed=1.0, keys={}, balances={})) as url:
            settings = {
                "HOME": home,
                "MODE": "paper",
                "EXCHANGE_URL": url,
                "TELEGRAM_URL": chat.url,
                "TELEGRAM_TOKEN": "1000:FAKE-TOKEN-for-tests",
                "OWNER_ID": str(OWNER_ID),
                "SYMBOLS": ",".join(symbols),
                "TIMEFRAME": "1h",
                "HISTORY_BARS": str(bars),
            }
            env = {**os.environ, **{f"FIRSTMATE_{name}": value for name, value in settings.items()}}
            chat.say("/status")
            began = time.perf_counter()
            async with child(words, env) as process:
                await chat.wait_message(lambda message: message.from_bot, 60)
                answer_s = time.perf_counter() - began
                await settle(process.pid)
                if lab:
                    sent = len(chat.messages())
                    chat.say("/model")
                    await chat.wait_message(lambda m, sent=sent: m.from_bot and len(chat.messages()) > sent + 1, 60)
                    await settle(process.pid)
                figures = Figures(*memory_mb(process.pid), answer_s)
    await chat.stop()
    return figures


async def bare(words: list[str]) -> Figures:
    """Start a process that imports and waits."""
    began = time.perf_counter()
    async with child(words, dict(os.environ)) as process:
        assert process.stdout is not None
        if not await process.stdout.readline():
            raise SystemExit("a library is missing: pip install -r requirements-dev.lock")
        answer_s = time.perf_counter() - began
        await settle(process.pid)
        return Figures(*memory_mb(process.pid), answer_s)


async def compare(symbols: tuple[str, ...], bars: int, rounds: int) -> None:
    """Print the median of each peer."""
    runs: dict[str, list[Figures]] = {}
    for _ in range(rounds):
        for name, figures in (
            ("firstmate run, paper", await assistant(SLIM, symbols, bars)),
            ("the same, its lab in use", await assistant(SLIM, symbols, bars, lab=True)),
            ("the same, plain imports", await assistant(PLAIN, symbols, bars)),
            ("twelve libraries, idle", await bare(EAGER)),
        ):
            runs.setdefault(name, []).append(figures)
    print(f"{len(symbols)} symbols, 1h bars, {bars} bars of history, median of {rounds}")
    print(f"  {'':26}    RSS MB    PSS MB   peak MB   first answer s")
    for name, all_ in runs.items():
        of = [median(getattr(run, field) for run in all_) for field in ("rss_mb", "pss_mb", "peak_mb", "answer_s")]
        print(f"  {name:26} {of[0]:9.1f} {of[1]:9.1f} {of[2]:9.1f} {of[3]:16.2f}")
    print("  The last one answers nothing: its time is until everything is imported.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--bars", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("run it as root: a process that holds secrets shows its memory to nobody else")
    symbols = ("BTCUSDT", "ETHUSDT", *(f"C{n:02}USDT" for n in range(2, args.symbols)))[: args.symbols]
    asyncio.run(compare(symbols, args.bars, args.rounds))


if __name__ == "__main__":
    main()
