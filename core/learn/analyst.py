"""The analyst of one symbol: a closed bar in, what can be said of it or the reason for silence out.

Rule 1: live bars and history pass through the same fold; nothing is known of a bar before it is closed.
Rule 2: after more than features.HOLE_BARS missing bars the features start again and warm up again: averages over prices
nobody saw are not averages. A running virtual bet goes on and meets the first bar behind the hole.
Rule 3: a bar that is not newer than the newest one taken changes nothing.
Rule 4: the state is a flat array of floats; saved and restored it goes on to the last bit. Its numbers lie side
by side, for a bar close finds them cold: fetching them one by one would cost as much as the fold itself.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from core.domain.errors import BadData
from core.domain.forecast import Contribution, Forecast
from core.domain.market import Bar, as_float, from_ms, span_name, to_ms
from core.learn import features, outcomes, rule
from core.learn.features import AT, BARS, NOTHING, OPEN_MS, SIZE, WARM_UP, WIDTH
from core.learn.packing import pack, unpack
from core.learn.reasons import reasons

VOLATILITY_MAX = 999.0  # annualised fraction; more than any market, less than a forecast refuses

AGE = SIZE
BET = AGE + rule.RULE_SIZE
STATE_SIZE = BET + outcomes.BET_SIZE

_ATR_SHARE = AT["atr_share"]
_VOLATILITY = AT["volatility"]


@dataclass(frozen=True, slots=True)
class Look:
    """A closed bar that was taken: why nothing can be said of it (WARMING_UP, HOLE, OLD_BAR, NO_RANGE with numbers),
    empty where something can, and whether the rule fires."""

    bar: Bar
    silence: str
    fires: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A chance with its lower bound, 0..1, the outcomes behind it, and what spoke for and against."""

    model_id: str
    p_win: float
    p_low: float
    samples: int
    contributions: tuple[Contribution, ...] = ()


class Analyst:
    """Features, rule and record of one symbol at one bar length."""

    def __init__(self, symbol: str, span: timedelta) -> None:
        self.symbol = symbol
        self.span = span
        self._span_ms = span // timedelta(milliseconds=1)
        self._state = array("d", [*features.new_state(span), rule.NEVER, *([0.0] * outcomes.BET_SIZE)])
        self._row = array("d", [NOTHING] * WIDTH)
        self._chances_of: tuple[float, float] = (0.0, 0.0)
        self._chances = rule.chances(0.0, 0.0)

    @property
    def open_at(self) -> datetime | None:
        """Open time of the newest bar taken, or None before the first."""
        return from_ms(int(self._state[OPEN_MS])) if self._state[OPEN_MS] >= 0 else None

    @property
    def samples(self) -> int:
        """Finished virtual bets behind the probability."""
        return int(self._state[BET + outcomes.COUNT])

    @property
    def row(self) -> Sequence[float]:
        """Features named features.NAMES of the newest bar taken, NaN where not warm."""
        return self._row

    def look(self, bar: Bar) -> Look:
        """Take a closed bar and say whether there is something to forecast on it."""
        if (bar.symbol, bar.span) != (self.symbol, self.span):
            raise BadData(f"a bar of {bar.symbol} was given to the analyst of {self.symbol}")
        open_ms = to_ms(bar.open_at)
        before_ms = int(self._state[OPEN_MS])
        if open_ms <= before_ms:
            return Look(bar, f"OLD_BAR: the bar of {bar.open_at:%Y-%m-%d %H:%M} is already part of the forecast")
        fires = self.take(open_ms, *(as_float(x) for x in (bar.open, bar.high, bar.low, bar.close, bar.volume)))
        return Look(bar, self._silence(before_ms, open_ms), fires)

    def take(self, open_ms: int, open_: float, high: float, low: float, close: float, volume: float) -> bool:
        """Move the whole state on by one bar, newer than the newest; whether the rule fires on it."""
        state, row = self._state, self._row
        outcomes.settle(state, BET, open_, high, low, close)
        features.step_row(state, row, open_ms, open_, high, low, close, volume)
        if state[BARS] == 1.0:  # the features began anew, and so does what the rule waits for
            state[AGE] = rule.NEVER
        age = rule.age_of_pullback(state, AGE, row)
        if not rule.fires(row, age, close) or not rule.barriers_fit(row[_ATR_SHARE]):
            return False
        win, loss = rule.barriers(row[_ATR_SHARE])
        outcomes.open_bet(state, BET, win, loss, rule.HORIZON)
        return True

    def _missing(self, before_ms: int, open_ms: int) -> int:
        return (open_ms - before_ms) // self._span_ms - 1

    def _silence(self, before_ms: int, open_ms: int) -> str:
        bars = int(self._state[BARS])
        if bars == 1 and before_ms >= 0:
            hole = self._missing(before_ms, open_ms)
            return f"HOLE: {hole} bars are missing before this one; the features warm up again, 1 of {WARM_UP} bars"
        if bars < WARM_UP:
            return f"WARMING_UP: {bars} of {WARM_UP} bars"
        if not rule.barriers_fit(self._row[_ATR_SHARE]):
            return f"NO_RANGE: no stop and target fit an average range of {self._row[_ATR_SHARE]:.2%} of the price"
        return ""

    def by_rule(self, look: Look) -> Forecast:
        """What the rule says of the bar just looked at."""
        chance = self._chance()
        why = reasons(self._row, self._state[AGE], as_float(look.bar.close), chance, self.samples)
        return self.forecast(look.bar, Said(rule.MODEL_ID, *chance, self.samples, why), fires=look.fires)

    def forecast(self, bar: Bar, said: Said, *, fires: bool = True) -> Forecast:
        """A chance of whatever origin as the bet that would be made on ``bar``, the newest one taken."""
        win, loss = rule.barriers(self._row[_ATR_SHARE])
        return Forecast(
            symbol=self.symbol,
            bar_open_at=bar.open_at,
            fires=fires,
            p_win=said.p_win,
            p_low=said.p_low,
            win_move=win,
            loss_move=loss,
            horizon_bars=rule.HORIZON,
            samples=said.samples,
            volatility=min(self._row[_VOLATILITY], VOLATILITY_MAX),
            model_id=said.model_id,
            contributions=said.contributions,
        )

    def _chance(self) -> tuple[float, float]:
        # the bound costs a millisecond and changes only when a bet ends
        record = (self._state[BET + outcomes.WON], self._state[BET + outcomes.LOST])
        if record != self._chances_of:
            self._chances_of = record
            self._chances = rule.chances(*record)
        return self._chances

    def dump(self) -> bytes:
        """The whole state, as bytes that ``restore`` of the same version takes."""
        return pack(version(), f"{self.symbol} {span_name(self.span)}", self._state)

    def restore(self, body: bytes) -> None:
        """Go on where ``dump`` was made; BadData, and no change, on another version, symbol or bar length."""
        head, state = unpack(version(), body)
        if head != f"{self.symbol} {span_name(self.span)}" or len(state) != STATE_SIZE:
            raise BadData(f"the saved feature state of {head} is not one of {self.symbol}")
        self._state = array("d", state)


@cache
def version() -> str:
    """Name of features, rule and record together, 64 hex digits: a state saved under another one is not used."""
    sources = [inspect.getsource(module) for module in (rule, outcomes, sys.modules[__name__])]
    return hashlib.sha256("\n".join((features.version(), *sources)).encode()).hexdigest()
