"""A made-up market that behaves like one: always called simulated.

Rule 1: seed, symbol, bar length and start give the path; neither the other symbols nor what is asked for change it.
Rule 2: prices have regimes (up, down, range), clustered volatility (GARCH(1,1)), fat tails, a common factor across
        symbols, and volume that grows with volatility.
Rule 3: there is something to learn: rises are long and slow, falls short and steep, and in both the price swings around
        a drifting line and comes back to it, so buying after a dip of a rising line pays after costs.
Rule 4: memory is bounded: bars older than ``KEEP`` behind the newest one generated are forgotten.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from math import exp, sqrt, tanh
from random import Random

from core.sim.market import Row
from core.sim.pairs import Pair, decimals, pair

HOUR_MS = 3_600_000
KEEP = 20_000
BLOCK = 256

SIGMA_HOUR = 0.0065
GARCH_SHOCK, GARCH_MEMORY = 0.08, 0.90
COMMON_SHARE = 0.55
SWING_SHARE = 0.7
SWING_PULL = {"up": 0.12, "down": 0.12, "range": 0.03}
DRIFT = {"up": 0.11, "down": -0.25, "range": 0.0}
REGIME_BARS = {"up": 500, "down": 150, "range": 120}


class _Common:
    """The market-wide shock of each bar, standard normal with fat tails; made once, in order."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"{seed}:common")
        self._shocks = array("d")

    def shock(self, index: int) -> float:
        while len(self._shocks) <= index:
            self._shocks.append(_fat(self._rng))
        return self._shocks[index]


def _fat(rng: Random) -> float:
    """A standard normal, three times wider once in 40: kurtosis near 9."""
    return rng.gauss(0.0, 1.0) * (2.7 if rng.random() < 0.025 else 0.92)


@dataclass(slots=True)
class _Columns:
    """Bars from index ``dropped`` on, as columns."""

    dropped: int = 0
    open: array[float] = field(default_factory=lambda: array("d"))
    high: array[float] = field(default_factory=lambda: array("d"))
    low: array[float] = field(default_factory=lambda: array("d"))
    close: array[float] = field(default_factory=lambda: array("d"))
    volume: array[float] = field(default_factory=lambda: array("d"))

    @property
    def end(self) -> int:
        return self.dropped + len(self.open)

    def forget_old(self) -> None:
        if len(self.open) < 2 * KEEP:
            return
        for column in (self.open, self.high, self.low, self.close, self.volume):
            del column[:KEEP]
        self.dropped += KEEP


