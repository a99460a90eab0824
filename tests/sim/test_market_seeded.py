"""The made-up market: repeatable, alive like a real one, with something to learn: core.sim.market_seeded."""

from __future__ import annotations

import math
import statistics as stats
from itertools import pairwise

import pytest

from core.domain.market import bar_fault
from core.sim.market_seeded import KEEP, SeededMarket

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT")


def market(seed=1, symbols=SYMBOLS, span_ms=HOUR_MS, history=3000):
    return SeededMarket(symbols, seed, span_ms, START_MS, history)


def history(found, symbol, count=3000):
    return found.rows(symbol, 0, START_MS, count, newest=True)


def returns(rows):
    return [math.log(b.close / a.close) for a, b in pairwise(rows)]


def correlation(a, b):
    return stats.correlation(a, b)


def test_the_same_seed_gives_the_same_market_and_another_one_another():
    """A demo can be repeated to the last digit."""
    rows = history(market(), "BTCUSDT")
    assert rows == history(market(), "BTCUSDT")
    assert rows != history(market(seed=2), "BTCUSDT")


def test_a_path_does_not_depend_on_company_or_on_what_was_asked_first():
    """One symbol alone, or among others, read forward or backward: the same prices."""
    alone = market(symbols=("ETHUSDT",))
    late = alone.row("ETHUSDT", START_MS + 500 * HOUR_MS)
    together = market()
    history(together, "BTCUSDT")
    early = history(together, "ETHUSDT")
    assert early == history(alone, "ETHUSDT")
    assert late == together.row("ETHUSDT", START_MS + 500 * HOUR_MS)


@pytest.mark.parametrize("span_ms", [60_000, 900_000, HOUR_MS, 24 * HOUR_MS])
def test_every_bar_is_possible_and_none_is_missing(span_ms):
    """Open joins close, prices lie on the tick, volume is never negative: at any bar length."""
    found = market(symbols=("XRPUSDT", "NEWCOINUSDT"), span_ms=span_ms)
    for symbol in found.symbols:
        rows = found.rows(symbol, 0, START_MS + 50 * span_ms, 500, newest=True)
        assert [b.open_ms - a.open_ms for a, b in pairwise(rows)] == [span_ms] * 499
        assert not any(bar_fault(*row[1:]) for row in rows)
        assert all(a.close == b.open for a, b in pairwise(rows))
        tick = found.pair(symbol).rules.instrument.tick
        assert all(abs(row.close / float(tick) - round(row.close / float(tick))) < 1e-4 for row in rows)


def test_history_before_the_start_is_there_and_no_more():
    """As many bars before the start as promised."""
    found = market(history=5000)
    assert len(history(found, "BTCUSDT", 6000)) == 5000
    assert found.first_ms == START_MS - 5000 * HOUR_MS
    assert found.row("BTCUSDT", START_MS + 1) is None
    assert found.next_open(START_MS + 1) == START_MS + HOUR_MS


def test_tails_are_fat_and_volatility_comes_in_clusters():
    """Large moves are commoner than in a bell curve, and stormy hours follow stormy hours."""
    moves = returns(history(market(), "BTCUSDT"))
    mean, deviation = stats.mean(moves), stats.pstdev(moves)
    assert stats.mean(((m - mean) / deviation) ** 4 for m in moves) > 3.5
    sizes = [abs(m) for m in moves]
    assert correlation(sizes[:-1], sizes[1:]) > 0.05
    assert 0.003 < deviation < 0.015


def test_volume_grows_with_movement_and_symbols_move_together():
    """Busy hours are wild hours; one market moves all its coins."""
    found = market()
    rows = history(found, "BTCUSDT")
    assert correlation([r.volume for r in rows], [(r.high - r.low) / r.close for r in rows]) > 0.3
    other = returns(history(found, "ETHUSDT"))
    assert 0.1 < correlation(returns(rows), other) < 0.9


def test_buying_a_dip_in_a_rising_trend_pays_after_costs():
    """There is something to learn: 50 over 200 bars and a dip, two ATR down or three up, 0.2 % of costs."""
    profits = []
    for seed in (1, 2):
        found = market(seed=seed)
        for symbol in SYMBOLS:
            profits += dips(history(found, symbol))
    assert len(profits) > 100
    assert stats.mean(profits) > 0.003
    assert stats.mean(p > 0 for p in profits) > 0.5


def dips(rows):
    """Net result of each bet of that rule, one at a time."""
    fast = slow = twenty = rows[0].close
    atr = rows[0].high - rows[0].low
    found, busy = [], 250
    for i, (before, row) in enumerate(pairwise(rows), 1):
        atr += (max(row.high, before.close) - min(row.low, before.close) - atr) / 14
        fast += (row.close - fast) * 2 / 51
        slow += (row.close - slow) * 2 / 201
        twenty += (row.close - twenty) * 2 / 21
        if i >= busy and fast > slow and slow < row.close < twenty - 0.8 * atr:
            ahead = rows[i + 1 : i + 49]
            out = first_touch(ahead, row.close - 2 * atr, row.close + 3 * atr)
            found.append(out[1] / row.close - 1 - 0.002)
            busy = i + 1 + out[0]
    return found


def first_touch(rows, stop, target):
    """How many bars it took and at what price the bet ended."""
    for i, row in enumerate(rows):
        if row.low <= stop:
            return i, stop
        if row.high >= target:
            return i, target
    return (len(rows), rows[-1].close) if rows else (0, (stop + target) / 2)


def test_a_market_that_runs_for_years_forgets_its_oldest_bars():
    """Memory stays bounded however long it runs, and what is kept is unchanged."""
    found = market(symbols=("BTCUSDT",), history=10)
    first = found.row("BTCUSDT", found.first_ms)
    assert first is not None
    far = found.first_ms + (2 * KEEP + 10_000) * HOUR_MS
    last = found.row("BTCUSDT", far)
    assert last is not None
    assert found.row("BTCUSDT", found.first_ms) is None
    assert found.rows("BTCUSDT", far - HOUR_MS, far + HOUR_MS, 10)[-1] == last
