from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.cross import ENOUGH, Cross
from core.learn.features import AT, NOTHING, WIDTH
from tests.learn.markets import times

BETA = {"BTCUSDT": 1.0, "ETHUSDT": 1.5, "DOGEUSDT": -0.5, "LTCUSDT": 0.8}


def row(ret_1: float, ret_24: float) -> list[float]:
    made = [NOTHING] * WIDTH
    made[AT["ret_1"]], made[AT["ret_24"]] = ret_1, ret_24
    return made


def closes(count: int, seed: int, missing: float = 0.0) -> list[tuple[int, dict[str, list[float]]]]:
    """Bar closes of a market whose symbols follow BTC by BETA, some of them missing now and then."""
    rng = random.Random(seed)
    found = []
    for open_ms in times(count):
        market, day = rng.gauss(0, 0.01), rng.gauss(0, 0.03)
        rows = {
            symbol: row(beta * market + rng.gauss(0, 0.0001) * (beta != 1.0), day + rng.gauss(0, 0.01))
            for symbol, beta in BETA.items()
            if rng.random() >= missing
        }
        found.append((open_ms, rows))
    return found


def told(seen: list[tuple[int, dict[str, list[float]]]], one: Cross | None = None) -> list[dict[str, tuple]]:
    one = one or Cross()
    return [one.seen(open_ms, rows) for open_ms, rows in seen]


def test_rank_runs_from_the_weakest_to_the_strongest():
    """The symbol that rose most in a day has 1, the one that fell most 0, two alike share their place."""
    rows = {symbol: row(0.0, day) for symbol, day in zip("abcde", (0.03, -0.02, 0.01, 0.01, 0.0), strict=True)}
    ranks = {symbol: found[0] for symbol, found in Cross().seen(0, rows).items()}
    assert ranks == {"a": 1.0, "b": 0.0, "c": 0.625, "d": 0.625, "e": 0.25}


def test_beta_is_how_a_symbol_follows_btc():
    """A symbol that moves half as much again as BTC has a beta of 1.5, BTC itself exactly 1."""
    last = told(closes(500, 1))[-1]
    for symbol, beta in BETA.items():
        assert math.isclose(last[symbol][1], beta, abs_tol=0.01)
    assert last["BTCUSDT"][1:] == (1.0, 0.0)


def test_beta_forgets():
    """What a symbol did long ago weighs little once it behaves otherwise."""
    one = Cross()
    told(closes(500, 1), one)
    turned = [(ms + 500 * 3_600_000, rows) for ms, rows in closes(600, 2)]
    for _, rows in turned:
        rows["ETHUSDT"] = row(0.2 * rows["BTCUSDT"][AT["ret_1"]], 0.0)
    assert math.isclose(told(turned, one)[-1]["ETHUSDT"][1], 0.2, abs_tol=0.01)


def test_strength_is_what_is_left_of_the_day_without_btc():
    """A day's rise that BTC's own rise explains is no strength."""
    seen = closes(400, 3)
    _, rows = seen[-1]
    last = told(seen)[-1]
    for symbol in BETA:
        expected = rows[symbol][AT["ret_24"]] - last[symbol][1] * rows["BTCUSDT"][AT["ret_24"]]
        assert math.isclose(last[symbol][2], expected, abs_tol=1e-12)


def test_without_btc_nothing_is_made_up():
    """Where BTC is not traded beta is 1 and strength 0; the ranks stand."""
    seen = [(ms, {s: rows[s] for s in ("ETHUSDT", "DOGEUSDT")}) for ms, rows in closes(200, 4)]
    for found in told(seen):
        assert sorted(each[0] for each in found.values()) == [0.0, 1.0]
        assert {each[1:] for each in found.values()} == {(1.0, 0.0)}


def test_where_btc_is_missing_for_a_bar_its_beta_is_remembered():
    """One bar without BTC costs the strength of that bar, not what was learned."""
    one = Cross()
    seen = closes(301, 5)
    before = told(seen[:300], one)[-1]["ETHUSDT"]
    open_ms, rows = seen[300]
    del rows["BTCUSDT"]
    after = one.seen(open_ms, rows)["ETHUSDT"]
    assert after[1:] == (before[1], 0.0)


def test_a_lonely_symbol_is_in_the_middle():
    """One symbol alone is neither strong nor weak."""
    assert Cross().seen(0, {"ETHUSDT": row(0.01, 0.02)}) == {"ETHUSDT": (0.5, 1.0, 0.0)}


def test_beta_waits_for_enough_common_bars():
    """A handful of bars says nothing about how two markets move together."""
    betas = [found["ETHUSDT"][1] for found in told(closes(ENOUGH + 1, 6))]
    assert betas[: ENOUGH - 1] == [1.0] * (ENOUGH - 1)
    assert betas[ENOUGH] != 1.0


def test_a_return_over_a_hole_of_its_own_teaches_nothing():
    """A symbol that missed a bar returns with a move over two bars: not one to compare with BTC's of one."""
    one, other = Cross(), Cross()
    seen = closes(301, 7)
    told(seen[:299], one)
    told(seen[:299], other)
    gone = {symbol: bar for symbol, bar in seen[299][1].items() if symbol != "ETHUSDT"}
    one.seen(seen[299][0], gone)
    other.seen(seen[299][0], gone)
    open_ms, rows = seen[300]
    wild = one.seen(open_ms, {**rows, "ETHUSDT": row(5.0, 0.0)})["ETHUSDT"][1]
    assert wild == other.seen(open_ms, {**rows, "ETHUSDT": row(-5.0, 0.0)})["ETHUSDT"][1]


def test_a_symbol_that_is_not_warm_has_no_place():
    """Without a day's return there is nothing to rank, and the others are ranked without it."""
    found = Cross().seen(0, {"a": row(0.1, NOTHING), "b": row(0.1, 0.2), "c": row(0.1, 0.3)})
    assert all(math.isnan(number) for number in found["a"])
    assert [found["b"][0], found["c"][0]] == [0.0, 1.0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 199))
def test_a_restart_at_any_bar_leaves_no_trace(seed, cut):
    """Saved and restored anywhere it goes on to the last bit, with symbols missing at random."""
    seen = closes(200, seed, missing=0.2)
    first, thawed = Cross(), Cross()
    before = told(seen[:cut], first)
    thawed.restore(first.dump())
    assert before + told(seen[cut:], thawed) == told(seen)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.randoms())
def test_the_order_of_symbols_changes_nothing(seed, rng):
    """However the symbols of a bar close are ordered, each gets the same numbers, to the last bit."""
    seen = closes(100, seed, missing=0.2)
    shuffled = [(ms, dict(rng.sample(sorted(rows.items()), len(rows)))) for ms, rows in seen]
    assert told(shuffled) == told(seen)


def test_a_bar_close_is_compared_once():
    """The same close again is refused: it would be learned from twice."""
    one = Cross()
    open_ms, rows = closes(1, 8)[0]
    one.seen(open_ms, rows)
    before = one.dump()
    with pytest.raises(BadData):
        one.seen(open_ms, rows)
    assert one.dump() == before


def test_a_damaged_state_is_refused():
    """A saved comparison that lost a number is not used, and what was known stays."""
    one = Cross()
    told(closes(60, 9), one)
    before = one.dump()
    with pytest.raises(BadData):
        one.restore(before[:-8])
    with pytest.raises(BadData):
        one.restore(b"\0" * len(before))
    assert one.dump() == before
