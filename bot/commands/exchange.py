"""`firstmate exchange`: the simulated exchange alone, for any client that speaks Binance spot.

Rule 1: its one account has the key and secret printed at the start; they are made up and open nothing else.
Rule 2: with --state every request is logged there, and the next start with the same flags goes on from it;
        without, everything ends with the process.
Rule 3: at speed 1 it checks request times like Binance: a made-up market that nobody keeps starts now, on the wall's
        clock; otherwise clients must ask for its time. At any other speed times are not checked; at speed max time
        moves only when ``POST /sim/v1/advance`` says so.
Rule 4: with --faults it answers as badly as networks and exchanges do: late, twice, not at all, or of the past.
"""

from __future__ import annotations

import asyncio
import math
from argparse import Namespace
from contextlib import nullcontext
from datetime import UTC, datetime

from bot.markets import open_market
from bot.standalone import until_stopped
from core.adapters import statelock, telemetry
from core.settings import Settings
from core.sim.exchange.server import Faults, serve
from core.sim.market import Market

KEY, SECRET = "FAKE-exchange-key", "FAKE-exchange-secret"
LOG = "exchange.jsonl"


def main(args: Namespace, settings: Settings) -> int:
    """Serve until stopped; 0. Raises BadData or NeedsOwner where it cannot start."""
    telemetry.start(settings)
    market, start = open_market(args.market, settings, args.start or _now(args), args.seed)
    with statelock.hold(args.state) if args.state else nullcontext():
        asyncio.run(until_stopped(_serve(args, settings, market, start)))
    print("Stopped.")
    return 0


def _now(args: Namespace) -> datetime | None:
    """Now, where a market can begin at any time and will not be gone on with; else None."""
    fleeting = args.market.folder is None and args.state is None
    return datetime.now(UTC) if fleeting and (args.speed or 1.0) == 1.0 else None


async def _serve(args: Namespace, settings: Settings, market: Market, start: datetime) -> None:
    speed = args.speed or 1.0

    def say(found: asyncio.Future[str]) -> None:
        if not found.cancelled():
            print(told(found.result(), market, start, speed, args.faults), flush=True)

    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(say)
    await serve(
        args.port,
        market,
        None if math.isinf(speed) else speed,
        start=start,
        keys={KEY: SECRET},
        balances={"USDT": settings.paper_cash},
        path=args.state / LOG if args.state else None,
        faults=Faults(*args.faults) if args.faults else None,
        ready=ready,
    )


def told(url: str, market: Market, start: datetime, speed: float, faults: tuple[int, float] | None = None) -> str:
    """Where it is, whose account it has, and how to point ccxt at it."""
    pace = f"speed {speed:g}" if math.isfinite(speed) else f"lock-step: POST {url}/sim/v1/advance plays a bar"
    if speed != 1.0:
        pace += "; request times are not checked"
    streams = url.replace("http", "ws", 1)
    broken = _told_faults(url, *faults) if faults else ""
    return f"""\
Simulated exchange at {url}, {market.label} from {start:%Y-%m-%d %H:%M} UTC, {pace}
Symbols: {", ".join(market.symbols)}
Streams: {streams}/ws and {streams}/stream, user stream {streams}/ws-api/v3
{broken}
import ccxt
exchange = ccxt.binance({{
    "apiKey": "{KEY}", "secret": "{SECRET}",
    "options": {{"defaultType": "spot", "fetchMarkets": {{"types": ["spot"]}}, "fetchCurrencies": False,
                "fetchMargins": False, "adjustForTimeDifference": True}},
}})
exchange.urls["api"].update(public="{url}/api/v3", private="{url}/api/v3", sapi="{url}/sapi/v1")

Ctrl-C stops."""


def _told_faults(url: str, seed: int, share: float) -> str:
    calm = f"POST {url}/sim/v1/faults?share=0 calms it down"
    return f"Faults: in {share:.0%} of the requests, drawn from seed {seed}; {calm}\n"
