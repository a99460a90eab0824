"""What a model learns from: one row a bet, of all symbols on one time line.

Rule 1: a row is a bar that has a model row, barriers that fit, and a horizon the data hold.
Rule 2: of each symbol every ``stride``-th bar is taken, for bets of neighbours overlap almost wholly. Every SHIFT bars
the bars taken come one earlier: a stride of 4 would otherwise show the same six hours of the day for ever.
Rule 3: which bars are taken depends on their times alone: more history changes no row there was, and symbols that
trade at the same time have rows at the same time.
Rule 4: a row knows when its label began and ended, so that splits can keep it out of what it would spoil.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.domain.errors import BadData
from core.learn import rule
from core.learn.data.labels import Bets, Floats, Ints, Series, bets, uniqueness
from core.learn.features import MODEL_NAMES, WARM_UP

if TYPE_CHECKING:
    from core.ports import Columns

SHIFT = 97  # a prime, so that it falls in step with no day, week or stride
BLOCK = 4096

_ATR_SHARE = MODEL_NAMES.index("atr_share")


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """n bets with k features each, by (start_ms, symbol). Moves and barriers are fractions of the entry price.

    ``symbol``: place in ``symbols``. ``start_ms``: close time of the deciding bar, ``end_ms``: of the bar in which the
    bet ended. ``outcome``: part of a win, 0..1; ``move``: before costs. ``weight``: uniqueness, mean 1 over what was
    built. ``rule``: whether the rule fired on the deciding bar.
    """

    names: tuple[str, ...]
    symbols: tuple[str, ...]
    symbol: NDArray[np.int32]
    start_ms: Ints
    end_ms: Ints
    x: Floats
    outcome: Floats
    move: Floats
    win: Floats
    loss: Floats
    weight: Floats
    rule: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_ms)

    def take(self, index: Any) -> Dataset:
        """The rows that ``index`` picks (row numbers, mask or slice), in its order."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        return Dataset(**{name: v[index] if isinstance(v, np.ndarray) else v for name, v in columns.items()})


def build(bars: Mapping[str, Columns], span: timedelta, stride: int = 4) -> Dataset:
    """The bets on every ``stride``-th bar of each symbol's closed bars, which last ``span``.

    Raises BadData on a bar that cannot be, a stride below 1, and bars too few for a single bet.
    """
    # numba is needed here alone: whoever only reads a dataset does without it
    from core.learn.compiled import matrix, model_matrix

    if stride < 1:
        raise BadData(f"a stride of {stride} takes no bars: it must be 1 or more")
    series = {symbol: _series(bars[symbol]) for symbol in sorted(bars)}
    rows = model_matrix(series, span) if series else {}
    parts = []
    for number, symbol in enumerate(series):
        at, x = rows.pop(symbol)
        taken = _taken(series[symbol][0][at], span, stride)
        known, kept = _bets(series[symbol], at[taken], x[taken])
        fired = fires(matrix(series[symbol][1:], series[symbol][0], span), series[symbol][4])
        parts.append(_part(number, series[symbol][0], span, known, kept, fired))
    return _whole(tuple(series), parts)


def _series(columns: Columns) -> Series:
    open_, high, low, close, volume = (np.asarray(column, np.float64) for column in columns.floats)
    return np.asarray(columns.open_ms, np.int64), open_, high, low, close, volume


def _taken(open_ms: Ints, span: timedelta, stride: int) -> NDArray[np.bool_]:
    number = open_ms // (span // timedelta(milliseconds=1))
    mask: NDArray[np.bool_] = (number + number // SHIFT) % stride == 0
    return mask


def _bets(series: Series, at: Ints, x: Floats) -> tuple[Bets, Floats]:
    found = bets(series, at, x[:, _ATR_SHARE])
    return found, x[np.searchsorted(at, found.at)]


def fires(rows: Floats, close: Floats) -> NDArray[np.bool_]:
    """Whether the rule fires on each bar, as it would have live; ``rows``: all features of each bar, (bars, WIDTH).

    A pullback before a long hole is forgotten without being told: the features take longer to warm up than it lasts.
    """
    age, fired = [rule.NEVER], np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows), BLOCK):
        block = zip(rows[start : start + BLOCK].tolist(), close[start : start + BLOCK].tolist(), strict=True)
        for k, (row, price) in enumerate(block, start):
            fired[k] = rule.fires(row, rule.age_of_pullback(age, 0, row), price)
    return fired


def _part(
    number: int, open_ms: Ints, span: timedelta, found: Bets, x: Floats, fired: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """The columns of one symbol's rows."""
    span_ms = span // timedelta(milliseconds=1)
    return {
        "symbol": np.full(len(found.at), number, np.int32),
        "start_ms": open_ms[found.at] + span_ms,
        "end_ms": open_ms[found.end] + span_ms,
        "x": x,
        "outcome": found.outcome,
        "move": found.move,
        "win": found.win,
        "loss": found.loss,
        "weight": uniqueness(found.at + 1, found.end),
        "rule": fired[found.at],
    }


def _whole(symbols: tuple[str, ...], parts: list[dict[str, NDArray[Any]]]) -> Dataset:
    if not sum(len(part["x"]) for part in parts):
        raise BadData(
            f"no bet can be learned from: a symbol needs {WARM_UP} bars to warm up and {rule.HORIZON} more "
            "to see how a bet ends, without a long hole; load more history"
        )
    columns = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    order = np.lexsort((columns["symbol"], columns["start_ms"]))
    columns["weight"] /= columns["weight"].mean()
    return Dataset(MODEL_NAMES, symbols, **{name: column[order] for name, column in columns.items()})
