"""Folds: small states updated by one bar in constant time, the one definition of every indicator.

Rule 1: the state is plain floats in a flat sequence ``s`` (list or array); a fold owns the slots from ``i`` on.
Rule 2: a fold sees the newest value and its own slots only, so it cannot look ahead.
Rule 3: ``math`` functions, ifs and loops only: the same source compiles with numba to bit-identical results.
Rule 4: a slot holding NaN is one nothing was put into yet.

Rule 5: sums over a window run in two strands where that pays: one addition need not wait for the other.

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
        s[i + 1] += (x - s[i + 1]) * (1.0 / n)
    return s[i + 1]


def wilder_sum(s: State, i: int, x: float, n: int) -> float:
    """Wilder's sum of ``x``: plain sum of the first ``n``, then losing 1/n of itself a step; MEAN_SIZE slots."""
    if s[i] < n:
        s[i] += 1.0
        s[i + 1] += x
    else:
        s[i + 1] += x - s[i + 1] * (1.0 / n)
    return s[i + 1]


def highest(s: State, i: int, x: float, n: int) -> float:
    """Largest of the last ``n`` values, NaN passed over; RANGE_HEAD + n slots. Rescanned only when the best leaves."""
    base = i + RANGE_HEAD
    at = int(s[i])
    s[base + at] = x
    best = s[i + 2]
    if best != best or x >= best:
        s[i + 1] = at
        best = x
    elif int(s[i + 1]) == at:
        best = x
        place = at
        for k in range(n):
            if s[base + k] > best:
                place = k
                best = s[base + k]
        s[i + 1] = place
    s[i + 2] = best
    s[i] = at + 1 if at + 1 < n else 0
    return best


def push(s: State, i: int, x: float, n: int) -> int:
    """Slot at which ``x`` replaced the oldest of the last ``n`` values; RING_HEAD + n slots."""
    at = int(s[i])
    slot = i + RING_HEAD + at
    s[slot] = x
    s[i] = at + 1 if at + 1 < n else 0
    return slot


def before(s: State, i: int, k: int, n: int) -> float:
    """The value pushed ``k`` steps before the newest one, 0 <= k < n; NaN where there is none yet."""
    at = int(s[i]) - 1 - k
    if at < 0:
        at += n
    return s[i + RING_HEAD + at]


def mean_from(s: State, i: int, x: float, n: int) -> float:
    """Mean of the last ``n`` values, an even number, of the ring at ``i`` less ``x``; unfilled slots make it NaN."""
    even = 0.0
    odd = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n, 2):
        even += s[k] - x
        odd += s[k + 1] - x
    return (even + odd) * (1.0 / n)


def spread_from(s: State, i: int, x: float, n: int) -> tuple[float, float]:
    """Mean of the ring's last ``n`` values less ``x``, and their population standard deviation, >= 0; ``n`` even.

    ``x`` must be one of the values. It then lies within sqrt(n - 1) deviations of their mean, so that mean square less
    squared mean loses two digits at most (Samuelson, 1968), and a window of equal prices gives exactly zero.
    """
    even = odd = even_square = odd_square = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n, 2):
        d = s[k] - x
        e = s[k + 1] - x
        even += d
        odd += e
        even_square += d * d
        odd_square += e * e
    part = 1.0 / n
    mean = (even + odd) * part
    variance = (even_square + odd_square) * part - mean * mean
    if variance < 0.0:
        variance = 0.0
    return mean, math.sqrt(variance)


def stray_from(s: State, i: int, middle: float, n: int) -> float:
    """Mean distance, >= 0, of the last ``n`` values of the ring at ``i`` from ``middle``; ``n`` even."""
    even = 0.0
    odd = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n, 2):
        even += abs(s[k] - middle)
        odd += abs(s[k + 1] - middle)
    return (even + odd) * (1.0 / n)


def balance(s: State, i: int, n: int) -> float:
    """Sum of the ring at ``i`` as a share of the sum of its sizes, -1..1; 0 where nothing flowed."""
    net = 0.0
    gross = 0.0
    for k in range(i + RING_HEAD, i + RING_HEAD + n):
        flow = s[k]
        net += flow
        gross += abs(flow)
    if gross <= 0.0:
        return 0.0
    return net / gross


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
