"""What a life leaves in the audit: words, limits, stops and starts, orders, in the transaction of what they record."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters import audit, audit_rows
from core.adapters.audit import What
from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Submit
from core.domain.errors import InvariantBroken
from core.domain.orders import OrderState, Purpose
from core.domain.state import Limits, State, TradingState, Trust
from core.ports import Change
from core.run.engine import restore
from core.run.replay import verify
from tests.adapters.store_samples import START, opened
from tests.builders import an_order
from tests.run.samples import beginnings, opening, seen
from tests.run.shell import shell

ROOT = Path(__file__).resolve().parents[2]
OWNER = "owner:42"


@pytest.fixture
async def db(tmp_path):
    async with opened(tmp_path, "main") as database:
        yield database


@pytest.fixture
def journal(db):
    return SqliteJournal(db, OWNER)


def rows(db, *kinds):
    """Actor, what, subject and details of the rows of these kinds, in order; the whole chain is sound."""
    assert audit.verify(db.path).broken_at is None
    found = [(actor, what, subject, json.loads(details)) for _, _, actor, what, subject, details, *_ in all_of(db)]
    return [row for row in found if not kinds or row[1] in kinds]


def all_of(db):
    return audit.newest(db.path, 10_000)


async def test_an_approved_entry_is_told_from_the_thumb_to_the_sale(db, journal):
    """Who approved what, each order as it was planned, when the exchange had it, and how it ended."""
    async with shell(journal) as one:
        await one.open(approve_auto=False)
        await one.look(0)
        (intent,) = one.state.proposals
        await one.engine.post(ev.OwnerApproved(one.clock.at, "t", 7, intent, Decimal(100)))
        await one.settled()
        one.exchange.hit(one.order(Purpose.TARGET).client_id)
        await one.reconcile.full("test")
        await one.settled()
        assert not one.state.positions
    approved = next(row for row in rows(db) if row[1] == What.APPROVED)
    assert approved[0::2] == (OWNER, intent)
    assert (approved[3]["update"], approved[3]["price"]) == (7, "100")
    lives = {}
    for actor, _, subject, details in rows(db, What.ORDER):
        assert actor in (OWNER, "machine")
        lives.setdefault(subject[-2], []).append(details["state"])
    assert lives == {
        "e": ["PLANNED", "OPEN", "FILLED"],
        "s": ["PLANNED", "OPEN", "EXPIRED"],
        "t": ["PLANNED", "OPEN", "FILLED"],
    }


async def test_a_planned_order_is_kept_with_its_terms(db, journal):
    """Symbol, side, kind, purpose, quantity and prices, exact, and the journal line they were decided in."""
    async with shell(journal) as one:
        await one.open()
        await one.look(0)
    plan = next(row for row in rows(db, What.ORDER) if row[2].endswith("e0"))[3]
    line = await anext(journal.events_after(plan["line"] - 1))
    (order,) = [effect.order for effect in line.effects if isinstance(effect, Submit)]
    assert (plan["symbol"], plan["side"], plan["purpose"], plan["state"]) == ("BTCUSDT", "BUY", "ENTRY", "PLANNED")
    assert Decimal(plan["qty"]) == order.qty


async def test_a_changed_limit_is_kept_with_its_old_and_new_value(db, journal):
    """One row a limit that changed, by the owner who changed it; what stayed leaves none."""
    async with shell(journal) as one:
        await one.open()
        wanted = replace(one.state.limits, day_loss_max=Decimal("0.01"), orders_open_max=3)
        await one.engine.post(ev.OwnerSetLimits(one.clock.at, "t", 9, wanted, "code"))
    command, first, second = rows(db, What.COMMAND, What.LIMIT)
    assert command[:3] == (OWNER, What.COMMAND, "OwnerSetLimits")
    assert command[3]["proof"] == "code"
    assert first[:3] == (OWNER, What.LIMIT, "day_loss_max")
    assert (first[3]["old"], first[3]["new"]) == ("0.03", "0.01")
    assert second[2:] == ("orders_open_max", {"old": 20, "new": 3, "line": first[3]["line"]})


async def test_a_limit_changed_in_the_settings_is_kept_too(db, journal):
    """Whoever edits the settings and restarts changes limits as well: it is seen, and not as the owner's word."""
    async with shell(journal) as one:
        await one.open()
        changed = replace(one.state.config, limits=Limits(day_loss_max=Decimal("0.9")), approve_auto=False)
        await one.engine.post(ev.Configured(one.clock.at, "start", changed))
    (limit,) = rows(db, What.LIMIT)
    assert limit[:3] == ("machine", What.LIMIT, "day_loss_max")
    assert (limit[3]["old"], limit[3]["new"]) == ("0.03", "0.9")
    assert [(row[2], row[3]["new"]) for row in rows(db, What.SETTING)] == [
        ("approve_auto", True),
        ("approve_auto", False),
    ]


