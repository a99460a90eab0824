"""Whether a difference is more than luck.

Rule 1: bets are compared with as many bets of the same symbols at other times, moved together so that their clusters
stay clusters: luck comes in clusters too.
Rule 2: losses are compared by blocks of time (months), never by rows: rows overlap and share their market.
Rule 3: a p-value is (k + 1) / (n + 1), never zero (Phipson and Smyth 2010). Everything random has a seed.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.learn.judge.judgement import AgainstRandom, Gain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 1_000


def against_random(
    symbol: NDArray[np.int32], start_ms: Ints, move: Floats, taken: Ints, seed: int, draws: int = DRAWS
) -> AgainstRandom:
    """The bets ``taken`` (rows) against bets at random times among all candidate rows (n,), sorted by time.

    Each draw moves all bets by one random time, round the end of their symbol's rows to its beginning: number of bets,
    symbols, gaps and clusters stay, only the moment is random (Politis and Romano 1992). Costs are the same for both.
    """
    if not len(taken):
        return AgainstRandom(0, 0.0, 0.0, 0.0, draws, 1.0)
    shift = np.random.default_rng(seed).integers(0, int(np.ptp(start_ms)) + 1, draws)
    total = np.zeros(draws)
    for one in np.unique(symbol[taken]):
        rows, mine = np.flatnonzero(symbol == one), taken[symbol[taken] == one]
        total += _moved(start_ms[rows], move[rows], start_ms[mine], shift).sum(axis=1)
    means, mean = total / len(taken), float(move[taken].mean())
    as_good = int((means >= mean - 1e-15).sum())
    return AgainstRandom(len(taken), mean, float(means.mean()), float(means.std()), draws, (as_good + 1) / (draws + 1))


def _moved(start_ms: Ints, move: Floats, of: Ints, shift: Ints) -> Floats:
    """Moves (draws, bets) of the first candidate rows at or after each bet's start moved by each shift."""
    first = int(start_ms[0])
    # one typical gap after the last row the first follows again, so that every row is as likely as any other
    gap = int(np.median(np.diff(start_ms))) if len(start_ms) > 1 else 1
    around = int(start_ms[-1]) - first + max(gap, 1)
    at = first + (of[None, :] - first + shift[:, None]) % around
    return move[np.searchsorted(start_ms, at) % len(start_ms)]


def gain(loss: Floats, of_baseline: Floats, weight: Floats, block: Ints) -> Gain:
    """How much lower ``loss`` (n,) is than a baseline's on the same rows, by a paired t-test over blocks of time.

    The mean is the ratio of block sums; its error the delta method's (Cochran 1977, 6.4). Its ``chance`` is that of a
    gain so large were there none; 1 with fewer than two blocks.
    """
    from scipy.special import stdtr

    _, of = np.unique(block, return_inverse=True)
    whole, better = np.bincount(of, weight), np.bincount(of, weight * (of_baseline - loss))
    count, mean = len(whole), float(better.sum() / whole.sum())
    if count < 2:
        return Gain(mean, 0.0, count, 1.0)
    off = better - mean * whole
    error = math.sqrt(float(off @ off) * count / (count - 1)) / float(whole.sum())
    if error == 0.0:
        return Gain(mean, 0.0, count, 0.0 if mean > 0 else 1.0)
    return Gain(mean, error, count, float(stdtr(count - 1, -mean / error)))
