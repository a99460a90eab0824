"""Messages to the owner wait on disk until the chat has them."""

from __future__ import annotations

import pytest

from core.adapters.journal import SqliteJournal
from core.adapters.outbox import SqliteOutbox
from core.domain.effects import Tell, Topic
from core.domain.errors import InvariantBroken
from core.domain.events import Ticked
from core.domain.state import State
from core.ports import Change
from tests.adapters.store_samples import START, opened


@pytest.fixture
async def db(tmp_path):
    async with opened(tmp_path, "main") as database:
        yield database


@pytest.fixture
def outbox(db):
    return SqliteOutbox(db)


async def tell(db, *tells):
    """Commit one step with these messages."""
    last = await SqliteJournal(db).latest_snapshot() or State()
    event = Ticked(START, "trace-1")
    await SqliteJournal(db).commit(Change(last, last.with_(seq=last.seq + 1), event, tells))


async def test_a_committed_message_waits_with_all_it_says(db, outbox):
    """What is told is exactly what was committed, when it happened, under the same trace."""
    told = Tell(Topic.STATE, "HALTED", "Trading is now HALTED.", urgent=True)
    await tell(db, told)
    (parcel,) = await outbox.pending(10)
    assert (parcel.tell, parcel.at, parcel.trace) == (told, START, "trace-1")


async def test_messages_come_in_the_order_they_happened(db, outbox):
    """The oldest message goes first, and no more are handed out than asked for."""
    await tell(db, *(Tell(Topic.FILL, f"fill-{n}") for n in range(5)))
    assert [parcel.tell.ref for parcel in await outbox.pending(3)] == ["fill-0", "fill-1", "fill-2"]


async def test_a_delivered_message_is_not_handed_out_again(db, outbox):
    """Each message is sent once, also after a restart."""
    await tell(db, Tell(Topic.FILL, "a"), Tell(Topic.FILL, "b"))
    (first, _) = await outbox.pending(10)
    await outbox.delivered(first.parcel_id, 77)
    assert [parcel.tell.ref for parcel in await SqliteOutbox(db).pending(10)] == ["b"]


async def test_the_newest_message_of_a_reference_can_be_edited_later(db, outbox):
    """A card is found again by what it is about; one that was folded into another has no id of its own."""
    await tell(db, Tell(Topic.SIGNAL, "x"), Tell(Topic.SIGNAL, "x"), Tell(Topic.SIGNAL, "x"))
    first, second, third = await outbox.pending(10)
    await outbox.delivered(first.parcel_id, 70)
    await outbox.delivered(second.parcel_id, 71)
    await outbox.delivered(third.parcel_id, 0)
    assert await outbox.message_id(Topic.SIGNAL, "x") == 71
    assert await outbox.message_id(Topic.FILL, "x") == 0


async def test_the_first_note_of_a_delivery_stands(db, outbox):
    """Two notes of one delivery do not turn a message into another."""
    await tell(db, Tell(Topic.SIGNAL, "x"))
    (parcel,) = await outbox.pending(1)
    await outbox.delivered(parcel.parcel_id, 70)
    await outbox.delivered(parcel.parcel_id, 99)
    assert await outbox.message_id(Topic.SIGNAL, "x") == 70


async def test_a_message_that_cannot_be_read_is_named(db, outbox):
    """A damaged row is a sentence, not an empty message to the owner."""
    await tell(db, Tell(Topic.SIGNAL, "x"))
    await db.write(lambda con: con.execute("UPDATE outbox SET body = '{'").rowcount)
    with pytest.raises(InvariantBroken, match="cannot be read"):
        await outbox.pending(1)
