"""The journal on disk: one transaction a step, and a restart that knows everything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.db import Database
from core.adapters.journal import SNAPSHOTS_KEPT, TABLES, SqliteJournal
from core.adapters.migrate import migrate
from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Decided, Submit, Tell, Topic
from core.domain.errors import InvariantBroken
from core.domain.market import to_ms
from core.domain.orders import OrderState, Side
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import HOUR, START, bar, fill, forecast, opened, opening
from tests.builders import an_order

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def db(tmp_path):
    async with opened(tmp_path, "main") as database:
        yield database


@pytest.fixture
def journal(db):
    return SqliteJournal(db)


async def live(journal, events, state=None):
    """Step and commit events one after the other; the last state."""
    state = state or State()
    for event in events:
        after, effects = step(state, event)
        await journal.commit(Change(state, after, event, effects))
        state = after
    return state


async def bought_and_sold(journal):
    """A whole round trip: an entry, its fill, a protective pair, and the target that fills."""
    state = await live(journal, opening())
    seen = ev.BarSeen(bar(1).close_at, "bar", bar(1, "101"), forecast(1))
    state = await live(journal, [seen], state)
    (entry,) = state.orders.values()
    at = bar(1).close_at
    state = await live(
        journal,
        [
            ev.Accepted(at, "x", entry.client_id, "11"),
            ev.Filled(at, "x", fill("1", entry.client_id, Side.BUY, entry.qty, "101", at)),
        ],
        state,
    )
    target = next(o for o in state.orders.values() if o.purpose.name == "TARGET")
    later = at + HOUR
    end = ev.Filled(later, "x", fill("2", target.client_id, Side.SELL, target.qty, str(target.price), later))
    return await live(journal, [end], state)


async def rows(journal, table):
    return [row async for row in journal.rows(table)]


async def test_a_restart_finds_the_state_as_it_was(db, journal):
    """After any commit the store alone gives back exactly the state the machine had."""
    state = await bought_and_sold(journal)
    assert repr(await SqliteJournal(db).latest_snapshot()) == repr(state)


async def test_stepping_the_journal_again_gives_every_effect_again(journal):
    """The journal proves itself: the same events have the same effects and end in the same state."""
    state = await bought_and_sold(journal)
    again = State()
    async for line in journal.events_after(0):
        again, effects = step(again, line.event)
        assert (again.seq, effects) == (line.seq, line.effects)
    assert again == state


async def test_a_new_journal_has_no_state(journal):
    """The very first start begins from nothing."""
    assert await journal.latest_snapshot() is None
    assert [line async for line in journal.events_after(0)] == []


async def test_a_round_trip_leaves_its_rows(journal):
    """Orders, fills, the trade and the decision can be looked up afterwards."""
    await bought_and_sold(journal)
    states = {row["purpose"]: row["state"] for row in await rows(journal, "orders")}
    assert states == {"ENTRY": "FILLED", "STOP": "EXPIRED", "TARGET": "FILLED"}
    assert [row["trade_id"] for row in await rows(journal, "fills")] == ["1", "2"]
    assert [row["why"] for row in await rows(journal, "trades")] == ["target"]
    assert [row["outcome"] for row in await rows(journal, "signals")] == ["ORDERED"]
    assert [row["seq"] for row in await rows(journal, "journal")] == [1, 2, 3, 4, 5, 6, 7]


async def test_an_order_that_left_the_state_keeps_what_it_filled(journal):
    """The last fill of a position is seen in its order, though both leave the state in that moment."""
    await bought_and_sold(journal)
    for row in await rows(journal, "orders"):
        assert row["filled_qty"] == (row["qty"] if row["state"] == "FILLED" else "0")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (lambda at, key: ev.Rejected(at, "x", key, "-2010", "no money"), "REJECTED"),
        (lambda at, key: ev.Absent(at, "x", key), "ABSENT"),
        (lambda at, key: ev.Canceled(at, "x", key), "CANCELED"),
        (lambda at, key: ev.Canceled(at, "x", key, expired=True), "EXPIRED"),
    ],
)
async def test_an_entry_that_came_to_nothing_is_shown_with_its_end(journal, end, expected):
    """An order that never filled is not shown as open for ever."""
    state = await live(journal, opening())
    state = await live(journal, [ev.BarSeen(bar(1).close_at, "bar", bar(1, "101"), forecast(1))], state)
    (entry,) = state.orders.values()
    state = await live(journal, [end(bar(1).close_at, entry.client_id)], state)
    assert not state.orders
    assert [row["state"] for row in await rows(journal, "orders")] == [expected]


async def test_money_in_the_rows_is_exact_text(journal):
    """What is exported is what was booked, digit for digit."""
    await bought_and_sold(journal)
    (first, *_) = await rows(journal, "fills")
    assert Decimal(first["price"]) == Decimal(101)
    assert all(isinstance(first[name], str) for name in ("qty", "price", "fee"))


async def test_a_step_that_does_not_follow_is_refused(journal):
    """A line is never skipped and never written twice."""
    state = await live(journal, opening())
    event = ev.Ticked(START, "t")
    with pytest.raises(InvariantBroken, match="line 9 cannot follow line 3"):
        await journal.commit(Change(state, state.with_(seq=9), event, ()))
    older = state.with_(seq=state.seq - 1)
    with pytest.raises(InvariantBroken, match="UNIQUE"):
        await journal.commit(Change(older, state, event, ()))
    assert len(await rows(journal, "journal")) == 3


async def test_a_commit_that_fails_leaves_nothing_of_itself(db, journal):
    """State, rows and messages of a refused step are not there either."""
    state = await live(journal, opening())
    event = ev.OwnerPaused(START, "t", 5)
    after, effects = step(state, event)
    await db.write(lambda con: con.execute("INSERT INTO journal VALUES (4, 0, 'x', 'x', '{}', NULL, '[]')").rowcount)
    with pytest.raises(InvariantBroken):
        await journal.commit(Change(state, after, event, effects))
    assert await db.read("SELECT count(*) FROM outbox") == [(0,)]
    assert await SqliteJournal(db).latest_snapshot() == state


async def test_the_same_fill_twice_is_journaled_but_counted_once(journal):
    """A trade that two sources tell of is one fill, and the second telling stops nothing."""
    state = await live(journal, opening())
    foreign = ev.Filled(START, "t", fill("7", "", Side.BUY, Decimal("0.5"), "100", START))
    state = await live(journal, [foreign, foreign], state)
    assert [row["key"] for row in await rows(journal, "journal")][-2:] == ["fill:BTCUSDT:7", None]
    assert len(await rows(journal, "fills")) == 1


async def test_a_fill_that_counts_twice_is_stopped_by_the_store(journal):
    """Even a machine that forgot a fill cannot book it a second time."""
    event = ev.Filled(START, "t", fill("7", "", Side.BUY, Decimal("0.5"), "100", START))
    state = await live(journal, [*opening(), event])
    forgetful = replace(state, last_trades={})
    after, effects = step(forgetful, event)
    with pytest.raises(InvariantBroken, match="UNIQUE"):
        await journal.commit(Change(forgetful, after, event, effects))


async def test_a_command_carried_out_but_not_answered_may_come_again(db, journal):
    """The journal knows the command by its update id, so a second delivery has no effect and still gets an answer."""
    await live(journal, [*opening(), ev.OwnerPaused(START, "t", 41), ev.OwnerPaused(START, "t", 41)])
    assert [row["key"] for row in await rows(journal, "journal")][-2:] == ["update:41", None]
    assert await db.read("SELECT update_id FROM updates") == []


async def test_the_newest_snapshots_stay(journal):
    """Whole states are kept to step the journal again from, and do not pile up."""
    for seq in range(1, SNAPSHOTS_KEPT + 5):
        await journal.save_snapshot(State(seq=seq))
    kept = await journal.snapshots()
    assert kept == list(range(5, SNAPSHOTS_KEPT + 5))
    assert await journal.snapshot(kept[0]) == State(seq=5)


async def test_a_snapshot_that_was_never_kept_is_named(journal):
    """Asking for what is not there is a sentence."""
    with pytest.raises(InvariantBroken, match="line 3"):
        await journal.snapshot(3)


async def test_a_damaged_state_falls_back_to_a_snapshot_and_heals(db, journal):
    """Where the current state cannot be read, an older whole one and the journal make it again."""
    state = await live(journal, opening())
    await journal.save_snapshot(state)
    newest = await live(journal, [ev.OwnerPaused(START, "t", 5)], state)
    damage = "UPDATE state_parts SET body = '{' WHERE part IN ('limits', 'balances')"
    await db.write(lambda con: con.execute(damage).rowcount)
    again = SqliteJournal(db)
    found = await again.latest_snapshot()
    assert found == state
    async for line in again.events_after(found.seq):
        found, _ = step(found, line.event)
    assert found == newest
    healed = await live(again, [ev.OwnerResumed(START, "t", 6)], found)
    assert await SqliteJournal(db).latest_snapshot() == healed


async def test_without_any_readable_state_the_journal_is_all_there_is(db, journal):
    """If no whole state can be read, the start steps from the first line."""
    state = await live(journal, opening())
    await journal.save_snapshot(state)
    await db.write(lambda con: con.execute("UPDATE snapshots SET body = '{'").rowcount)
    await db.write(lambda con: con.execute("UPDATE state_parts SET body = '{'").rowcount)
    assert await SqliteJournal(db).latest_snapshot() is None


async def test_a_missing_line_is_named(db, journal):
    """A journal with a gap is not stepped over."""
    await live(journal, opening())
    await db.write(lambda con: con.execute("DELETE FROM journal WHERE seq = 2").rowcount)
    with pytest.raises(InvariantBroken, match="line 2 is missing"):
        [line async for line in journal.events_after(0)]


async def test_a_long_journal_is_read_in_pages(journal):
    """Export and replay need the memory of a page, and lose no line between pages."""
    count = 600
    await live(journal, [ev.Ticked(START, f"t{n}") for n in range(count)])
    assert [line.seq async for line in journal.events_after(1)] == list(range(2, count + 1))
    assert len(await rows(journal, "journal")) == count


async def test_only_named_tables_are_read(journal):
    """A table's name never comes from outside into the SQL."""
    assert TABLES == ("orders", "fills", "trades", "signals", "journal")
    with pytest.raises(ValueError, match="none of orders"):
        await rows(journal, "sqlite_schema")


