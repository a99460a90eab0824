"""Trades, orders and handled updates read again from the store, newest first, exactly as they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.journal import SqliteJournal
from core.adapters.outbox import SqliteOutbox
from core.adapters.records import SqliteRecords
from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Effect, Tell, TradeDone
from core.domain.market import to_ms
from core.domain.orders import OrderState, Purpose, Side
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import HOUR, START, bar, fill, forecast, opened, opening


@pytest.fixture
async def db(tmp_path):
    async with opened(tmp_path, "main") as database:
        yield database


@pytest.fixture
def records(db):
    return SqliteRecords(db)


async def told(db, state: State, *events: ev.Event) -> tuple[State, list[Effect]]:
    """The state after the events, journaled, and every effect they had."""
    journal = SqliteJournal(db)
    done: list[Effect] = []
    for event in events:
        after, effects = step(state, event)
        await journal.commit(Change(state, after, event, effects))
        state = after
        done += effects
    return state, done


def seen(hour: int) -> ev.BarSeen:
    of = bar(hour, "100")
    return ev.BarSeen(of.close_at, f"bar:{hour}", of, forecast(hour))


def newest(state: State, purpose: Purpose):
    return [order for order in state.orders.values() if order.purpose is purpose][-1]


async def round_trip(db, state: State, hour: int, number: int) -> tuple[State, list[Effect]]:
    """Bought on the bar of ``hour`` and sold at the target."""
    state, done = await told(db, state, seen(hour))
    for purpose, side, price in ((Purpose.ENTRY, Side.BUY, "100"), (Purpose.TARGET, Side.SELL, "104")):
        order = newest(state, purpose)
        at = START + (hour + 1) * HOUR
        trade = fill(str(number), order.client_id, side, order.qty, price, at)
        state, more = await told(db, state, ev.Accepted(at, "x", order.client_id, "7"), ev.Filled(at, "x", trade))
        done += more
        number += 1
    return state, done


async def test_trades_come_back_as_they_were_newest_first(db, records):
    """A closed trade is read to the last digit as it was closed."""
    state, _ = await told(db, State(), *opening())
    state, first = await round_trip(db, state, 0, 1)
    _, second = await round_trip(db, state, 5, 3)
    trades = [effect.trade for effect in (*second, *first) if isinstance(effect, TradeDone)]
    assert len(trades) == 2
    assert list(await records.trades(10)) == trades
    assert list(await records.trades(1)) == trades[:1]


async def test_orders_of_any_state_come_back_newest_first(db, records):
    """What is over is still found, with how it ended."""
    state, _ = await told(db, State(), *opening())
    state, _ = await round_trip(db, state, 0, 1)
    state, _ = await told(db, state, seen(5))
    live, *ended = await records.orders(10)
    assert live == replace(newest(state, Purpose.ENTRY), send_by=None)  # until when it may be sent is the intent's
    assert {order.purpose: order.state for order in ended} == {
        Purpose.ENTRY: OrderState.FILLED,
        Purpose.STOP: OrderState.EXPIRED,
        Purpose.TARGET: OrderState.FILLED,
    }
    assert [order.created_at for order in ended] == sorted((o.created_at for o in ended), reverse=True)
    assert len(await records.orders(2)) == 2


async def test_an_order_is_read_with_the_types_it_was_written_with(db, records):
    """Prices that an order does not have stay absent; money is exact."""
    state, _ = await told(db, State(), *opening())
    state, _ = await told(db, state, seen(0))
    entry = newest(state, Purpose.ENTRY)
    at = START + HOUR
    bought = fill("1", entry.client_id, Side.BUY, entry.qty, "100", at)
    state, _ = await told(db, state, ev.Filled(at, "x", bought))
    by_id = {order.client_id: order for order in await records.orders(10)}
    for order in state.orders.values():
        read = by_id[order.client_id]
        assert (read.price, read.stop_price, read.qty) == (order.price, order.stop_price, order.qty)
        assert (read.kind, read.side, read.created_at) == (order.kind, order.side, order.created_at)
        assert isinstance(read.filled_quote, Decimal)


async def test_nothing_happened_is_nothing_read(records):
    """A new installation has no past."""
    assert (list(await records.trades(10)), list(await records.orders(10)), await records.seen(1)) == ([], [], False)


async def test_an_update_noted_is_an_update_seen(records):
    """A message that was answered is known again after any restart."""
    await records.note(5, START, "/status")
    assert await records.seen(5)
    assert not await records.seen(6)


async def test_a_note_keeps_the_command(db, records):
    """What the owner said is on record with the update it came in."""
    await records.note(8, START, "/pause")
    assert await db.read("SELECT said FROM updates WHERE update_id = 8") == [("/pause",)]


async def test_noting_twice_does_no_harm(records):
    """A message delivered twice is one message."""
    await records.note(5, START, "/status")
    await records.note(5, START + HOUR, "/status")
    assert await records.seen(5)


async def test_tidying_forgets_what_is_long_done_and_nothing_else(db, records):
    """Old delivered messages and updates go; what was never delivered and the journal stay."""
    state, _ = await told(db, State(), *opening(), ev.OwnerPanicked(START, "update:1", 1))
    later = START + timedelta(days=10)
    await told(db, state, ev.OwnerPanicked(START, "update:2", 2), ev.OwnerPanicked(later, "update:3", 3))
    for update_id, at in ((1, START), (3, later)):
        await records.note(update_id, at, "/panic")
    outbox = SqliteOutbox(db)
    first, second, third = await outbox.pending(10)
    await outbox.delivered(first.parcel_id, 11)
    await outbox.delivered(third.parcel_id, 13)
    assert await records.tidy(START + timedelta(days=1)) == 2
    assert [await records.seen(n) for n in (1, 3)] == [False, True]
    assert await outbox.pending(10) == [second]
    assert await db.read("SELECT count(*) FROM journal") == [(6,)]


async def test_fills_come_newest_first_from_a_moment_on(db, records):
    """Every single trade with its price, fee and order, none from before the moment asked for."""
    state, _ = await told(db, State(), *opening())
    state, _ = await round_trip(db, state, 0, 1)
    state, _ = await round_trip(db, state, 2, 3)
    kept = await records.fills(START, 10)
    assert [(f.trade_id, f.side, f.price) for f in kept] == [
        ("4", Side.SELL, Decimal(104)),
        ("3", Side.BUY, Decimal(100)),
        ("2", Side.SELL, Decimal(104)),
        ("1", Side.BUY, Decimal(100)),
    ]
    assert {f.client_id for f in kept} <= {order.client_id for order in await records.orders(20)}
    assert [f.trade_id for f in await records.fills(START + 2 * HOUR, 10)] == ["4", "3"]
    assert list(await records.fills(START, 1)) == kept[:1]


async def test_a_record_that_no_chat_reads_is_hushed(db, records):
    """Messages nobody will deliver do not pile up; once gone there is nothing more to do."""
    outbox = SqliteOutbox(db)
    state, _ = await told(db, State(), *opening())
    _, done = await round_trip(db, state, 0, 1)
    assert sum(isinstance(effect, Tell) for effect in done) == len(await outbox.pending(50)) > 0
    assert await records.hush() > 0
    assert await outbox.pending(50) == []
    assert await records.hush() == 0


async def test_the_newest_comparison_takes_the_place_of_the_one_before(db, records):
    """However long it runs, one row is kept, and it is the last one."""
    for number in range(3):
        await records.keep_reconciliation(START + number * HOUR, {"number": number})
    assert await db.read("SELECT at_ms, body FROM reconciliation") == [(to_ms(START + 2 * HOUR), '{"number":2}')]
