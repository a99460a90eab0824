"""The journal of a longer life, on disk, stepped again from nothing: the same effects byte for byte, or a refusal."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from core.adapters.codec import encode_effects
from core.adapters.db import Database
from core.adapters.journal import SqliteJournal
from core.adapters.migrate import migrate
from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Cancel, Submit
from core.domain.errors import InvariantBroken, OutcomeUnknown, Refused, RetryLater
from core.domain.orders import Fill, Purpose, Side
from core.domain.state import State
from core.ports import Change, Committed
from core.run.replay import verify
from tests.run.fakes import Exchange, HandClock, MemoryJournal
from tests.run.samples import HOUR, START, opening, paused, seen
from tests.run.shell import Shell, shell

SYMBOLS = ("BTCUSDT", "ETHUSDT", "LINKUSDT")
HOURS = 60


@contextlib.asynccontextmanager
async def on_disk(folder):
    path = folder / "firstmate.db"
    migrate(path, "main")
    db = await Database.open(path, durable=True)
    try:
        yield SqliteJournal(db), db
    finally:
        await db.close()


async def live(one: Shell, seed: int, hours: int = HOURS) -> None:
    """Trade three symbols for some hours: entries, stops, targets, faults, commands."""
    dice = random.Random(seed)
    if not one.state.seq:
        await one.open(*SYMBOLS, approve_auto=False, fee="0.001")
    first = max((mark.bar.open_at - START) // HOUR for mark in one.state.marks.values()) + 1 if one.state.marks else 0
    for hour in range(first, first + hours):
        for symbol in SYMBOLS:
            close = str(100 + dice.randint(-3, 3))
            one.exchange.price = Decimal(close)
            await one.look(hour, close, symbol, buy=dice.random() < 0.7)
        await command(one, dice, hour)
        trade(one, dice)
        await one.reconcile.poll()
        await one.settled()


async def command(one: Shell, dice: random.Random, hour: int) -> None:
    """Approve, skip, pause, resume, panic, or let something go wrong with the next order."""
    at, update, trace = one.clock.now(), 1000 + hour, f"update:{hour}"
    for n, intent in enumerate(tuple(one.state.proposals)):
        kind = ev.OwnerApproved if dice.random() < 0.8 else ev.OwnerSkipped
        await one.engine.post(kind(at, trace, 10_000 + hour * 10 + n, intent))
    match dice.randrange(10):
        case 0:
            await one.engine.post(ev.OwnerPaused(at, trace, update))
        case 1 | 2 | 3:
            await one.engine.post(ev.OwnerResumed(at, trace, update))
        case 4 if dice.random() < 0.3:
            await one.engine.post(ev.OwnerPanicked(at, trace, update))
        case 5:
            one.exchange.faults.append((OutcomeUnknown("no answer"), dice.random() < 0.5))
        case 6:
            one.exchange.faults.append((Refused("Filter failure", "-1013"), False))
        case 7:
            one.exchange.faults.append((RetryLater("busy", 0.0), False))
    await one.settled()


def trade(one: Shell, dice: random.Random) -> None:
    """Now and then the market hits a stop or a target, wholly or in part."""
    for each in [o for o in one.state.orders.values() if o.live and o.purpose in (Purpose.STOP, Purpose.TARGET)]:
        placed = one.exchange.placed.get(each.client_id)
        if placed and placed.state.name in ("OPEN", "PARTIAL") and dice.random() < 0.08:
            rest = placed.order.qty - placed.filled
            part = (rest / 2).quantize(Decimal("0.00001")) if dice.random() < 0.3 else rest
            one.exchange.hit(each.client_id, str(part))


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_life_on_disk_repeats_byte_for_byte(tmp_path, seed):
    """Stepping the journal again from nothing writes the very bytes that were written then."""
    exchange = Exchange(HandClock(), fee="0.001")
    async with on_disk(tmp_path) as (journal, db):
        async with shell(journal, exchange) as one:
            await live(one, seed)
            ended = one.state
        async with shell(journal, exchange) as again:
            assert again.state == ended
            await live(again, seed + 100, hours=20)
            ended = again.state
        stored = [bytes(body, "utf-8") for (body,) in await db.read("SELECT effects FROM journal ORDER BY seq")]
        state, repeated = State(), []
        async for line in journal.events_after(0):
            state, effects = step(state, line.event)
            repeated.append(encode_effects(effects))
        proven = await verify(journal)
        sold = await db.read("SELECT count(*) FROM trades")
    assert repeated == stored
    assert state == ended
    assert proven.lines == len(stored) == ended.seq
    assert sold[0][0] > 10


async def told(*events: ev.Event) -> MemoryJournal:
    """A journal that tells of these events."""
    journal = MemoryJournal()
    state = State()
    for event in events:
        after, effects = step(state, event)
        await journal.commit(Change(state, after, event, effects))
        state = after
    return journal


async def test_the_same_life_has_the_same_digest():
    """Two runs of the same events can be compared by one short line."""
    one, other = await told(*opening(), paused()), await told(*opening(), paused())
    assert await verify(one) == await verify(other)
    assert (await verify(one)).lines == 4
    assert len((await verify(one)).effects_sha256) == 64


async def test_other_effects_have_another_digest():
    """A life in which something else was done cannot pass for this one."""
    one, other = await told(*opening(), paused()), await told(*opening(), paused(hour=1), paused(2))
    assert (await verify(one)).effects_sha256 != (await verify(other)).effects_sha256


async def test_an_empty_journal_proves_nothing_and_breaks_nothing():
    """Before the first event there is nothing to repeat."""
    assert (await verify(MemoryJournal())).lines == 0


@pytest.mark.parametrize("seq", [1, 3, 4])
async def test_a_changed_effect_is_named_by_its_line(seq):
    """Whoever changes what was done in the journal is found, with the line."""
    journal = await told(*opening(), paused())
    line = journal.lines[seq - 1]
    journal.lines[seq - 1] = replace(line, effects=(*line.effects, Cancel("BTCUSDT", "fm-1")))
    with pytest.raises(InvariantBroken, match=f"line {seq} does not repeat"):
        await verify(journal)


async def test_the_same_amount_with_other_digits_is_not_the_same():
    """Byte for byte means the digits too: 1.0 is not 1.00."""
    journal = await told(*opening(), seen(0))
    line = journal.lines[3]
    submit = next(e for e in line.effects if isinstance(e, Submit))
    wider = replace(submit, order=replace(submit.order, qty=submit.order.qty.quantize(Decimal("0.0000001"))))
    journal.lines[3] = replace(line, effects=tuple(wider if e is submit else e for e in line.effects))
    assert wider == submit
    with pytest.raises(InvariantBroken, match="line 4 does not repeat"):
        await verify(journal)


async def test_a_missing_line_is_noticed():
    """A journal out of which a line was taken does not pass."""
    journal = await told(*opening(), paused())
    del journal.lines[1]
    with pytest.raises(InvariantBroken, match="line 3"):
        await verify(journal)


async def test_a_line_that_cannot_be_stepped_is_named():
    """Where the machine itself refuses an event of the past, the line is told, not only the reason."""
    journal = await told(*opening())
    fill = Fill("XYZUSDT", "1", "fm-1", Side.BUY, Decimal(1), Decimal(1), Decimal(0), "USDT", START)
    journal.lines.append(Committed(4, ev.Filled(START, "x", fill), ()))
    with pytest.raises(InvariantBroken, match="line 4 cannot be stepped again"):
        await verify(journal)


async def test_lines_before_the_asked_one_are_stepped_but_not_judged():
    """A journal begun by an older program can be proven from the line where the newer one took over."""
    journal = await told(*opening(), paused())
    journal.lines[0] = replace(journal.lines[0], effects=(Cancel("BTCUSDT", "fm-1"),))
    assert (await verify(journal, from_seq=1)).lines == 3