async def test_another_time_zone_is_kept(db, journal):
    """Reports of the day end elsewhere from then on: from which zone to which."""
    async with shell(journal) as one:
        await one.open()
        await one.engine.post(ev.OwnerSetTimeZone(one.clock.at, "t", 4, "Europe/Vienna"))
    row = rows(db, What.SETTING)[-1]
    assert (row[0], row[2], row[3]["old"], row[3]["new"]) == (OWNER, "time_zone", "UTC", "Europe/Vienna")


async def test_who_forecasts_and_how_far_it_is_trusted_is_kept_whoever_changed_it(db, journal):
    """It decides what is bought, and for how much: also where a model was promoted at the terminal, or drifts."""
    async with shell(journal) as one:
        await one.open()
        for trust in (Trust("aaa"), Trust("aaa", Decimal("0.5"), "It drifts."), None, Trust()):
            await one.engine.post(ev.LabSpoke(one.clock.at, "lab", "Told.", trust))
    assert [
        (actor, subject, said["old"], said["share"], said["why"]) for actor, _, subject, said in rows(db, "TRUST")
    ] == [
        ("machine", "aaa", "rule", "1", ""),
        ("machine", "aaa", "aaa", "0.5", "It drifts."),
        ("machine", "rule", "aaa", "1", ""),
    ]


async def test_a_halt_and_its_end_are_kept_with_their_reasons(db, journal):
    """Who stopped, who started again, and what it was before."""
    async with shell(journal) as one:
        await one.open()
        await one.engine.post(ev.AccessLost(one.clock.at, "access", "The key was refused."))
        await one.engine.post(ev.OwnerResumed(one.clock.at, "t", 5, "terminal"))
        assert one.state.trading.state is TradingState.ACTIVE
    lost, halted, command, resumed = rows(db, What.KEY_LOST, What.TRADING, What.COMMAND)
    assert (lost[0], lost[3]["text"]) == ("machine", "The key was refused.")
    assert (halted[0], halted[2], halted[3]["why"]) == ("machine", "HALTED", "The key was refused")
    assert command[:3] == (OWNER, What.COMMAND, "OwnerResumed")
    assert command[3]["proof"] == "terminal"
    assert (resumed[0], resumed[2], resumed[3]["old"], resumed[3]["was"]) == (
        OWNER,
        "ACTIVE",
        "HALTED",
        "The key was refused",
    )


COMMANDS = [
    ev.OwnerApproved(START, "t", 1, "nothing"),
    ev.OwnerSkipped(START, "t", 1, "nothing"),
    ev.OwnerPaused(START, "t", 1),
    ev.OwnerResumed(START, "t", 1),
    ev.OwnerPanicked(START, "t", 1),
    ev.OwnerMovedStop(START, "t", 1, "BTCUSDT", Decimal(99)),
    ev.OwnerSetLimits(START, "t", 1, Limits()),
    ev.OwnerSetTimeZone(START, "t", 1, "Europe/Vienna"),
    ev.OwnerTrained(START, "t", 1),
    ev.OwnerPromoted(START, "t", 1, "0123456789ab", "code"),
]


