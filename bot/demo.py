"""A demo: simulated exchange, local chat and the assistant in one process, talking over loopback as in real life.

Rule 1: one folder holds one demo; the same one goes on where it was, another or a finished one is put aside.
Rule 2: at speed max time moves by ``advance`` only: market, assistant and chat take turns, so a run can be repeated.
Rule 3: at the end the assistant's money is compared with the exchange's own ledger, asset by asset.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bot.app import App, ChatAddress
from bot.arguments import MarketChoice
from bot.markets import open_market
from core.adapters.statefolder import stores
from core.compose import compose
from core.domain.errors import BadData
from core.domain.market import SPANS, ZERO
from core.run.assistant import Assistant
from core.run.supervisor import run_together
from core.settings import Settings
from core.sim.chat.server import ChatServer
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market import Market
from core.worlds import demo_world

KEY, SECRET, TOKEN = "demo-key", "demo-secret", "1000:local-demo-chat"
OWNER_ID = 1
INSTALL = "fmdem"
APPROVE_WALL_S = 120
LAST_WORDS = ("/status", "/positions", "/trades", "/balance")
PAPERS = "demo.json"
PORT = "chat.port"


class Papers(msgspec.Struct, frozen=True):
    """What makes a demo this demo and no other; ``finished`` once its last bar was traded."""

    market: str
    symbols: tuple[str, ...]
    timeframe: str
    start: datetime
    bars: int
    seed: int
    cash: Decimal
    approve: str
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run it: ``speed`` None is lock-step; ``end`` None goes on until stopped."""

    papers: Papers
    market: Market
    speed: float | None
    end: datetime | None
    headless: bool


@dataclass(frozen=True, slots=True)
class Account:
    """One asset at the end: what the assistant holds by its own books, and the exchange's word."""

    asset: str
    ours: Decimal
    exchange: Decimal


@dataclass(frozen=True, slots=True)
class Stage:
    """A demo that is running: everything in it."""

    plan: Plan
    exchange: SimExchange
    chat: ChatServer
    app: App
    assistant: Assistant


def plan_of(
    choice: MarketChoice,
    settings: Settings,
    *,
    start: datetime | None,
    bars: int | None,
    speed: float,
    seed: int,
    headless: bool,
) -> Plan:
    """The plan, its market opened. Raises BadData where the market has no such symbol, bar length or time."""
    span = SPANS[settings.timeframe]
    market, begin = open_market(choice, settings, start, seed)
    papers = Papers(
        market=f"{choice.kind}:{choice.folder.resolve()}" if choice.folder else choice.kind,
        symbols=settings.symbols,
        timeframe=settings.timeframe,
        start=begin,
        bars=bars or 0,
        seed=seed,
        cash=settings.paper_cash,
        approve=settings.approve,
    )
    lockstep = math.isinf(speed)
    end = begin + span * bars if bars else None
    return Plan(papers, market, None if lockstep else speed, end, headless)


def settle_folder(folder: Path, papers: Papers) -> str:
    """Make ``folder`` ready for this demo; what it did, in one sentence, or empty for a fresh start."""
    said = ""
    if folder.exists():
        found = _read(folder)
        if found == papers:
            return "Going on with the demo that was interrupted here."
        aside = _put_aside(folder)
        said = f"The earlier demo is kept in {aside}."
    folder.mkdir(mode=0o700, parents=True)
    _write(folder, papers)
    return said


def _read(folder: Path) -> Papers | None:
    try:
        return msgspec.json.decode((folder / PAPERS).read_bytes(), type=Papers)
    except (OSError, msgspec.DecodeError):
        return None


def _write(folder: Path, papers: Papers) -> None:
    beside = folder / (PAPERS + ".new")
    beside.write_bytes(msgspec.json.encode(papers))
    beside.replace(folder / PAPERS)


