"""The market that was asked for, opened: made from a seed, or read from a folder.

Rule 1: without a date a made-up market starts at the same moment every time, so a seed always means the same bars;
        a recorded one starts once there are 1,000 bars to look back on, or in the middle of a shorter record.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.arguments import MarketChoice
from core.domain.market import SPANS, from_ms, to_ms
from core.settings import Settings
from core.sim.market import Market
from core.sim.market_recorded import RecordedMarket
from core.sim.market_seeded import SeededMarket

SEEDED_START = datetime(2025, 1, 1, tzinfo=UTC)
SEEDED_HISTORY_MAX = 10_000
RECORDED_HISTORY = 1_000
FAR_MS = 1 << 60


def open_market(choice: MarketChoice, settings: Settings, start: datetime | None, seed: int) -> tuple[Market, datetime]:
    """The market and when it starts. Raises BadData where it has no such symbol, bar length or time."""
    span = SPANS[settings.timeframe]
    if choice.folder is None:
        begin = start or SEEDED_START
        history = min(settings.history_bars, SEEDED_HISTORY_MAX)
        span_ms = span // timedelta(milliseconds=1)
        return SeededMarket(settings.symbols, seed, span_ms, to_ms(begin), history), begin
    recorded = RecordedMarket(choice.folder, settings.symbols, settings.timeframe)
    return recorded, start or _after_some_history(recorded)


def _after_some_history(recorded: RecordedMarket) -> datetime:
    """Where 1,000 bars of the first symbol lie behind, or half of a record that is shorter than that."""
    rows = recorded.rows(recorded.symbols[0], 0, FAR_MS, RECORDED_HISTORY + 1)
    return from_ms(rows[-1 if len(rows) > RECORDED_HISTORY else len(rows) // 2].open_ms)
