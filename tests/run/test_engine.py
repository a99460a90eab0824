"""One inbox, journal first, a waiter that leaves does no harm, and a start that repeats the journal or refuses it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Cancel
from core.domain.errors import FirstmateError, InvariantBroken, StoreUnusable
from core.domain.orders import Fill, Side
from core.domain.state import Limits, State, TradingState
from core.run import engine as engine_module
from core.run.engine import Engine, restore
from tests.run.fakes import MemoryJournal
from tests.run.samples import START, opening, paused, seen
from tests.run.shell import kinds, running


@pytest.fixture
def journal():
    return MemoryJournal()


@pytest.fixture
def engine(journal):
    return Engine(journal, State())


async def test_events_are_committed_in_the_order_they_were_posted(engine, journal):
    """What was said first is done first, whoever said it."""
    async with running(engine.run):
        await asyncio.gather(*(engine.post(paused(n)) for n in range(1, 6)))
    assert [event.update_id for event in journal.events()] == [1, 2, 3, 4, 5]


async def test_nothing_is_heard_before_it_is_in_the_journal(engine, journal):
    """Whoever acts on a decision finds it written down already."""
    heard = []
    engine.listen(lambda line: heard.append((line.seq, len(journal.lines))))
    journal.held.clear()
    async with running(engine.run):
        posted = asyncio.create_task(engine.post(paused()))
        await asyncio.sleep(0)
        assert (heard, posted.done(), engine.state.seq) == ([], False, 0)
        journal.held.set()
        await posted
    assert heard == [(1, 1)]


async def test_a_waiter_that_leaves_does_not_hurt_the_engine(engine, journal):
    """A chat that hangs up while its command is being written leaves everyone else's in order."""
    journal.held.clear()
    async with running(engine.run):
        first, second = (asyncio.create_task(engine.post(paused(n))) for n in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        journal.held.set()
        assert (await second).seq == 2
    assert kinds(journal) == ["OwnerPaused", "OwnerPaused"]


async def test_a_pause_sent_while_a_bar_is_being_journaled_is_not_lost(engine, journal):
    """Two writers cannot overwrite each other: everything goes through one inbox."""
    async with running(engine.run):
        for event in opening():
            await engine.post(event)
        journal.held.clear()
        both = asyncio.gather(engine.post(seen(0)), engine.post(paused()))
        await asyncio.sleep(0)
        journal.held.set()
        await both
    assert engine.state.trading.state is TradingState.REDUCING
    assert engine.state.marks["BTCUSDT"].bar == seen(0).bar
    assert engine.state.positions


async def test_a_commit_that_fails_stops_the_engine_and_everyone_hears_it(engine, journal):
    """What could not be written never happened: all who wait are told, and the state stays as it was."""
    journal.broken = StoreUnusable("the disk is full: free some space there")
    journal.held.clear()
    async with running(engine.run) as (task,):
        waiting = [asyncio.create_task(engine.post(paused(n))) for n in (1, 2)]
        await journal.reached.wait()
        waiting.append(asyncio.create_task(engine.post(paused(3))))
        await asyncio.sleep(0)
        journal.held.set()
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        with pytest.raises(StoreUnusable):
            await task
    assert [str(outcome) for outcome in outcomes] == [
        "the disk is full: free some space there",
        "the disk is full: free some space there",
        "The engine has stopped; nothing was done.",
    ]
    assert (engine.state, journal.lines) == (State(), [])


async def test_what_waits_together_is_committed_together(engine, journal):
    """The bars of one close cost one write to the disk, and each still has its own line, in order."""
    async with running(engine.run):
        lines = await engine.post_all(paused(n) for n in (1, 2, 3))
    assert [line.seq for line in lines] == [1, 2, 3]
    assert journal.commits == [3]


async def test_a_long_queue_is_committed_piece_by_piece(engine, journal, monkeypatch):
    """One commit holds no more than a bounded number of events."""
    monkeypatch.setattr(engine_module, "GROUP_MAX", 2)
    async with running(engine.run):
        await engine.post_all(paused(n) for n in range(1, 6))
    assert journal.commits == [2, 2, 1]


async def test_what_came_before_an_event_that_cannot_be_stepped_is_kept(engine, journal):
    """It is committed and told as such; that event and what waited behind it never happened, and everyone hears it."""
    sold = ev.Filled(
        START, "t", Fill("BTCUSDT", "1", "fm-1", Side.SELL, Decimal(1), Decimal(9), Decimal(0), "X", START)
    )
    async with running(engine.run) as (task,):
        waiting = [asyncio.create_task(engine.post(event)) for event in (paused(), replace(sold, fill=None), paused(2))]
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        with pytest.raises(AttributeError):
            await task
    assert outcomes[0].seq == 1
    assert {type(outcome) for outcome in outcomes[1:]} == {FirstmateError}
    assert (engine.state.seq, [line.seq for line in journal.lines]) == (1, [1])


async def test_nobody_waits_for_an_event_whose_forerunner_could_not_be_announced(engine):
    """Two faults at once: what cannot be stepped is refused all the same."""

    def fails(line):
        raise RuntimeError("no room")

    engine.listen(fails)
    unheard_of = ev.Filled(START, "t", None)
    async with running(engine.run):
        waiting = [asyncio.create_task(engine.post(event)) for event in (paused(), unheard_of)]
        first, second = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert (first.seq, type(second)) == (1, FirstmateError)


async def test_whoever_posts_to_a_stopped_engine_is_told(engine, journal):
    """After a failure or a stop nobody waits for an answer that cannot come."""
    journal.broken = StoreUnusable("the disk is full")
    async with running(engine.run):
        with pytest.raises(FirstmateError):
            await engine.post(paused())
        with pytest.raises(FirstmateError, match="stopped"):
            await asyncio.wait_for(engine.post(paused(2)), 5)


async def test_whoever_posts_after_the_stop_is_told(engine):
    """A command that arrives while the assistant is shutting down gets an answer, not silence."""
    async with running(engine.run):
        await engine.post(paused())
    with pytest.raises(FirstmateError, match="stopped"):
        await asyncio.wait_for(engine.post(paused(2)), 5)


async def test_nobody_waits_for_a_stopped_engine_to_settle(engine, journal):
    """With events left behind by a failure, waiting for quiet ends."""
    journal.broken = StoreUnusable("the disk is full")
    journal.held.clear()
    async with running(engine.run):
        posts = [asyncio.create_task(engine.post(paused(n))) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        journal.held.set()
        await asyncio.gather(*posts, return_exceptions=True)
        await asyncio.wait_for(engine.settled(), 5)
    assert engine.idle


async def test_giving_up_at_a_full_inbox_leaves_the_count_right(journal, monkeypatch):
    """A waiter that never got in does not make the engine look busy for ever."""
    monkeypatch.setattr(engine_module, "INBOX_SIZE", 1)
    engine = Engine(journal, State())
    first, second = (asyncio.create_task(engine.post(paused(n))) for n in (1, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    async with running(engine.run):
        await first
        await engine.settled()
        assert engine.idle


async def test_whoever_waits_at_a_full_inbox_hears_of_the_failure(journal, monkeypatch):
    """A full inbox of a failed engine lets go of those in front of it too."""
    monkeypatch.setattr(engine_module, "INBOX_SIZE", 1)
    engine = Engine(journal, State())
    journal.broken = StoreUnusable("the disk is full")
    posts = [asyncio.create_task(engine.post(paused(n))) for n in range(1, 6)]
    await asyncio.sleep(0)
    async with running(engine.run):
        outcomes = await asyncio.wait_for(asyncio.gather(*posts, return_exceptions=True), 5)
    assert all(isinstance(outcome, FirstmateError) for outcome in outcomes)


async def test_a_step_that_breaks_its_own_rules_is_not_committed(engine, journal):
    """A fill of something nobody watches stops everything before it is written."""
    fill = Fill("XYZUSDT", "1", "fm-1", Side.BUY, Decimal(1), Decimal(1), Decimal(0), "USDT", START)
    async with running(engine.run) as (task,):
        with pytest.raises(FirstmateError, match="XYZUSDT"):
            await engine.post(ev.Filled(START, "fill", fill))
        with pytest.raises(InvariantBroken):
            await task
    assert journal.lines == []


async def test_a_listener_that_fails_stops_the_engine_but_not_the_answer(engine, journal):
    """What is committed is answered as committed, even where acting on it fails."""

    def fails(line):
        raise RuntimeError("no room")

    engine.listen(fails)
    async with running(engine.run) as (task,):
        assert (await asyncio.wait_for(engine.post(paused()), 5)).seq == 1
        with pytest.raises(RuntimeError):
            await task


async def test_a_listener_that_fails_leaves_nobody_of_its_group_waiting(engine, journal):
    """Whoever's event was committed together with the one whose announcing fails hears that it was."""

    def fails(line):
        raise RuntimeError("no room")

    engine.listen(fails)
    async with running(engine.run) as (task,):
        lines = await asyncio.wait_for(engine.post_all(paused(n) for n in (1, 2, 3)), 5)
        with pytest.raises(RuntimeError):
            await task
    assert [line.seq for line in lines] == [1, 2, 3]


async def test_a_snapshot_is_kept_now_and_then(engine, journal, monkeypatch):
    """A start need not step the whole journal again."""
    monkeypatch.setattr(engine_module, "SNAPSHOT_EVERY", 3)
    async with running(engine.run):
        for n in range(1, 8):
            await engine.post(paused(n))
        await engine.settled()
    assert [state.seq for state in journal.snapshots] == [3, 6]


async def filled(journal):
    """A journal with a short life in it: the state it ended in."""
    engine = Engine(journal, State())
    async with running(engine.run):
        for event in (*opening(), seen(0), paused(), seen(1)):
            await engine.post(event)
    return engine.state


async def test_a_start_comes_to_the_state_the_last_run_ended_in(journal):
    """A restart knows what was known, without a snapshot."""
    ended = await filled(journal)
    assert await restore(journal) == ended


async def test_the_tail_after_a_snapshot_is_stepped_again(journal):
    """From any snapshot the journal leads to the same state."""
    ended = await filled(journal)
    state = State()
    for line in list(journal.lines):
        state, _ = step(state, line.event)
        journal.snapshots = [state]
        assert await restore(journal) == ended


async def test_an_empty_journal_is_the_first_start(journal):
    """A new installation begins with nothing."""
    assert await restore(journal) == State()


@pytest.mark.parametrize("line", range(6))
async def test_a_journal_that_does_not_repeat_is_refused(journal, line):
    """Decisions that would come out differently today stop the start and name their line."""
    await filled(journal)
    told = journal.lines[line]
    journal.lines[line] = replace(told, effects=(*told.effects, Cancel("BTCUSDT", "fm-never")))
    with pytest.raises(InvariantBroken, match=f"line {line + 1} "):
        await restore(journal)


async def test_a_limit_set_in_the_chat_is_there_after_a_restart(journal):
    """A tightened limit and a pause outlive the process."""
    engine = Engine(journal, State())
    tight = Limits(day_loss_max=Decimal("0.01"))
    async with running(engine.run):
        await engine.post(ev.OwnerSetLimits(START, "update:1", 1, tight))
        await engine.post(paused(2))
    state = await restore(journal)
    assert (state.limits, state.trading.state) == (tight, TradingState.REDUCING)
