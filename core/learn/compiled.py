"""The same features over history at the speed of C: the functions of the live path, compiled by numba.

Rule 1: nothing is computed here; each function is rebuilt from its own source, so live and history cannot differ.
Rule 2: machine code is kept in a folder named by the version of the feature set; where none can be written, or what
lies there cannot be read, it is compiled again.
Rule 3: a bar that could not exist (NaN, infinity, a price of zero, times that do not rise) is refused, not skipped.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import platformdirs
from numpy.typing import NDArray

from core.domain.errors import BadData
from core.domain.market import bar_fault, from_ms
from core.learn import cross, features
from core.learn.cross import WIDTH as AMONG
from core.learn.cross import step_cross
from core.learn.features import step_row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Series = tuple[Ints, Floats, Floats, Floats, Floats, Floats]
"""Open times (ms) and open, high, low, close, volume of one symbol, oldest first."""

_F = "float64[::1]"
_I = "int64[::1]"
_ROWS = f"void({_F}, {_F}, {_I}, float64[:,::1], {_I}, {_F}, {_F}, {_F}, {_F}, {_F})"
_CLOSES = f"void({_F}, {_I}, {_I}, {_I}, {_F}, {_F}, int64, {_F})"


def matrix(
    columns: tuple[Floats, Floats, Floats, Floats, Floats],
    open_ms: Ints,
    span: timedelta,
    names: Sequence[str] = features.NAMES,
) -> Floats:
    """Features ``names``, (bars, names), of bars given as (open, high, low, close, volume); NaN where not warm.

    Raises BadData on a bar that cannot be.
    """
    return _picked((open_ms, *columns), span, tuple(features.AT[name] for name in names), len(names))


def model_matrix(series: Mapping[str, Series], span: timedelta) -> dict[str, tuple[Ints, Floats]]:
    """For each symbol the places of its bars that have a model row, and these rows, (rows, len(MODEL_NAMES)).

    All symbols lie on one time line: rank, beta and strength compare those that have a bar at the same time.
    Raises BadData on a bar that cannot be.
    """
    wide = len(features.MODEL_NAMES)
    rows = {symbol: _picked(bars, span, features.MODEL_AT, wide) for symbol, bars in series.items()}
    _compare({symbol: bars[0] for symbol, bars in series.items()}, rows)
    return {symbol: _warm(x) for symbol, x in rows.items()}


def _warm(x: Floats) -> tuple[Ints, Floats]:
    """Places of the rows that are whole, and these rows: not copied where none is missing in between."""
    places = np.flatnonzero(np.isfinite(x.sum(axis=1)))
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return places, x[places[0] : places[-1] + 1]
    return places, x[places]


def _picked(bars: Series, span: timedelta, picks: tuple[int, ...], wide: int) -> Floats:
    """Rows of ``wide`` numbers, the first of them the features at ``picks``, the rest NaN."""
    open_ms, *columns = bars
    times = np.ascontiguousarray(open_ms, dtype=np.int64)
    floats = [np.ascontiguousarray(column, dtype=np.float64) for column in columns]
    _refuse(times, floats)
    out = np.empty((len(times), wide))
    out[:, len(picks) :] = np.nan
    row = np.full(features.WIDTH, np.nan)
    state = np.array(features.new_state(span))
    _kernel(_fold_rows, _ROWS)(state, row, np.array(picks, dtype=np.int64), out, times, *floats)
    return out


def _refuse(times: Ints, floats: list[Floats]) -> None:
    open_, high, low, close, volume = floats
    # written so that NaN, which compares with nothing, is no good bar either
    good = (low > 0) & (low <= open_) & (open_ <= high) & (low <= close) & (close <= high) & (high < np.inf)
    good &= (volume >= 0) & (volume < np.inf)
    if not good.all():
        first = int(np.flatnonzero(~good)[0])
        why = bar_fault(*(float(column[first]) for column in floats))
        raise BadData(f"the bar of {from_ms(int(times[first])):%Y-%m-%d %H:%M} cannot be: {why}")
    if (np.diff(times) <= 0).any():
        first = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
        raise BadData(f"the bar of {from_ms(int(times[first])):%Y-%m-%d %H:%M} is not newer than the one before it")


def _compare(times: Mapping[str, Ints], rows: Mapping[str, Floats]) -> None:
    """Put the cross-sectional features into the last AMONG columns: one walk along the common time line."""
    symbols = sorted(times)
    lengths = [len(times[symbol]) for symbol in symbols]
    when = np.concatenate([np.asarray(times[symbol], dtype=np.int64) for symbol in symbols])
    which = np.repeat(np.arange(len(symbols), dtype=np.int64), lengths)
    order = np.argsort(when, kind="stable")
    closes = np.flatnonzero(np.diff(when[order], prepend=np.int64(-1), append=np.int64(-1)))
    returns = [
        np.concatenate([rows[symbol][:, features.MODEL_NAMES.index(name)] for symbol in symbols])[order]
        for name in ("ret_1", "ret_24")
    ]
    btc = symbols.index(cross.BTC) if cross.BTC in symbols else -1
    out = np.empty((len(when), AMONG))
    state = np.array(cross.new_state(len(symbols)))
    _kernel(_fold_closes, _CLOSES)(state, closes, when[order], which[order], *returns, btc, out.reshape(-1))
    back = np.empty_like(out)
    back[order] = out
    for symbol, part in zip(symbols, np.split(back, np.cumsum(lengths)[:-1]), strict=True):
        rows[symbol][:, -AMONG:] = part


def _fold_rows(state, row, picks, out, open_ms, open_, high, low, close, volume):  # type: ignore[no-untyped-def]
    for i in range(len(open_ms)):
        step_row(state, row, open_ms[i], open_[i], high[i], low[i], close[i], volume[i])
        for k in range(len(picks)):
            out[i, k] = row[picks[k]]


def _fold_closes(state, closes, when, which, ret_1, ret_24, btc, out):  # type: ignore[no-untyped-def]
    for c in range(len(closes) - 1):
        a, b = closes[c], closes[c + 1]
        at = -1
        for k in range(a, b):
            if which[k] == btc:
                at = k - a
        step_cross(state, out[a * AMONG : b * AMONG], when[a], which[a:b], ret_1[a:b], ret_24[a:b], at)


@cache
def _kernel(function: FunctionType, signature: str) -> Callable[..., None]:
    """``function`` in machine code, from the cache where it lies there."""
    with _cache_folder() as writable:
        if writable:
            # whatever lies in the cache is only a copy of what the source says
            with suppress(Exception):
                return _rebuilt(function, signature, cache=True)
    return _rebuilt(function, signature, cache=False)


def _rebuilt(function: FunctionType, signature: str | None, cache: bool) -> Callable[..., None]:
    """``function`` compiled, and under it whatever functions of this room it calls."""
    world = dict(function.__globals__)
    for name in function.__code__.co_names:
        callee = world.get(name)
        if isinstance(callee, FunctionType) and callee.__module__.startswith("core.learn."):
            world[name] = _callee(callee)
    copy = FunctionType(function.__code__, world, function.__name__)
    made: Callable[..., None] = numba.njit(signature, cache=cache, error_model="numpy", forceinline=not signature)(copy)
    return made


@cache
def _callee(function: FunctionType) -> Callable[..., None]:
    return _rebuilt(function, None, cache=False)


@contextmanager
def _cache_folder() -> Iterator[bool]:
    """While this is open numba keeps machine code in the version's folder; False where none can be written."""
    base = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_path("firstmate", appauthor=False)
    folder = Path(base) / f"features-{features.version()[:16]}"
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        yield False
        return
    config.CACHE_DIR = str(folder)
    try:
        yield True
    finally:
        config.CACHE_DIR = before