class _Path:
    """One symbol's walk, generated forward on demand."""

    def __init__(self, seed: int, symbol: str, span_ms: int, common: _Common) -> None:
        self.pair = pair(symbol)
        self.columns = _Columns()
        self.digits = decimals(self.pair)
        self._common = common
        self._rng = Random(f"{seed}:{symbol}:{span_ms}")
        self._sigma0 = SIGMA_HOUR * sqrt(span_ms / HOUR_MS)
        self._variance = self._sigma0**2
        self._line = 0.0
        self._swing = 0.0
        self._regime = "range"
        self._left = 40
        self._last = round(self.pair.price, self.digits)
        self._turnover = self.pair.turnover * span_ms / HOUR_MS

    def reach(self, index: int) -> _Columns:
        """Columns that hold the bar of that index."""
        while self.columns.end <= index:
            for _ in range(BLOCK):
                self._grow()
            self.columns.forget_old()
        return self.columns

    def _grow(self) -> None:
        """One bar more."""
        index = self.columns.end
        sigma = sqrt(self._variance)
        move = self._advance(index, sigma)
        price = round(self.pair.price * exp(self._line + self._swing), self.digits)
        open_, close = self._last, max(price, 10.0**-self.digits)
        self._last = close
        self._variance = (
            (1 - GARCH_SHOCK - GARCH_MEMORY) * self._sigma0**2
            + GARCH_SHOCK * min(move, 6 * self._sigma0) ** 2
            + GARCH_MEMORY * self._variance
        )
        self._append(open_, close, sigma, move)

    def _advance(self, index: int, sigma: float) -> float:
        """Move line and swing; the size of the shock."""
        rng = self._rng
        self._left -= 1
        if self._left <= 0:
            self._change_regime()
        shared = self._common.shock(index) * COMMON_SHARE
        shock = shared + _fat(rng) * sqrt(1 - COMMON_SHARE**2)
        swing_shock = shock * sqrt(SWING_SHARE) * sigma
        line_shock = rng.gauss(0.0, 1.0) * sqrt(1 - SWING_SHARE) * sigma
        self._line += DRIFT[self._regime] * self._sigma0 + line_shock
        self._swing += swing_shock - SWING_PULL[self._regime] * self._swing
        return abs(swing_shock + line_shock)

    def _change_regime(self) -> None:
        """The next regime; far above the usual price falls become likelier, far below rises do."""
        rng = self._rng
        up = 0.42 - 0.3 * tanh(1.5 * self._line)
        draw = rng.random()
        self._regime = "up" if draw < up else "range" if draw < up + 0.22 else "down"
        self._left = int(REGIME_BARS[self._regime] * (0.5 + rng.expovariate(1.6)))

    def _append(self, open_: float, close: float, sigma: float, move: float) -> None:
        rng, digits = self._rng, self.digits
        reach_up, reach_down = (abs(rng.gauss(0.0, 0.45)) * sigma for _ in range(2))
        columns = self.columns
        columns.open.append(open_)
        columns.close.append(close)
        columns.high.append(round(max(open_, close) * (1 + reach_up), digits))
        lowest = round(min(open_, close) * (1 - reach_down), digits)
        columns.low.append(max(min(lowest, open_, close), 10.0**-digits))
        activity = exp(rng.gauss(0.0, 0.35)) * (0.4 + 0.6 * (sigma + move) / (2 * self._sigma0))
        columns.volume.append(round(self._turnover / self.pair.price * activity, 5))


class SeededMarket:
    """An endless made-up market for any symbols; ``history`` bars lie before ``start_ms``."""

    simulated = True

    def __init__(self, symbols: tuple[str, ...], seed: int, span_ms: int, start_ms: int, history: int = 5_000) -> None:
        self.label = f"seeded:{seed}"
        self.symbols = symbols
        self.span_ms = span_ms
        self._origin_ms = start_ms - start_ms % span_ms - history * span_ms
        common = _Common(seed)
        self._paths = {symbol: _Path(seed, symbol, span_ms, common) for symbol in symbols}

    @property
    def first_ms(self) -> int:
        """Open time of the first bar ever made."""
        return self._origin_ms

    def pair(self, symbol: str) -> Pair:
        """The pair; KeyError for a symbol this market was not given."""
        return self._paths[symbol].pair

    def row(self, symbol: str, open_ms: int) -> Row | None:
        """The bar that opens then; None off the grid or before what is kept."""
        index, rest = divmod(open_ms - self._origin_ms, self.span_ms)
        if rest or index < 0:
            return None
        return self._row(self._paths[symbol].reach(index), index)

    def _row(self, columns: _Columns, index: int) -> Row | None:
        i = index - columns.dropped
        if i < 0:
            return None
        open_ms = self._origin_ms + index * self.span_ms
        return Row(open_ms, columns.open[i], columns.high[i], columns.low[i], columns.close[i], columns.volume[i])

    def rows(self, symbol: str, since_ms: int, until_ms: int, limit: int, newest: bool = False) -> list[Row]:
        """Up to ``limit`` bars with since <= open < until, oldest first."""
        first = max(-(-(since_ms - self._origin_ms) // self.span_ms), 0)
        end = max(-(-(until_ms - self._origin_ms) // self.span_ms), 0)
        first, end = (max(first, end - limit), end) if newest else (first, min(end, first + limit))
        if end <= first:
            return []
        columns = self._paths[symbol].reach(end - 1)
        found = (self._row(columns, index) for index in range(first, end))
        return [row for row in found if row is not None]

    def next_open(self, at_ms: int) -> int | None:
        """The next open on the grid; this market never ends."""
        return max(self._origin_ms + -(-(at_ms - self._origin_ms) // self.span_ms) * self.span_ms, self._origin_ms)
