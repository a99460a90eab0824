"""Which symbols move together: exponentially weighted correlation of one-bar log returns.

Rule 1: one call a bar close; a pair learns where both symbols have this bar and the one before it, so that both
        returns span exactly one bar. A symbol that comes late was missing.
Rule 2: the order of symbols changes nothing, to the last bit.
Rule 3: a close costs work proportional to the number of pairs, some 100 ns each; what is kept is bounded by it too.

Returns are taken around zero: an hour's drift is far below an hour's noise, and a mean would have to be estimated.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from core.domain.errors import BadData
from core.learn.packing import pack, unpack

MEMORY = 200  # bars; a pair's weights fall by 1 - 2 / (MEMORY + 1) with each bar both have
ENOUGH = 50  # bars both must have before the pair has a correlation
PEER_CORRELATION = 0.7

_FADE = 1.0 - 2.0 / (MEMORY + 1.0)
_NEVER = -1.0
_PAIR = 4


@dataclass(slots=True)
class _Lane:
    """One symbol: its newest bar, and what it shares with each symbol that came before it, in their order.

    It is ``alike`` where it has one history with all of them: they were there, bar by bar, since it came.
    """

    open_ms: float = _NEVER
    log_close: float = 0.0
    alike: bool = True
    own: list[float] = field(default_factory=list)  # fading sum of its squared returns
    theirs: list[float] = field(default_factory=list)
    both: list[float] = field(default_factory=list)
    bars: list[float] = field(default_factory=list)

    def meet(self, other: Sequence[float] = (0.0, 0.0, 0.0, 0.0)) -> None:
        """Begin to share with one more symbol."""
        for column, value in zip((self.own, self.theirs, self.both, self.bars), other, strict=True):
            column.append(value)

    def compare(self) -> None:
        """Find out whether it is alike."""
        self.alike = all(column.count(column[0]) == len(column) for column in (self.own, self.bars) if column)

    def learn_all(self, x: float, moves: Sequence[float], theirs: list[float]) -> None:
        """Take one bar that every symbol before it has too; ``theirs`` is what becomes of ``theirs`` by it."""
        square = x * x
        if self.alike:  # the rule: one number stands for a whole column
            self.own = [self.own[0] * _FADE + square] * len(self.own)
            self.bars = [self.bars[0] + 1.0] * len(self.bars)
        else:
            self.own = [s * _FADE + square for s in self.own]
            self.bars = [n + 1.0 for n in self.bars]
        self.theirs = theirs
        self.both = [s * _FADE + x * y for s, y in zip(self.both, moves, strict=True)]

    def learn_one(self, x: float, j: int, y: float) -> None:
        """Take one bar that the symbol in place ``j`` has too."""
        self.own[j] = self.own[j] * _FADE + x * x
        self.theirs[j] = self.theirs[j] * _FADE + y * y
        self.both[j] = self.both[j] * _FADE + x * y
        self.bars[j] += 1.0


class Correlation:
    """Correlations among the symbols of one bar length; from ``peer_correlation`` on, two symbols count as peers."""

    def __init__(self, span: timedelta, peer_correlation: float = PEER_CORRELATION) -> None:
        self._square = peer_correlation * peer_correlation
        self._span_ms = span // timedelta(milliseconds=1)
        self._place: dict[str, int] = {}
        self._lanes: list[_Lane] = []

    def seen(self, open_ms: int, closes: Mapping[str, float]) -> None:
        """Learn from the closed bars that opened at ``open_ms``; one not newer than its symbol's newest is ignored."""
        moving: list[tuple[int, float]] = []
        for symbol in sorted(closes):
            lane = self._lanes[self._place_of(symbol)]
            if open_ms <= lane.open_ms:
                continue
            log_close = math.log(closes[symbol])
            if open_ms - lane.open_ms == self._span_ms:
                moving.append((self._place[symbol], log_close - lane.log_close))
            lane.open_ms, lane.log_close = float(open_ms), log_close
        self._learn(sorted(moving))

    def _learn(self, moving: Sequence[tuple[int, float]]) -> None:
        moves = [move for _, move in moving]
        if len(moving) == len(self._lanes):
            self._learn_whole(moves)
            return
        for k, (i, x) in enumerate(moving):
            for j, y in moving[:k]:
                self._lanes[i].learn_one(x, j, y)
            self._lanes[i].compare()

    def _learn_whole(self, moves: Sequence[float]) -> None:
        """One bar that every symbol has."""
        before: list[float] = []
        after: list[float] = []
        for k, lane in enumerate(self._lanes[1:], 1):
            # symbols that came together share what is theirs: the lane before has worked out all of it but the last
            known = len(after) if lane.theirs[:-1] == before else 0
            rest = zip(lane.theirs[known:], moves[known:k], strict=True)
            before, after = lane.theirs, after[:known] + [s * _FADE + y * y for s, y in rest]
            lane.learn_all(moves[k], moves[:k], after)

    def _place_of(self, symbol: str) -> int:
        if symbol not in self._place:
            self._place[symbol] = len(self._lanes)
            lane = _Lane()
            for _ in self._lanes:
                lane.meet()
            self._lanes.append(lane)
        return self._place[symbol]

    def between(self, one: str, other: str) -> float | None:
        """Correlation, -1..1, of two symbols, or None while they share too few bars or one does not move."""
        if one not in self._place or other not in self._place:
            return None
        j, i = sorted((self._place[one], self._place[other]))
        lane = self._lanes[i]
        scale = math.sqrt(lane.own[j]) * math.sqrt(lane.theirs[j])
        if lane.bars[j] < ENOUGH or scale <= 0.0:
            return None
        return max(-1.0, min(1.0, lane.both[j] / scale))

    def peers(self) -> dict[str, tuple[str, ...]]:
        """For each symbol the others that move with it, by name: both > 0 and both² >= limit² · own · theirs."""
        found: list[list[int]] = [[] for _ in self._lanes]
        for i, lane in enumerate(self._lanes[1:], 1):
            tied = self._tied_before(lane)
            found[i] += tied
            for j in tied:
                found[j].append(i)
        names = list(self._place)
        return {names[i]: tuple(sorted(names[j] for j in others)) for i, others in enumerate(found)}

    def _tied_before(self, lane: _Lane) -> list[int]:
        """Places of the symbols before this one that it moves with."""
        if lane.alike:
            if lane.bars[0] < ENOUGH:
                return []
            limit, theirs = self._square * lane.own[0], lane.theirs
            return [j for j, both in enumerate(lane.both) if both > 0.0 and both * both >= limit * theirs[j]]
        columns = enumerate(zip(lane.own, lane.theirs, lane.both, lane.bars, strict=True))
        return [
            j
            for j, (own, theirs, both, bars) in columns
            if both > 0.0 and bars >= ENOUGH and both * both >= self._square * own * theirs
        ]

    def dump(self) -> bytes:
        """Everything learned, as bytes that ``restore`` of the same version takes; by name, whoever came first."""
        numbers: list[float] = []
        for k, symbol in enumerate(sorted(self._place)):
            lane = self._lanes[self._place[symbol]]
            numbers += (lane.open_ms, lane.log_close)
            for other in sorted(self._place)[:k]:
                numbers += self._shared(symbol, other)
        return pack(version(), f"{self._span_ms} {','.join(sorted(self._place))}", numbers)

    def _shared(self, one: str, other: str) -> tuple[float, float, float, float]:
        i, j = self._place[one], self._place[other]
        late, early = max(i, j), min(i, j)
        lane = self._lanes[late]
        own, theirs = lane.own[early], lane.theirs[early]
        return (*((own, theirs) if i == late else (theirs, own)), lane.both[early], lane.bars[early])

    def restore(self, body: bytes) -> None:
        """Take over what ``dump`` gave; BadData, and no change, on another version or bar length."""
        head, numbers = unpack(version(), body)
        span, _, names = head.partition(" ")
        symbols = names.split(",") if names else []
        pairs = len(symbols) * (len(symbols) - 1) // 2
        if span != str(self._span_ms) or len(numbers) != 2 * len(symbols) + _PAIR * pairs:
            raise BadData("saved correlations do not fit this bar length: they will be learned again")
        rest = iter(numbers)
        lanes = []
        for k in range(len(symbols)):
            lane = _Lane(next(rest), next(rest))
            for _ in range(k):
                lane.meet([next(rest) for _ in range(_PAIR)])
            lane.compare()
            lanes.append(lane)
        self._place = {symbol: k for k, symbol in enumerate(symbols)}
        self._lanes = lanes


@cache
def version() -> str:
    """Name of this way to correlate, 64 hex digits: sha256 of its source."""
    return hashlib.sha256(inspect.getsource(sys.modules[__name__]).encode()).hexdigest()
