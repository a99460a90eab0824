"""How often the exchange may be asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance import Binance
from core.adapters.binance_gate import Gate, Pace
from core.domain.errors import RetryLater
from core.domain.orders import Order, OrderKind, Purpose, Side
from tests.adapters.scripted_exchange import Said, StandingClock, scripted_exchange

CALLS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 20)), max_size=60)


@given(CALLS)
def test_within_any_minute_no_more_is_used_than_the_bucket_and_a_minute_of_refill(
    calls: list[tuple[float, float]],
) -> None:
    """Whoever waits as told stays below the limit, however the calls come."""
    pace, now, used = Pace(20.0, 2.0), 1e9, []
    for pause, weight in calls:
        now += pause
        used.append((now + pace.take(weight, now), weight))
    for start, _ in used:
        assert sum(w for at, w in used if start <= at < start + 60) <= 20 + 60 * 2 + 20 + 1e-6


@given(CALLS)
def test_who_comes_first_goes_first(calls: list[tuple[float, float]]) -> None:
    """A later call is never let through before an earlier one."""
    pace, now, turns = Pace(20.0, 2.0), 1e9, []
    for pause, weight in calls:
        now += pause
        turns.append(now + pace.take(weight, now))
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(turns))


def test_a_gate_stays_shut_for_the_longest_wait_asked_for() -> None:
    """And is open before anybody asked."""
    gate = Gate()
    gate.check()
    for seconds in (60, 900, 5):
        gate.shut(seconds)
    with pytest.raises(RetryLater) as later:
        gate.check()
    assert 60 < later.value.retry_after_s <= 900


async def test_what_changes_something_does_not_queue_behind_reads() -> None:
    """A stop is placed while the history of fifty symbols is still being fetched."""
    gate = Gate()
    reads = [asyncio.create_task(gate.turn(30.0, at_once=False)) for _ in range(40)]
    await asyncio.sleep(0)
    await gate.turn(1.0, at_once=True)
    assert not all(task.done() for task in reads)
    for task in reads:
        task.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


async def test_an_order_overtakes_the_reads_that_wait_at_the_same_exchange() -> None:
    """The same over a paced connection: the order arrives before the last of the reads asked for earlier."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    order = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.EXIT, Decimal(1), at)
    async with scripted_exchange() as server:
        server.answer("GET depth", Said({"bids": [], "asks": []}))
        taken = {"symbol": "BTCUSDT", "clientOrderId": "fm-1-e", "orderId": 7, "status": "FILLED", "executedQty": "1"}
        server.answer("POST order", Said(taken))
        binance = Binance(server.url, StandingClock(), "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests")
        reads = [asyncio.create_task(binance.depth("BTCUSDT", 5000)) for _ in range(12)]
        await asyncio.sleep(0)
        await binance.submit(order)
        assert server.count("GET depth") < len(reads)
        for task in reads:
            task.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        await binance.close()
