"""`firstmate demo`: the whole assistant on a simulated exchange, with a chat in the browser or a transcript.

Rule 1: with --headless everything said goes to stdout, progress to stderr where that is a terminal.
Rule 2: exit 0 only when the assistant's money equals the exchange's ledger to the last unit.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from bot.demo import Account, Plan, Stage, compare, mark_finished, plan_of, run_to_end, settle_folder, stage
from core.adapters import statelock, telemetry
from core.adapters.folders import folder_of
from core.domain.errors import BadData
from core.run.supervisor import run_together
from core.settings import Settings

BARS_A_MINUTE = 12  # how fast an interactive demo goes by default
WATCHDOG_S = 10.0


def main(args: Namespace, settings: Settings) -> int:
    """Run a demo; 0 when it ended well or was stopped, 1 when the books do not agree."""
    telemetry.start(settings, unset="warning")
    plan = _plan(args, settings)
    if args.headless and plan.speed is not None and plan.end is None:
        raise BadData("--headless needs an end: add --bars N or --speed max.")
    with statelock.hold(settings.home):
        folder = folder_of(settings.home, "demo")
        said = settle_folder(folder, plan.papers)
        if said:
            print(said, flush=True)
        try:
            return asyncio.run(_run(plan, settings, folder))
        except asyncio.CancelledError:
            return 130


def _plan(args: Namespace, settings: Settings) -> Plan:
    from core.domain.market import SPANS

    span_s = SPANS[settings.timeframe].total_seconds()
    speed = args.speed or (math.inf if args.headless else span_s * BARS_A_MINUTE / 60)
    return plan_of(
        args.market,
        settings,
        start=args.start,
        bars=args.bars,
        speed=speed,
        seed=args.seed,
        headless=args.headless,
    )


async def _run(plan: Plan, settings: Settings, folder: Path) -> int:
    async with stage(plan, settings, folder, _print_line) as staged:
        if plan.speed is None:
            return await _to_the_end(staged, plan, folder)
        return await _until_stopped(staged, plan, folder)


async def _to_the_end(staged: Stage, plan: Plan, folder: Path) -> int:
    if not plan.headless:
        print(f"Chat: {staged.chat.page_url}", flush=True)
    with _progress(plan) as step:
        accounts = await run_to_end(staged, step)
    mark_finished(folder, plan.papers)
    return _summary(staged, accounts)


async def _until_stopped(staged: Stage, plan: Plan, folder: Path) -> int:
    """Let the market run at its speed until it is over or somebody stops the demo."""
    stop, over = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _greet(staged, plan)

    async def work() -> None:
        await staged.assistant.work(lambda: None, WATCHDOG_S)

    async def end() -> None:
        if plan.end:
            await asyncio.sleep((plan.end - staged.exchange.now()).total_seconds() / staged.exchange.speed)
            over.set()
            stop.set()
        await asyncio.Event().wait()

    await run_together({**staged.assistant.parts(), **staged.app.parts(), "assistant": work, "end": end}, stop)
    if over.is_set():
        mark_finished(folder, plan.papers)
        return _summary(staged, compare(staged))
    print("Stopped. The same command goes on from here.", flush=True)
    return 0


def _greet(staged: Stage, plan: Plan) -> None:
    market = "A SIMULATED market" if plan.market.simulated else "A recorded market, replayed"
    print(
        f"firstmate demo. {market}, simulated money, nothing leaves this computer.\n"
        f"Chat:  {staged.chat.page_url}\n"
        f"       Open it in a browser; the link works once. Ctrl-C stops.",
        flush=True,
    )
    staged.chat.on_page_opened(lambda: print(f"Next link: {staged.chat.page_url}", flush=True))


def _print_line(text: str) -> None:
    print(text, flush=True)


@contextmanager
def _progress(plan: Plan) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, silence elsewhere."""
    with tqdm(total=plan.papers.bars or None, unit="bar", disable=not sys.stderr.isatty(), file=sys.stderr) as bar:

        def step(bars: int) -> None:
            bar.update(bars)

        yield step


def _summary(staged: Stage, accounts: list[Account]) -> int:
    """Print the comparison; 0 when both ledgers agree."""
    state = staged.assistant.desk.state
    seen = staged.assistant.desk.overview()
    print(f"\nSummary at {staged.exchange.now():%Y-%m-%d %H:%M} UTC, journal line {state.seq}")
    print(f"equity {seen.equity:.2f} {seen.quote}, {len(seen.positions)} open positions, cash {seen.cash:.2f}")
    print(f"{'asset':<8}{'assistant':>28}{'exchange ledger':>28}")
    for account in accounts:
        print(f"{account.asset:<8}{account.ours.normalize():>28f}{account.exchange.normalize():>28f}")
    wrong = [account.asset for account in accounts if account.ours != account.exchange]
    if wrong:
        print(f"The ledgers differ in {', '.join(wrong)}.", file=sys.stderr)
        return 1
    print("Both ledgers agree to the last unit of each asset.")
    return 0
