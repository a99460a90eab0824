"""Which symbols move together: exponentially weighted correlation of one-bar log returns.

Rule 1: a pair learns from a bar time once, when the later of its two bars arrives, whatever the order of arrival.
Rule 2: a bar a symbol missed, or the first after a hole, teaches nothing: a return spans exactly one bar.
Rule 3: one bar costs work proportional to the number of symbols; what is kept is bounded by it too.

Returns are taken around zero: an hour's drift is far below an hour's noise, and a mean would have to be estimated.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from datetime import timedelta
from functools import cache
from itertools import combinations

from core.domain.errors import BadData
from core.learn.packing import pack, unpack

MEMORY = 200  # bars; a pair's weights fall by 1 - 2 / (MEMORY + 1) with each bar both have
ENOUGH = 50  # bars both must have before the pair has a correlation
DEPTH = 240  # bars one symbol may lag behind another
PEER_CORRELATION = 0.7

_FADE = 1.0 - 2.0 / (MEMORY + 1.0)
_NEVER = -1.0
# a lane: open time and log close of the newest bar, then DEPTH open times, then DEPTH returns
_LANE = 2 + 2 * DEPTH
_PAIR = 4


class Correlation:
    """Correlations among the symbols of one bar length; from ``peer_correlation`` on, two symbols count as peers."""

    def __init__(self, span: timedelta, peer_correlation: float = PEER_CORRELATION) -> None:
        self._peer_correlation = peer_correlation
        self._span_ms = span // timedelta(milliseconds=1)
        self._lanes: dict[str, list[float]] = {}
        self._pairs: dict[tuple[str, str], list[float]] = {}

    def seen(self, symbol: str, open_ms: int, close: float) -> None:
        """Learn from one closed bar; one not newer than the symbol's newest is ignored."""
        lane = self._lanes.setdefault(symbol, [_NEVER] * (2 + DEPTH) + [0.0] * DEPTH)
        if open_ms <= lane[0]:
            return
        log_close = math.log(close)
        if open_ms - lane[0] == self._span_ms:
            self._learn(symbol, lane, open_ms, log_close - lane[1])
        lane[0] = open_ms
        lane[1] = log_close

    def _learn(self, symbol: str, lane: list[float], open_ms: int, move: float) -> None:
        slot = 2 + (open_ms // self._span_ms) % DEPTH
        lane[slot] = open_ms
        lane[slot + DEPTH] = move
        for other, theirs in self._lanes.items():
            if other != symbol and theirs[slot] == open_ms:
                pair = self._pairs.setdefault(_key(symbol, other), [0.0] * _PAIR)
                x, y = (move, theirs[slot + DEPTH]) if symbol < other else (theirs[slot + DEPTH], move)
                pair[0] = pair[0] * _FADE + x * x
                pair[1] = pair[1] * _FADE + y * y
                pair[2] = pair[2] * _FADE + x * y
                pair[3] += 1.0

    def between(self, one: str, other: str) -> float | None:
        """Correlation, -1..1, of two symbols, or None while they share too few bars or one does not move."""
        pair = self._pairs.get(_key(one, other))
        if pair is None or pair[3] < ENOUGH:
            return None
        scale = math.sqrt(pair[0]) * math.sqrt(pair[1])
        return max(-1.0, min(1.0, pair[2] / scale)) if scale > 0.0 else None

    def peers(self, symbol: str) -> tuple[str, ...]:
        """The other symbols that move with this one, by name."""
        return tuple(other for other in sorted(self._lanes) if other != symbol and self._tied(symbol, other))

    def _tied(self, one: str, other: str) -> bool:
        value = self.between(one, other)
        return value is not None and value >= self._peer_correlation

    def dump(self) -> bytes:
        """Everything learned, as bytes that ``restore`` of the same version takes."""
        symbols = sorted(self._lanes)
        numbers: list[float] = []
        for symbol in symbols:
            numbers += self._lanes[symbol]
        for pair in combinations(symbols, 2):
            numbers += self._pairs.get(pair, [0.0] * _PAIR)
        return pack(version(), f"{self._span_ms} {','.join(symbols)}", numbers)

    def restore(self, body: bytes) -> None:
        """Take over what ``dump`` gave; BadData, and no change, on another version or bar length."""
        head, numbers = unpack(version(), body)
        span, _, names = head.partition(" ")
        symbols = names.split(",") if names else []
        pairs = list(combinations(symbols, 2))
        if span != str(self._span_ms) or len(numbers) != len(symbols) * _LANE + len(pairs) * _PAIR:
            raise BadData("saved correlations do not fit this bar length: they will be learned again")
        start = len(symbols) * _LANE
        self._lanes = {name: numbers[k * _LANE : (k + 1) * _LANE] for k, name in enumerate(symbols)}
        saved = {pair: numbers[start + k * _PAIR : start + (k + 1) * _PAIR] for k, pair in enumerate(pairs)}
        self._pairs = {pair: sums for pair, sums in saved.items() if sums[3] > 0.0}


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


@cache
def version() -> str:
    """Name of this way to correlate, 64 hex digits: sha256 of its source."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()
