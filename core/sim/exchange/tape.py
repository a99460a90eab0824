"""What can be seen of the market at one moment: candles, last price, quote, book.

Rule 1: nothing at or after ``now_ms`` is ever shown; the running candle holds the steps that have passed.
Rule 2: one moment shows one picture: every number here is a function of the market and ``now_ms``.
Rule 3: the book is the impact law turned round: taking a quantity from it costs what the matching charges.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from core.decide.costs import PARKINSON, Fills
from core.decide.venue import Liquidity, Rules
from core.domain.market import as_decimal
from core.sim.market import STEPS, Market, Row, steps_of
from core.sim.pairs import decimals

INTERVALS: dict[str, int] = {
    name: minutes * 60_000
    for name, minutes in {
        "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
        "12h": 720, "1d": 1440,
    }.items()
}  # fmt: skip
DAY_MS = 86_400_000
TYPICAL_BARS = 24
HISTORY_END = 1 << 62
Level = tuple[Decimal, Decimal]


class Bounds(NamedTuple):
    """Which candles are asked for: open times since..until inclusive, at most ``limit``."""

    since_ms: int | None
    until_ms: int | None
    limit: int


def union(rows: list[Row], open_ms: int) -> Row:
    """One bar that covers all of ``rows`` (at least one)."""
    return Row(
        open_ms,
        rows[0].open,
        max(r.high for r in rows),
        min(r.low for r in rows),
        rows[-1].close,
        sum(r.volume for r in rows),
    )


class Tape:
    """The market up to ``now_ms``."""

    def __init__(self, market: Market, fills: Fills, now_ms: int) -> None:
        self.market = market
        self.now_ms = now_ms
        self._fills = fills
        self._steps: dict[str, tuple[Row, tuple[Row, ...]]] = {}
        self._typical: dict[str, tuple[int, Decimal, Decimal]] = {}
        self._rules = {symbol: market.pair(symbol).rules for symbol in market.symbols}
        self._digits = {symbol: decimals(market.pair(symbol)) for symbol in market.symbols}

    @property
    def step_ms(self) -> int:
        """Length of one step inside a bar."""
        return self.market.span_ms // STEPS

    @property
    def bar_ms(self) -> int:
        """Open time of the running bar."""
        return self.now_ms - self.now_ms % self.market.span_ms

    def rules(self, symbol: str) -> Rules:
        """The rules that hold for the symbol now."""
        return self._rules[symbol]

    def set_rules(self, symbol: str, rules: Rules) -> None:
        """From now on the book has another grid."""
        self._rules[symbol] = rules

    def steps(self, symbol: str, row: Row) -> tuple[Row, ...]:
        """The small bars inside ``row``."""
        kept = self._steps.get(symbol)
        if kept is None or kept[0] != row:
            kept = (row, steps_of(symbol, row, self.market.span_ms, self._digits[symbol]))
            self._steps[symbol] = kept
        return kept[1]

    def passing(self, symbol: str, open_ms: int, whole: bool) -> Row | None:
        """The bar, or the step of one, that opens at ``open_ms``; None in a hole."""
        inside = open_ms % self.market.span_ms
        row = self.market.row(symbol, open_ms - inside)
        return row if row is None or whole else self.steps(symbol, row)[inside * STEPS // self.market.span_ms]

    def _passed(self, symbol: str) -> list[Row]:
        """Steps of the running bar that have ended."""
        count = (self.now_ms - self.bar_ms) // self.step_ms
        row = self.market.row(symbol, self.bar_ms) if count else None
        return list(self.steps(symbol, row)[:count]) if row else []

    def running(self, symbol: str) -> Row | None:
        """The candle that is not finished; flat at the last price just after its open; None in a hole."""
        passed = self._passed(symbol)
        if passed:
            return union(passed, self.bar_ms)
        if self.market.row(symbol, self.bar_ms) is None:
            return None
        last = self.last(symbol)
        return Row(self.bar_ms, last, last, last, last, 0.0) if last else None

    def last(self, symbol: str) -> float:
        """Last traded price, quote per base; 0 before the symbol's first bar."""
        passed = self._passed(symbol)
        if passed:
            return passed[-1].close
        closed = self.market.rows(symbol, 0, self.bar_ms, 1, newest=True)
        return closed[0].close if closed else 0.0

    def candles(self, symbol: str, interval_ms: int, bounds: Bounds) -> list[Row]:
        """Candles of any multiple of the base (or of a step), the unfinished one last, oldest first."""
        factor = max(interval_ms // self.market.span_ms, 1)
        newest = bounds.since_ms is None
        since = 0 if bounds.since_ms is None else -(-bounds.since_ms // interval_ms) * interval_ms
        until = HISTORY_END if bounds.until_ms is None else bounds.until_ms // interval_ms * interval_ms + interval_ms
        base = self._base(symbol, since, min(until, self.now_ms + 1), (bounds.limit + 1) * factor, newest)
        if interval_ms < self.market.span_ms:
            base = [s for row in base for s in self._split(symbol, row)]
        groups: dict[int, list[Row]] = {}
        for row in base:
            groups.setdefault(row.open_ms // interval_ms * interval_ms, []).append(row)
        made = [union(rows, open_ms) for open_ms, rows in groups.items() if since <= open_ms < until]
        return made[-bounds.limit :] if newest else made[: bounds.limit]

    def _base(self, symbol: str, since: int, until: int, limit: int, newest: bool) -> list[Row]:
        """Closed base bars and the running one."""
        floor_ms = since - since % self.market.span_ms
        rows = self.market.rows(symbol, floor_ms, min(until, self.bar_ms), limit, newest)
        running = self.running(symbol) if until > self.bar_ms >= floor_ms else None
        if running is not None and (newest or len(rows) < limit):
            rows.append(running)
        return rows

    def _split(self, symbol: str, row: Row) -> list[Row]:
        if row.open_ms == self.bar_ms:
            return self._passed(symbol) or [row]
        return list(steps_of(symbol, row, self.market.span_ms, self._digits[symbol]))

    def serves(self, interval_ms: int) -> bool:
        """Whether candles of this length can be made."""
        span = self.market.span_ms
        return interval_ms % span == 0 or (interval_ms < span and interval_ms % self.step_ms == 0)

    def day(self, symbol: str) -> Row | None:
        """The last 24 hours as one candle; None where nothing traded."""
        rows = self._base(symbol, self.now_ms - DAY_MS, self.now_ms + 1, DAY_MS // self.market.span_ms + 2, True)
        return union(rows, rows[0].open_ms) if rows else None

    def _usual(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Volume (base units) and volatility (fraction) of a typical recent bar."""
        kept = self._typical.get(symbol)
        if kept is None or kept[0] != self.bar_ms:
            rows = self.market.rows(symbol, 0, self.bar_ms, TYPICAL_BARS, newest=True)
            count = max(len(rows), 1)
            volume = as_decimal(round(sum(r.volume for r in rows) / count, 8))
            spread = as_decimal(round(sum((r.high - r.low) / r.close for r in rows) / count, 8))
            kept = (self.bar_ms, volume, spread / PARKINSON)
            self._typical[symbol] = kept
        return kept[1], kept[2]

    def liquidity(self, symbol: str) -> Liquidity | None:
        """What an order meets now; None before the first trade."""
        last = self.last(symbol)
        if not last:
            return None
        instrument = self.rules(symbol).instrument
        price = as_decimal(last)
        bid = max(instrument.floor_price(price * (1 - self._fills.half_spread)), instrument.tick)
        ask = max(instrument.ceil_price(price * (1 + self._fills.half_spread)), bid + instrument.tick)
        return Liquidity(bid, ask, *self._usual(symbol))

    def book(self, symbol: str, levels: int) -> tuple[list[Level], list[Level]]:
        """Bids and asks as (price, base units), best first."""
        market = self.liquidity(symbol)
        if market is None:
            return [], []
        return self._side(symbol, market, levels, False), self._side(symbol, market, levels, True)

    def _side(self, symbol: str, market: Liquidity, levels: int, up: bool) -> list[Level]:
        """The average cost k*sigma*sqrt(q/V) means a marginal one 3/2 as high; solved for q, level by level."""
        instrument = self.rules(symbol).instrument
        best = market.ask if up else market.bid
        step = max(instrument.round_price(best * Decimal("0.00005")), instrument.tick)
        scale = max(self._fills.impact * market.sigma * Decimal("1.5") * best, instrument.tick)
        found: list[Level] = []
        for i in range(levels):
            price = best + step * i if up else best - step * i
            qty = instrument.floor_qty(market.volume * (step / scale) ** 2 * (2 * i + 1))
            if price > 0:
                found.append((price, max(qty, instrument.lot)))
        return found
