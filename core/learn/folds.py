"""Folds: small states updated by one bar in constant time, the one definition of every indicator.

Rule 1: the state is plain floats in a flat sequence ``s`` (list or array); a fold owns the slots from ``i`` on.
Rule 2: a fold sees the newest value and its own slots only, so it cannot look ahead.
Rule 3: ``math`` functions, ifs and loops only: the same source compiles with numba to bit-identical results.
Rule 4: a slot holding NaN is one nothing was put into yet.

Seeds follow Wilder and the ``ta`` package, so both agree from the first complete window on.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence

State = MutableSequence[float]

MEAN_SIZE = 2
RANGE_HEAD = 3
RING_HEAD = 1

# relative difference below which two sums of the same prices are one: far above float noise, far below a tick
NOISE = 1e-11


def smooth(s: State, i: int, x: float, alpha: float) -> float:
    """Exponential mean of all ``x`` so far, seeded with the first; 1 slot. An EMA of n has alpha 2/(n+1)."""
    if s[i] != s[i]:
        s[i] = x
    else:
        s[i] += alpha * (x - s[i])
    return s[i]


def wilder_mean(s: State, i: int, x: float, n: int) -> float:
    """Wilder's mean of ``x``: plain mean of the first ``n``, then smoothed by 1/n; MEAN_SIZE slots."""
    if s[i] < n:
        s[i] += 1.0
        s[i + 1] += (x - s[i + 1]) / s[i]
    else:
        s[i + 1] = (s[i + 1] * (n - 1) + x) / n
    return s[i + 1]


def wilder_sum(s: State, i: int, x: float, n: int) -> float:
    """Wilder's sum of ``x``: plain sum of the first ``n``, then losing 1/n of itself a step; MEAN_SIZE slots."""
    if s[i] < n:
        s[i] += 1.0
        s[i + 1] += x
    else:
        s[i + 1] = s[i + 1] - s[i + 1] / n + x
    return s[i + 1]


def highest(s: State, i: int, x: float, n: int) -> float:
    """Largest of the last ``n`` values; RANGE_HEAD + n slots. The window is rescanned only when its best leaves."""
    base = i + RANGE_HEAD
    at = int(s[i])
    s[base + at] = x
    if s[i + 2] != s[i + 2] or x >= s[i + 2]:
        s[i + 1] = at
        s[i + 2] = x
    elif int(s[i + 1]) == at:
        s[i + 2] = x
        for k in range(n):
            if s[base + k] > s[i + 2]:
                s[i + 1] = k
                s[i + 2] = s[base + k]
    s[i] = (at + 1) % n
    return s[i + 2]


def push(s: State, i: int, x: float, n: int) -> int:
    """Slot at which ``x`` replaced the oldest of the last ``n`` values; RING_HEAD + n slots."""
    at = int(s[i])
    slot = i + RING_HEAD + at
    s[slot] = x
    s[i] = (at + 1) % n
    return slot


def before(s: State, i: int, k: int, n: int) -> float:
    """The value pushed ``k`` steps before the newest one, 0 <= k < n; NaN where there is none yet."""
    return s[i + RING_HEAD + (int(s[i]) - 1 - k) % n]


def mean_from(s: State, i: int, x: float, n: int) -> float:
    """Mean of the last ``n`` values of the ring at ``i`` less ``x``; slots never filled make it NaN."""
    total = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n):
        total += s[k] - x
    return total / n


def spread_from(s: State, i: int, x: float, mean: float, n: int) -> float:
    """Population standard deviation of the ring at ``i``, >= 0, given ``mean`` of its values less ``x``.

    Deviations are taken from ``x`` itself, so a window of equal prices gives exactly zero.
    """
    total = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n):
        d = s[k] - x - mean
        total += d * d
    return math.sqrt(total / n)


def stray_from(s: State, i: int, x: float, mean: float, n: int) -> float:
    """Mean absolute deviation of the ring at ``i``, >= 0, given ``mean`` of its values less ``x``."""
    total = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n):
        total += abs(s[k] - x - mean)
    return total / n


def signed_balance(s: State, i: int, n: int) -> float:
    """Sum of the ring at ``i`` as a share of the sum of its sizes, -1..1; 0 where nothing flowed."""
    up = 0.0
    down = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n):
        if s[k] > 0.0:
            up += s[k]
        else:
            down -= s[k]
    if up + down <= 0.0:
        return 0.0
    return (up - down) / (up + down)


def true_range(high: float, low: float, close_before: float) -> float:
    """Wilder's true range, >= 0: the bar with the gap from the close before it (NaN: no bar before)."""
    top = high
    bottom = low
    if close_before > top:
        top = close_before
    if close_before < bottom:
        bottom = close_before
    return top - bottom


def strength(ups: float, downs: float) -> float:
    """RSI, 0..100, from smoothed ups and downs; 50 where nothing moved at all."""
    if ups + downs <= 0.0:
        return 50.0
    return 100.0 * ups / (ups + downs)


def share(part: float, whole: float) -> float:
    """``part`` of ``whole`` in per cent; 0 where the whole is nothing."""
    if whole <= 0.0:
        return 0.0
    return 100.0 * part / whole
