"""The exchange's rules for our symbols, read again before they are needed.

Rule 1: a button is shown, and an order sent, by rules that are minutes old at most: filters, status and fees change
        while we run.
Rule 2: where they cannot be read, the last ones hold: the exchange itself refuses what they would let through.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from core.domain.errors import BadData, OutcomeUnknown, Refused, RetryLater
from core.domain.events import InstrumentsSeen
from core.ports import Clock, MarketData
from core.run.engine import Engine

FRESH_FOR = timedelta(minutes=5)
log = structlog.get_logger()


class Rules:
    """Posts the rules of ``symbols`` where they are new or changed."""

    def __init__(self, engine: Engine, market: MarketData, clock: Clock, symbols: Sequence[str], quote: str) -> None:
        self._engine = engine
        self._market = market
        self._clock = clock
        self._symbols = tuple(symbols)
        self._quote = quote
        self._read_at: datetime | None = None

    async def read(self) -> None:
        """Read them now. Raises BadData for an unknown symbol or another quote, RetryLater."""
        rules = dict(await self._market.instruments(self._symbols))
        for symbol, instrument in rules.items():
            if instrument.quote != self._quote:
                raise BadData(
                    f"{symbol} is paid in {instrument.quote}: only pairs against {self._quote} can be traded."
                )
        self._read_at = self._clock.now()
        held = self._engine.state.instruments
        if any(held.get(symbol) != instrument for symbol, instrument in rules.items()):
            await self._engine.post(InstrumentsSeen(self._read_at, "rules", rules))

    async def freshen(self) -> None:
        """Read them unless that was done a moment ago; an exchange that cannot answer now is asked the next time."""
        now = self._clock.now()
        if self._read_at and now - self._read_at < FRESH_FOR:
            return
        try:
            await self.read()
        except (RetryLater, OutcomeUnknown, Refused, BadData) as later:
            log.warning("the rules could not be read", why=later.user_text)
