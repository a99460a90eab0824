"""What can be asked: the state and the store in the words of the bot.

Rule 1: a question is answered from the committed state, the store or the market; it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from core.domain.errors import BadData, FirstmateError
from core.domain.market import Bar
from core.domain.orders import Order
from core.domain.state import Decision, State, Trade
from core.ports import BarStore, Clock, MarketData, Records
from core.run.engine import Engine
from core.run.overview import LimitLine, Overview, limit_lines, overview

CHART_BARS = 96
PRICE_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class About:
    """What is running: its mode, what it watches, and ``staged``: SIMULATED, REPLAYED, or empty for a real market.

    ``guarded`` where a press in the chat is not enough to raise the stakes.
    """

    mode: str
    staged: str
    symbols: tuple[str, ...]
    span: timedelta
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /health: a name, whether it is well, and what was measured."""

    name: str
    well: bool
    text: str


class Questions:
    """Everything that may be asked of one assistant."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        bars: BarStore,
        records: Records,
        about: About,
        health: Callable[[], Sequence[Check]],
        market: MarketData,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._bars = bars
        self._records = records
        self._health = health
        self._market = market
        self._more_health: list[Callable[[], Check]] = []
        self.about = about

    @property
    def state(self) -> State:
        """The committed state."""
        return self._engine.state

    @property
    def zone(self) -> ZoneInfo:
        """The owner's time zone."""
        return ZoneInfo(self.state.time_zone)

    def overview(self) -> Overview:
        """Everything at one glance."""
        return overview(self.state, self._clock.now())

    def limits(self) -> tuple[LimitLine, ...]:
        """Every limit and how much of it is used."""
        return limit_lines(self.state, self._clock.now())

    def health(self) -> tuple[Check, ...]:
        """What is well and what is not."""
        return (*self._health(), *(check() for check in self._more_health))

    def add_check(self, check: Callable[[], Check]) -> None:
        """Let /health show one more line, from a part the machine does not know."""
        self._more_health.append(check)

    def symbol(self, text: str) -> str:
        """The watched symbol meant by ``text`` ("btc", "BTC/USDT"), the first one when empty. Raises BadData."""
        if not text:
            return self.about.symbols[0]
        plain = "".join(c for c in text.upper() if c.isalnum())
        for symbol in (plain, plain + self.state.quote):
            if symbol in self.about.symbols:
                return symbol
        raise BadData(f"I do not watch {text[:20]}. I watch {', '.join(self.about.symbols)}.")

    def decision(self, symbol: str) -> Decision | None:
        """The newest decision about a symbol."""
        return self.state.decisions.get(symbol)

    async def chart_bars(self, symbol: str, until: Decision | None = None) -> Sequence[Bar]:
        """The newest closed bars of a symbol, oldest first, up to the bar of ``until``."""
        mark = self.state.marks.get(symbol)
        last = until.bar_open_at if until else mark.bar.open_at if mark else self._clock.now()
        since = last - self.about.span * (CHART_BARS - 1)
        bars = [bar async for block in self._bars.stream(symbol, self.about.span, since) for bar in block]
        return [bar for bar in bars if bar.open_at <= last][-CHART_BARS:]

    async def trades(self, limit: int = 10) -> Sequence[Trade]:
        """Closed round trips, newest first."""
        return await self._records.trades(limit)

    async def recent_orders(self, limit: int = 10) -> Sequence[Order]:
        """Orders of any state, newest first."""
        return await self._records.orders(limit)

    async def price(self, symbol: str) -> Decimal | None:
        """What one unit costs now, quote per base; None where nobody can say in time."""
        try:
            async with asyncio.timeout(PRICE_WITHIN_S):
                return (await self._market.quotes([symbol]))[symbol].ask
        except (FirstmateError, TimeoutError):
            return None