@pytest.mark.parametrize("event", COMMANDS, ids=lambda event: type(event).__name__)
async def test_every_word_of_the_owner_leaves_a_row(db, journal, event):
    """Also one that had nothing to act on: that it was said is what counts."""
    async with shell(journal) as one:
        await one.open()
        await one.engine.post(event)
    (row,) = rows(db, What.COMMAND, What.APPROVED, What.SKIPPED)
    assert (row[0], row[3]["update"]) == (OWNER, 1)


def test_no_word_of_the_owner_is_forgotten_here():
    """A command added later is tried above too."""
    words = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.OwnerEvent)}
    assert {type(event) for event in COMMANDS} == words - {ev.OwnerEvent}


async def test_a_word_delivered_twice_is_marked(db, journal):
    """The second delivery changes nothing, and the audit says that it was one."""
    async with shell(journal) as one:
        await one.open()
        for _ in range(2):
            await one.engine.post(ev.OwnerPaused(one.clock.at, "t", 3))
    first, second = rows(db, What.COMMAND)
    assert ("again" in first[3], second[3]["again"]) == (False, True)


async def test_what_the_machine_says_in_the_owners_place_is_not_the_owners(db, journal):
    """The twin lifts a halt of its own by the owner's event, under a number no chat gives."""
    async with shell(journal) as one:
        await one.open()
        await one.engine.post(ev.OwnerResumed(one.clock.at, "alike", -12))
    assert [row[0] for row in rows(db, What.COMMAND)] == ["machine"]


async def test_bars_and_ticks_leave_nothing(db, journal):
    """Most of what happens is no deed of anybody: the audit stays short, and such a commit costs what it did."""
    async with shell(journal) as one:
        await one.open()
        before = len(all_of(db))
        for hour in range(20):
            await one.look(hour, buy=False)
            await one.engine.post(ev.Ticked(one.clock.at, "tick"))
    assert len(all_of(db)) == before


async def test_an_order_in_doubt_is_told(db, journal):
    """Sent, and the answer was lost: that stands between the plan and whatever is found out later."""
    state = State()
    for event in (*opening(), *beginnings(), seen(0)):
        state = await happened(journal, state, event)
    (entry,) = state.orders
    await happened(journal, state, ev.Unknown(START, "t", entry, "no answer"))
    assert [(row[3].get("was"), row[3]["state"]) for row in rows(db, What.ORDER)] == [
        (None, "PLANNED"),
        ("PLANNED", "MAYBE_SENT"),
    ]


async def happened(journal, state, event):
    """The state after a committed step."""
    after, effects = step(state, event)
    await journal.commit(Change(state, after, event, effects))
    return after


def test_an_order_that_is_asked_for_again_is_told():
    """A pair in doubt that is sent once more is one more deed, though its state stays what it was."""
    order = replace(an_order(), state=OrderState.MAYBE_SENT)
    before = State(orders={order.client_id: order})
    after = State(seq=1, orders={order.client_id: replace(order, asked_at=START)})
    (deed,) = audit_rows.deeds(Change(before, after, ev.Ticked(START, "t"), ()), OWNER)
    assert (deed.actor, deed.what, deed.subject) == ("machine", What.ORDER, order.client_id)
    assert (deed.details["was"], deed.details["asked_at"]) == ("MAYBE_SENT", START)


async def test_a_cancel_is_told(db, journal):
    """Taking the protection away is a deed as well: who asked for it, and that the order then ended."""
    async with shell(journal) as one:
        await one.open()
        await one.look(0)
        await one.engine.post(ev.OwnerPanicked(one.clock.at, "t", 3))
        await one.settled()
    stop = next(row[2] for row in rows(db, What.ORDER) if row[2].endswith("s1"))
    assert [(row[0], row[2], row[3]["symbol"]) for row in rows(db, What.CANCEL)] == [(OWNER, stop, "BTCUSDT")]
    assert [row[3]["state"] for row in rows(db, What.ORDER) if row[2] == stop][-1] == "CANCELED"