CHILD = """
import asyncio, sys
from pathlib import Path
from core.adapters.db import Database
from core.adapters.journal import SqliteJournal
from core.decide.step import step
from core.domain import events as ev
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import bar, forecast, opening

async def main():
    db = await Database.open(Path(sys.argv[1]), durable=True)
    journal = SqliteJournal(db)
    state = await journal.latest_snapshot() or State()
    hours = range(state.seq, 1_000_000)
    story = opening() if state.seq == 0 else []
    for event in [*story, *(ev.BarSeen(bar(h).close_at, "t", bar(h, "101"), forecast(h)) for h in hours[:5000])]:
        after, effects = step(state, event)
        await journal.commit(Change(state, after, event, effects))
        state = after
        print(state.seq, flush=True)

asyncio.run(main())
"""


async def proven(path):
    """The state the journal steps to, checked against every effect and against the stored state."""
    db = await Database.open(path, durable=True)
    journal, state = SqliteJournal(db), State()
    async for line in journal.events_after(0):
        state, effects = step(state, line.event)
        assert effects == line.effects
    assert await journal.latest_snapshot() == state
    await db.close()
    return state


def test_a_killed_assistant_goes_on_where_it_was(tmp_path):
    """Killed again and again, no acknowledged step is missing and the journal still proves its state."""
    path = tmp_path / "main.db"
    migrate(path, "main")
    for round_ in range(4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, cwd=ROOT)
        lines = [child.stdout.readline() for _ in range(20 + 13 * round_)]
        child.kill()
        said = b"".join(lines) + child.communicate()[0]
        acknowledged = int(said.split(b"\n")[:-1][-1])
        assert asyncio.run(proven(path)).seq >= acknowledged


