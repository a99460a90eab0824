"""What surrounds the assistant in each mode: clock, market, broker, and what the mode asks for.

Rule 1: a mode is a row in MODES, never an ``if`` elsewhere.
Rule 2: a world that is opened here is closed here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from core.adapters.binance import Binance
from core.adapters.clock import WallClock
from core.adapters.journal import SqliteJournal
from core.adapters.paper import SqlitePaperAccount
from core.adapters.statefolder import Stores
from core.configuration import QUOTE
from core.domain.market import SPANS, Bar
from core.ports import Account, Broker, Clock, MarketData, Stream
from core.setting_kinds import revealed
from core.settings import Settings
from core.sim.exchange.world import SimExchange
from core.sim.paper import open_paper

PROBE_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0


async def elsewhere(bars: Sequence[Bar]) -> None:
    """Bars meet our orders at the exchange, not in this process."""


@dataclass(frozen=True, slots=True)
class World:
    """What one mode gives the shell of the outside; ``play`` lets closed bars meet orders that are matched here.

    ``stream`` tells of our orders where an exchange does; ``account`` is set where the key's rights matter;
    ``first_trades`` entries are of reduced size; ``twinned`` where a paper twin shows what real fills cost;
    ``guarded`` where raising the stakes needs a second proof; with ``real_money`` the rule does not trade.
    """

    clock: Clock
    market: MarketData
    broker: Broker
    staged: str
    lockstep: bool = False
    play: Callable[[Sequence[Bar]], Awaitable[None]] = elsewhere
    stream: Stream | None = None
    account: Account | None = None
    first_trades: int = 0
    twinned: bool = False
    guarded: bool = False
    real_money: bool = False


async def _clock_after(kept: Stores) -> WallClock:
    """A clock that goes on from where the last run's was."""
    return WallClock(last=await SqliteJournal(kept.main).last_at())


@asynccontextmanager
async def demo_world(exchange: SimExchange, url: str, key: str, secret: str) -> AsyncIterator[World]:
    """The simulated exchange over loopback, through ccxt, its time and all."""
    staged = "SIMULATED" if exchange.market.simulated else "REPLAYED"
    binance = Binance(url, exchange, key, secret, paced=False)
    try:
        yield World(exchange, binance, binance, staged, lockstep=exchange.lockstep)
    finally:
        await binance.close()


@asynccontextmanager
async def paper_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """Binance's public data; orders go to the matching engine in this process and nowhere else."""
    clock = await _clock_after(kept)
    binance = Binance(settings.exchange_url, clock)
    account = SqlitePaperAccount(kept.main)
    cash = {QUOTE: settings.paper_cash}
    span = SPANS[settings.timeframe]
    broker = await open_paper(binance, clock, span, cash, save=account.save, load=account.load)

    async def play(bars: Sequence[Bar]) -> None:
        for bar in bars:
            await broker.on_bar(bar)

    try:
        yield World(clock, binance, broker, staged="", play=play)
    finally:
        await binance.close()


@asynccontextmanager
async def testnet_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """The exchange's testnet; it has no say about rights, and its money is worth nothing."""
    async with connected(settings, settings.testnet_url) as binance:
        stream = binance.stream(settings.user_stream_url)
        clock = await _clock_after(kept)
        yield World(clock, binance, binance, staged="", stream=stream, twinned=True, guarded=True)


@asynccontextmanager
async def live_world(settings: Settings, kept: Stores) -> AsyncIterator[World]:
    """The owner's account."""
    async with connected(settings, settings.exchange_url) as binance:
        yield World(
            await _clock_after(kept),
            binance,
            binance,
            staged="",
            stream=binance.stream(settings.user_stream_url),
            account=binance,
            first_trades=settings.first_trades,
            twinned=True,
            guarded=True,
            real_money=True,
        )


@asynccontextmanager
async def probe(settings: Settings) -> AsyncIterator[Binance]:
    """The owner's account for a look before going live: to be asked and tried out, never to trade."""
    async with connected(settings, settings.exchange_url, timeout_s=PROBE_TIMEOUT_S) as binance:
        yield binance


@asynccontextmanager
async def connected(settings: Settings, url: str, timeout_s: float = ANSWER_TIMEOUT_S) -> AsyncIterator[Binance]:
    """The account of the settings' key at this address."""
    key, secret = revealed(settings.api_key), revealed(settings.api_secret)
    binance = Binance(url, WallClock(), key, secret, timeout_s=timeout_s)
    try:
        yield binance
    finally:
        await binance.close()


Worlds = Callable[[Settings, Stores], AbstractAsyncContextManager[World]]
MODES: Mapping[str, Worlds] = {"paper": paper_world, "testnet": testnet_world, "live": live_world}
"""The worlds of the modes that run by themselves; a demo brings its exchange along (``demo_world``)."""
