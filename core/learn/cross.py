"""What only shows among the symbols of one bar close: rank of the day's return, beta to BTC, strength beside BTC.

Rule 1: one call a bar close, with whatever symbols have a bar there; the rest keep what was learned of them.
Rule 2: the order of symbols changes nothing, to the last bit; a symbol that comes late was missing.
Rule 3: without BTC, or before ENOUGH common bars, beta is 1 and strength 0; alone, a symbol's rank is the middle.
Rule 4: ``math``, ifs and loops only, over floats in flat sequences: compiled it gives the same bits.

Beta is cov / var of one-bar log returns around zero, both fading exponentially (RiskMetrics, J.P. Morgan, 1996);
a pair learns only where both have this bar and the same bar before it, so that both returns span the same time.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping, MutableSequence, Sequence
from functools import cache

from core.domain.errors import BadData
from core.learn.folds import State
from core.learn.layout import AT, NEVER_MS, NOTHING
from core.learn.packing import pack, unpack

NAMES = ("rank_24", "beta_btc", "strength_btc")
WIDTH = len(NAMES)
BTC = "BTCUSDT"
MEMORY = 168  # bars; weights fall by 1 - 2 / (MEMORY + 1) with each common bar
ENOUGH = 50
FADE = 1.0 - 2.0 / (MEMORY + 1.0)

# slots of one symbol
OPEN_MS = 0
VARIANCE = 1  # of BTC, over the bars this symbol has too
COVARIANCE = 2
BARS = 3
SIZE = 4

_RET_1 = AT["ret_1"]
_RET_24 = AT["ret_24"]


def new_state(symbols: int) -> list[float]:
    """A state for so many symbols that has seen no bar."""
    return [NEVER_MS, 0.0, 0.0, 0.0] * symbols


def step_cross(
    s: State,
    out: MutableSequence[float],
    open_ms: int,
    present: Sequence[int],
    ret_1: Sequence[float],
    ret_24: Sequence[float],
    btc: int,
) -> None:
    """Put WIDTH features of each symbol of ``present`` into ``out``, in that order: NaN while its ``ret_24`` is.

    ``present`` are the symbols with a bar opened at ``open_ms``, ``btc`` the place of BTC in it or -1; the returns
    are theirs, NaN where not warm.
    """
    ordered = sorted([x for x in ret_24 if x == x])
    btc_before = NEVER_MS
    if btc >= 0:
        btc_before = s[present[btc] * SIZE + OPEN_MS]
    for k in range(len(present)):
        i = present[k] * SIZE
        o = k * WIDTH
        if btc >= 0 and s[i + OPEN_MS] == btc_before:
            _learn(s, i, ret_1[k], ret_1[btc])
        out[o] = NOTHING
        out[o + 1] = NOTHING
        out[o + 2] = NOTHING
        if ret_24[k] == ret_24[k]:
            beta = _beta(s, i)
            out[o] = _rank(ordered, ret_24[k])
            out[o + 1] = beta
            out[o + 2] = 0.0
            if btc >= 0 and ret_24[btc] == ret_24[btc]:
                out[o + 2] = ret_24[k] - beta * ret_24[btc]
    for k in range(len(present)):
        s[present[k] * SIZE + OPEN_MS] = open_ms


def _learn(s: State, i: int, move: float, market: float) -> None:
    if move == move and market == market:
        s[i + VARIANCE] = s[i + VARIANCE] * FADE + market * market
        s[i + COVARIANCE] = s[i + COVARIANCE] * FADE + move * market
        s[i + BARS] += 1.0


def _beta(s: State, i: int) -> float:
    if s[i + BARS] < ENOUGH or s[i + VARIANCE] <= 0.0:
        return 1.0
    return s[i + COVARIANCE] / s[i + VARIANCE]


def _rank(ordered: Sequence[float], x: float) -> float:
    """Place of ``x`` in an ascending list that holds it, 0 lowest to 1 highest, ties in the middle of theirs."""
    n = len(ordered)
    if n < 2:
        return 0.5
    return (_first(ordered, x, False) + _first(ordered, x, True) - 1.0) / (2.0 * (n - 1.0))


def _first(ordered: Sequence[float], x: float, above: bool) -> int:
    """Place of the first value that is at least ``x``, or above it."""
    low = 0
    high = len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < x or (above and ordered[middle] == x):
            low = middle + 1
        else:
            high = middle
    return low


class Cross:
    """The same fold kept by symbol, for bars as they come."""

    def __init__(self) -> None:
        self._place: dict[str, int] = {}
        self._state: list[float] = []

    def seen(self, open_ms: int, rows: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
        """Features named NAMES of each symbol whose bar opened at ``open_ms``, given their feature rows.

        Raises BadData where that bar close is not newer than the newest one seen.
        """
        if any(self.newest_ms(symbol) >= open_ms for symbol in rows):
            raise BadData("a bar close that is already part of the forecast was compared again")
        symbols = sorted(rows)
        present = [self._place_of(symbol) for symbol in symbols]
        out = [NOTHING] * (WIDTH * len(symbols))
        ret_1 = [rows[symbol][_RET_1] for symbol in symbols]
        ret_24 = [rows[symbol][_RET_24] for symbol in symbols]
        btc = symbols.index(BTC) if BTC in rows else -1
        step_cross(self._state, out, open_ms, present, ret_1, ret_24, btc)
        return {symbol: tuple(out[k * WIDTH : (k + 1) * WIDTH]) for k, symbol in enumerate(symbols)}

    def dump(self) -> bytes:
        """Everything learned, as bytes that ``restore`` of the same version takes."""
        return pack(version(), ",".join(self._place), self._state)

    def restore(self, body: bytes) -> None:
        """Go on where ``dump`` was made; BadData, and no change, on another version."""
        head, state = unpack(version(), body)
        symbols = head.split(",") if head else []
        if len(state) != len(symbols) * SIZE or len(set(symbols)) != len(symbols):
            raise BadData("a saved comparison of symbols is damaged: it will be folded again from the stored bars")
        self._place = {symbol: k for k, symbol in enumerate(symbols)}
        self._state = state

    def newest_ms(self, symbol: str) -> float:
        """Open time of the newest bar of a symbol that was compared, negative before the first."""
        place = self._place.get(symbol)
        return NEVER_MS if place is None else self._state[place * SIZE + OPEN_MS]

    def _place_of(self, symbol: str) -> int:
        if symbol not in self._place:
            self._place[symbol] = len(self._place)
            self._state += new_state(1)
        return self._place[symbol]


@cache
def version() -> str:
    """Name of this way to compare, 64 hex digits: sha256 of its source."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()