async def test_a_step_that_is_refused_leaves_no_row(db, journal):
    """What was not committed was not done, and the chain goes on as if it had never been tried."""
    async with shell(journal) as one:
        await one.open()
        state = one.state
    before = all_of(db)
    paused = ev.OwnerPaused(START, "t", 8)
    taken = f"INSERT INTO journal VALUES ({state.seq + 1}, 0, 'x', 'x', '', NULL, '')"
    await db.write(lambda con: con.execute(taken).rowcount)
    with pytest.raises(InvariantBroken, match="UNIQUE"):
        await journal.commit(Change(state, state.with_(seq=state.seq + 1, updates=(8,)), paused, ()))
    assert all_of(db) == before


async def test_what_cannot_be_audited_does_not_happen(db, journal):
    """Without its row in the audit no word is taken and no order is planned: the whole step is undone."""
    async with shell(journal) as one:
        await one.open()
        state = one.state
    await db.write(lambda con: con.execute("DROP TRIGGER audit_origin_stays"))
    await db.write(lambda con: con.execute("DELETE FROM audit_origin").rowcount)
    with pytest.raises(InvariantBroken, match="lost its origin"):
        await journal.commit(Change(state, state.with_(seq=state.seq + 1), ev.OwnerPaused(START, "t", 8), ()))
    assert await db.read("SELECT max(seq) FROM journal") == [(state.seq,)]


async def test_restoring_and_replaying_add_nothing(db, journal):
    """Reading the past again does not happen again."""
    async with shell(journal) as one:
        await one.open()
        await one.look(0)
        await one.engine.post(ev.OwnerPaused(one.clock.at, "t", 3))
        await one.settled()
        await journal.save_snapshot(State(seq=0))
    before = all_of(db)
    await db.write(lambda con: con.execute("UPDATE state_parts SET body = '{'").rowcount)
    await restore(SqliteJournal(db, OWNER))
    await verify(SqliteJournal(db, OWNER))
    assert all_of(db) == before


CHILD = """
import asyncio, sys
from pathlib import Path
from core.adapters.db import Database
from core.adapters.journal import SqliteJournal
from core.decide.step import step
from core.decide.step import step
from core.domain import events as ev
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import START

async def main():
    db = await Database.open(Path(sys.argv[1]), durable=True)
    journal, state = SqliteJournal(db, "owner:42"), State()
    for n in range(1, 100_000):
        event = (ev.OwnerPaused if n % 2 else ev.OwnerResumed)(START, "t", n)
        after, effects = step(state, event)
        await journal.commit(Change(state, after, event, effects))
        state = after
        print(n, flush=True)

asyncio.run(main())
"""


def killed(path):
    """How many steps a child acknowledged before it was killed."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, path], stdout=subprocess.PIPE, cwd=ROOT)
    lines = [child.stdout.readline() for _ in range(40)]
    child.kill()
    said = b"".join(lines) + child.communicate()[0]
    return int(said.split(b"\n")[:-1][-1])


async def test_a_kill_leaves_each_journal_line_with_its_rows(tmp_path):
    """Whatever moment it is killed at, no command stands in the journal without its audit, nor the other way round."""
    path = tmp_path / MAIN_FILE
    migrate(path, "main")
    acknowledged = await asyncio.to_thread(killed, path)
    db = await Database.open(path, durable=True)
    try:
        journaled = [seq for (seq,) in await db.read("SELECT seq FROM journal ORDER BY seq")]
        assert [row[3]["line"] for row in rows(db, What.COMMAND)] == journaled
        assert [row[3]["line"] for row in rows(db, What.TRADING)] == journaled
        assert len(journaled) >= acknowledged
    finally:
        await db.close()