def decided_again(state, client_id="fm-BTCUSDT-again-e0"):
    """The step of a bar that ``state`` has bought on, as it would come out if it were forgotten: another order."""
    (entry,) = state.orders.values()
    other = replace(entry, client_id=client_id)
    decided = Decided(state.decisions["BTCUSDT"])
    after = state.with_(seq=state.seq + 1, orders={**state.orders, client_id: other})
    return after, ev.Ticked(START, "t"), (decided, Submit(other), Tell(Topic.ORDERED, "again"))


async def bought(journal):
    state = await live(journal, opening())
    return await live(journal, [ev.BarSeen(bar(1).close_at, "bar", bar(1, "101"), forecast(1))], state)


async def test_an_entry_leaves_the_key_of_its_decision(db, journal):
    """Strategy, symbol, closed bar and side, with the order and the moment after which it must not be sent."""
    state = await bought(journal)
    (entry,) = state.orders.values()
    key = ("rule-1", "BTCUSDT", to_ms(bar(1).open_at), "BUY")
    assert await db.read("SELECT * FROM intents") == [(*key, entry.client_id, to_ms(entry.send_by))]


async def test_the_same_decision_cannot_enter_twice(db, journal):
    """A second entry on the same bar is refused with everything of its step: nothing is written, nobody is told."""
    state = await bought(journal)
    tables = ("journal", "orders", "intents", "outbox", "signals", "state_parts")
    before = {table: await db.read(f"SELECT * FROM {table}") for table in tables}
    with pytest.raises(InvariantBroken, match=r"intents\.strategy"):
        await journal.commit(Change(state, *decided_again(state)))
    assert {table: await db.read(f"SELECT * FROM {table}") for table in tables} == before
    assert repr(await SqliteJournal(db).latest_snapshot()) == repr(state)


async def test_an_entry_nobody_decided_on_is_refused(db, journal):
    """An order to buy without a decision is a fault of our own, and it stops before it is written."""
    state = await bought(journal)
    after, event, effects = decided_again(state)
    with pytest.raises(InvariantBroken, match="fm-BTCUSDT-again-e0 follows from no decision"):
        await journal.commit(Change(state, after, event, effects[1:]))
    assert len(await db.read("SELECT * FROM intents")) == 1


async def test_what_follows_an_entry_needs_no_key(db, journal):
    """Stops, targets and sales may be sent as often as it takes; an entry that was found is nobody's new decision."""
    state = await bought_and_sold(journal)
    found = replace(an_order(), client_id="fm-BTCUSDT-lost-e0", state=OrderState.OPEN)
    await live(journal, [ev.OrdersFound(START + 9 * HOUR, "x", "BTCUSDT", (found,))], state)
    assert len(await db.read("SELECT * FROM intents")) == 1


async def test_the_time_of_the_newest_line_is_known(journal):
    """The next start's clock goes on from there; before the first line there is none."""
    assert await journal.last_at() is None
    state = await live(journal, opening())
    assert await journal.last_at() == START
    await live(journal, [ev.Ticked(START + HOUR, "tick")], state)
    assert await journal.last_at() == START + HOUR