def _put_aside(folder: Path) -> Path:
    """Rename the folder to the next free number; a stand-in's past is small and the owner's to delete."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


@asynccontextmanager
async def stage(plan: Plan, settings: Settings, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """Everything put together and listening, not yet awake; taken down in reverse order."""
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(stores(folder))  # first, so that a bad database changes nothing else
        exchange = SimExchange(
            plan.market,
            start=plan.papers.start,
            speed=plan.speed,
            keys={KEY: SECRET},
            balances={"USDT": plan.papers.cash},
            path=folder / "exchange.jsonl",
        )
        stack.callback(exchange.close)
        chat = await _open_chat(folder, exchange.now, say if plan.headless else None)
        stack.push_async_callback(chat.stop)
        url = await stack.enter_async_context(listening(exchange))
        world = await stack.enter_async_context(demo_world(exchange, url, KEY, SECRET))
        window_s = settings.approve_window_s if plan.speed is None else math.ceil(APPROVE_WALL_S * plan.speed)
        whole = await compose(settings, "demo", kept, world, INSTALL, window_s)
        app = App(
            ChatAddress(chat.url, TOKEN, OWNER_ID, gap_s=0.0),
            whole.assistant.desk,
            whole.outbox,
            whole.assistant.engine,
            lab=whole.lab,
        )
        stack.push_async_callback(app.close)
        yield Stage(plan, exchange, chat, app, whole.assistant)


async def _open_chat(folder: Path, now: Callable[[], datetime], say: Callable[[str], None] | None) -> ChatServer:
    """The chat, listening where it did before, so that a page left open finds it; elsewhere where that is taken."""
    for port in (_port_before(folder), 0):
        chat = ChatServer(TOKEN, OWNER_ID, path=folder / "chat.jsonl", now=now, transcript=say)
        try:
            await chat.start(port=port)
            break
        except ValueError as fault:
            raise BadData(f"The chat of this demo cannot be opened: {fault}.") from fault
        except OSError:
            if port == 0:
                raise
    (folder / PORT).write_text(f"{urlsplit(chat.url).port}\n")
    return chat


def _port_before(folder: Path) -> int:
    """The port the chat had the last time, 0 where none is known."""
    try:
        text = (folder / PORT).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return 0
    return int(text) if text.isascii() and text.isdigit() and int(text) < 65_536 else 0


async def run_to_end(staged: Stage, progress: Callable[[int], None]) -> list[Account]:
    """Play a lock-step demo to its end with the owner's first and last words; the accounts at the end."""
    finished = asyncio.Event()
    accounts: list[Account] = []

    async def drive() -> None:
        await staged.assistant.wake()
        await staged.app.courier.drained()  # what it said as it woke comes before the owner's first word, in every run
        if all(message.from_bot for message in staged.chat.messages()):  # an interrupted demo has greeted already
            await _owner_says(staged, "/start")
        await _beats(staged, progress)
        for words in LAST_WORDS:
            await _owner_says(staged, words)
        accounts.extend(compare(staged))
        await staged.assistant.save()
        finished.set()

    await run_together({**staged.assistant.parts(), **staged.app.parts(), "demo": drive}, finished)
    return accounts


async def _beats(staged: Stage, progress: Callable[[int], None]) -> None:
    """First what an interruption left half-done, then one beat a bar."""
    end = staged.plan.end
    await staged.assistant.beat()
    while end is None or staged.exchange.now() < end:
        if staged.exchange.advance() is None:
            return
        await staged.assistant.beat()
        await staged.app.courier.drained()
        progress(1)


async def _owner_says(staged: Stage, text: str) -> None:
    """Type a command and wait for its answer."""
    known = {message.id for message in staged.chat.messages()}
    staged.chat.say(text)
    await staged.chat.wait_message(lambda m: m.from_bot and m.id not in known, timeout_s=30.0)


def compare(staged: Stage) -> list[Account]:
    """Every asset by the assistant's books and by the exchange's own ledger."""
    ours = staged.assistant.desk.state.balances
    theirs = staged.exchange.totals()
    assets = sorted({a for a, held in ours.items() if held} | {a for a, held in theirs.items() if held})
    return [Account(asset, ours.get(asset, ZERO), theirs.get(asset, ZERO)) for asset in assets]


def mark_finished(folder: Path, papers: Papers) -> None:
    """Remember that this demo is over, so that the same command starts it anew."""
    _write(folder, msgspec.structs.replace(papers, finished=True))
