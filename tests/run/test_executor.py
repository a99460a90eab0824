"""What is committed is sent once; what came of it becomes one event an order; nothing dies silently."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain import events as ev
from core.domain.effects import Topic
from core.domain.errors import (
    BadData,
    FirstmateError,
    InvariantBroken,
    NeedsOwner,
    OutcomeUnknown,
    Refused,
    RetryLater,
    StoreUnusable,
)
from core.domain.orders import Order, OrderState, Purpose
from core.domain.state import State, TradingState
from core.run.engine import Engine
from core.run.executor import CANCEL_TRIES, SEND_TRIES, Executor
from tests.run.fakes import Exchange, HandClock, MemoryJournal
from tests.run.samples import of_purpose, opening, seen
from tests.run.shell import Shell, kinds, running, shell, tells, until

D = Decimal
QUICK = RetryLater("busy", 0.0)


async def nobody(symbol: str) -> None:
    """Look at nothing."""


def events_of(journal: MemoryJournal, kind: type[ev.Event]) -> list[ev.Event]:
    return [event for event in journal.events() if isinstance(event, kind)]


async def test_an_entry_is_sent_once_and_accepted():
    """One decision to buy is one order at the exchange."""
    async with shell(follow=nobody) as one:
        await one.open()
        await one.look(0)
        entry = one.order(Purpose.ENTRY)
    assert one.exchange.sent == [entry.client_id]
    assert events_of(one.journal, ev.Accepted) == [
        ev.Accepted(one.clock.now(), "bar:BTCUSDT:0", entry.client_id, exchange_id="1")
    ]


async def test_an_entry_leads_to_a_protected_position_at_once():
    """What is bought has its stop and its target without waiting for the next look."""
    async with shell() as one:
        await one.open()
        await one.look(0)
        stop, target = one.order(Purpose.STOP), one.order(Purpose.TARGET)
    assert (stop.state, target.state) == (OrderState.OPEN, OrderState.OPEN)
    assert len(one.exchange.sent) == len(set(one.exchange.sent)) == 3
    assert tells(one.journal)[-1].topic is Topic.PROTECTED


@pytest.mark.parametrize("came_through", [True, False])
async def test_a_lost_answer_is_a_doubt_and_nothing_is_sent_again(came_through):
    """Nobody knows whether the order exists, so it is watched, not repeated."""
    async with shell(follow=nobody) as one:
        await one.open()
        one.exchange.faults.append((OutcomeUnknown("timed out"), came_through))
        await one.look(0)
        entry = one.order(Purpose.ENTRY)
        await one.look(1)
    assert entry.state is OrderState.MAYBE_SENT
    assert one.exchange.sent == [entry.client_id]
    assert len(events_of(one.journal, ev.Unknown)) == 1


@pytest.mark.parametrize(
    ("proof", "code"),
    [
        (Refused("Filter failure: NOTIONAL", "-1013"), "-1013"),
        (RetryLater("too many requests", 0.0), "RetryLater"),
        (NeedsOwner("the key is not allowed to trade"), "NeedsOwner"),
        (BadData("no such price"), "BadData"),
    ],
)
async def test_what_is_proven_not_sent_is_rejected(proof, code):
    """An order that certainly does not exist leaves nothing behind, with its code and sentence."""
    async with shell() as one:
        await one.open()
        one.exchange.faults.extend([(proof, False)] * SEND_TRIES)
        await one.look(0)
    (rejected,) = events_of(one.journal, ev.Rejected)
    assert (rejected.code, rejected.text) == (code, proof.user_text)
    assert (one.state.positions, one.exchange.placed) == ({}, {})


async def test_a_pair_has_one_event_for_each_of_its_orders():
    """Stop and target are sent together and answered apart."""
    async with shell() as one:
        await one.open()
        one.exchange.faults.extend([(None, True), (OutcomeUnknown("timed out"), True)])
        await one.look(0)
    doubts = [event.client_id for event in events_of(one.journal, ev.Unknown)]
    assert doubts == [one.order(Purpose.STOP).client_id, one.order(Purpose.TARGET).client_id]


async def test_protection_does_not_fail_over_a_short_wait():
    """An exchange that is busy for a moment gets the stop and the target a moment later, not a sale."""
    async with shell() as one:
        await one.open()
        one.exchange.faults.extend([(None, True), (QUICK, False), (QUICK, False)])
        await one.look(0)
        assert {one.order(Purpose.STOP).state, one.order(Purpose.TARGET).state} == {OrderState.OPEN}
    assert events_of(one.journal, ev.Rejected) == []


async def leaving(one) -> None:
    """A protected position that is told to leave at the next bar."""
    await one.open()
    await one.look(0)
    await one.engine.post(ev.OwnerPanicked(one.clock.now(), "update:9", 9))
    await one.settled()


async def test_a_cancel_is_repeated_until_it_is_answered():
    """Cancelling twice does no harm, so a lost cancel is sent again."""
    async with shell() as one:
        one.exchange.faults.extend([(None, True), (None, True)])  # the entry and its pair
        one.exchange.faults.extend([(QUICK, False), (QUICK, False)])
        await leaving(one)
    assert len(one.exchange.cancels) == 3
    assert not one.state.positions


async def test_a_cancel_is_not_repeated_for_ever():
    """An exchange that never answers does not hold up everything else; the next bar tries again."""
    async with shell() as one:
        one.exchange.faults.extend([(None, True), (None, True)])
        one.exchange.faults.extend([(QUICK, False)] * CANCEL_TRIES)
        await leaving(one)
        assert len(one.exchange.cancels) == CANCEL_TRIES
        assert one.executor.idle
        await one.look(1, buy=False)
    assert len(one.exchange.cancels) == CANCEL_TRIES + 1
    assert not one.state.positions


async def test_a_cancel_of_what_is_gone_is_told_to_the_machine():
    """Where there is nothing to cancel, its fill will tell; the position closes by it."""
    async with shell() as one:
        await one.open()
        await one.look(0)
        one.exchange.hit(one.order(Purpose.TARGET).client_id)
        await one.engine.post(ev.OwnerPanicked(one.clock.now(), "update:9", 9))
        await one.settled()
    assert "CancelRefused" in kinds(one.journal)
    assert not one.state.positions
    assert [fill.side.value for fill in one.exchange.fills] == ["BUY", "SELL"]


async def test_the_symbol_of_every_action_is_looked_at():
    """After each order or cancel its fills are looked for at once."""
    followed = []

    async def follow(symbol: str) -> None:
        followed.append(symbol)

    async with shell(follow=follow) as one:
        await one.open("BTCUSDT", "ETHUSDT")
        await one.look(0, symbol="ETHUSDT")
        await one.look(0, symbol="BTCUSDT")
    assert followed == ["ETHUSDT", "BTCUSDT"]


async def test_it_is_idle_only_when_everything_is_through():
    """Whoever waits for quiet waits for the send under way too."""
    async with shell(follow=nobody) as one:
        await one.open()
        one.exchange.held.clear()
        await one.engine.post(seen(0))
        waiting = asyncio.create_task(one.executor.settled())
        await asyncio.sleep(0)
        assert (one.executor.idle, waiting.done()) == (False, False)
        one.exchange.held.set()
        await asyncio.wait_for(waiting, 5)
        assert one.executor.idle


@pytest.mark.parametrize(
    "trouble",
    [
        RetryLater("busy"),
        OutcomeUnknown("no answer"),
        NeedsOwner("the key is gone"),
        BadData("the answer cannot be read"),
        Refused("Invalid symbol.", "-1121"),
    ],
)
async def test_a_look_that_fails_does_not_stop_the_sending(trouble):
    """What the exchange cannot show now is looked for later; the next order goes out all the same."""

    async def follow(symbol: str) -> None:
        raise trouble

    async with shell(follow=follow) as one:
        await one.open("BTCUSDT", "ETHUSDT")
        await one.look(0)
        await one.look(0, symbol="ETHUSDT")
    assert len(one.exchange.sent) == 2


@pytest.mark.parametrize("trouble", [InvariantBroken("our books disagree"), StoreUnusable("full"), KeyError("bug")])
async def test_what_nobody_expects_ends_it_loudly(trouble):
    """A failure of our own is raised to whoever keeps the parts alive, and nobody waits for ever."""
    looks = []

    async def follow(symbol: str) -> None:
        looks.append(symbol)
        raise trouble

    async with world(follow) as (_, engine, executor, exchange, (_, working)):
        posts = [engine.post(event) for event in (*opening("BTCUSDT", "ETHUSDT"), seen(0), seen(0, symbol="ETHUSDT"))]
        for post in posts:
            await post
        with pytest.raises(type(trouble)):
            await asyncio.wait_for(working, 5)
        with pytest.raises(FirstmateError, match="stopped"):
            await asyncio.wait_for(executor.settled(), 5)
    assert (looks, len(exchange.sent)) == (["BTCUSDT"], 1)


async def test_a_stopped_engine_ends_it_and_nobody_waits_for_ever():
    """When the journal cannot be written, sending ends with it, and what was left is not counted as under way."""
    async with world(nobody) as (journal, engine, executor, exchange, (running_engine, working)):
        for event in opening("BTCUSDT", "ETHUSDT"):
            await engine.post(event)
        exchange.held.clear()
        for symbol in ("BTCUSDT", "ETHUSDT"):
            await engine.post(seen(0, symbol=symbol))
        journal.broken = StoreUnusable("the disk is full")
        exchange.held.set()
        with pytest.raises(FirstmateError):
            await asyncio.wait_for(working, 5)
        with pytest.raises(StoreUnusable):
            await running_engine
        with pytest.raises(FirstmateError, match="stopped"):
            await asyncio.wait_for(executor.settled(), 5)
        assert executor.idle
    assert len(exchange.sent) == 1


@contextlib.asynccontextmanager
async def world(follow):
    """Engine and executor as bare tasks, so that a test can see how they end."""
    exchange = Exchange(HandClock())
    journal = MemoryJournal()
    engine = Engine(journal, State())
    executor = Executor(engine, exchange, exchange.clock, follow=follow, one_lane=True)
    async with running(engine.run, executor.run) as tasks:
        yield journal, engine, executor, exchange, tasks


async def test_a_stop_in_the_middle_of_a_send_is_clean():
    """Stopped while an order is on the wire, it ends at once; the order stays planned for the next start to judge."""
    async with world(nobody) as (_, engine, executor, exchange, (_, working)):
        for event in opening():
            await engine.post(event)
        exchange.held.clear()
        await engine.post(seen(0))
        await until(lambda: len(exchange.sent) == 1)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert executor.idle
        assert [order.state for order in engine.state.orders.values()] == [OrderState.PLANNED]


async def test_an_order_given_up_while_it_waited_is_not_sent():
    """What was declared absent and perhaps replaced must not go out after all."""
    async with shell(follow=nobody, one_lane=True) as one:
        await one.open("BTCUSDT", "ETHUSDT")
        one.exchange.held.clear()
        await one.engine.post(seen(0, symbol="ETHUSDT"))
        await one.engine.post(seen(0))
        waiting = one.order(Purpose.ENTRY)
        assert waiting.symbol == "BTCUSDT"
        await one.engine.post(ev.Absent(one.clock.now(), "reconcile", waiting.client_id))
        one.exchange.held.set()
        await one.settled()
    assert waiting.client_id not in one.exchange.sent
    assert len(one.exchange.sent) == 1


async def test_a_slow_cancel_of_one_symbol_does_not_hold_up_anothers_entry():
    """What one market is slow to answer keeps no other position waiting for its stop."""
    async with shell(exchange=SlowCancels(HandClock())) as one:
        await one.open("BTCUSDT", "ETHUSDT")
        await one.look(0)
        await one.engine.post(ev.OwnerMovedStop(one.clock.now(), "update:9", 9, "BTCUSDT", D("99")))
        await until(lambda: bool(one.exchange.cancels))
        await one.engine.post(seen(0, symbol="ETHUSDT"))
        await until(lambda: sum(o.symbol == "ETHUSDT" and o.state is OrderState.OPEN for o in orders(one)) == 2)
        assert not one.executor.idle
        one.exchange.slow.set()
        await one.settled()
        assert of_purpose(one.state, Purpose.STOP).state is OrderState.OPEN
        assert one.state.orders["fm-BTCUSDT-s6k2o0-s2"].stop_price == D("99")


class SlowCancels(Exchange):
    """An exchange that answers no cancel before ``slow`` is set."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__(clock)
        self.slow = asyncio.Event()

    async def cancel(self, symbol: str, client_id: str) -> None:
        self.cancels.append(client_id)
        await self.slow.wait()
        self.end(client_id)


def orders(one: Shell) -> list[Order]:
    return list(one.state.orders.values())


async def test_the_actions_of_one_symbol_keep_their_order():
    """A cancel that comes after an order waits for it: they never overtake each other on the wire."""
    async with shell(follow=nobody) as one:
        await one.open(lists=True)
        one.exchange.held.clear()
        await one.engine.post(seen(0))
        await until(lambda: bool(one.exchange.sent))
        await one.engine.post(ev.OwnerPanicked(one.clock.now(), "update:9", 9))
        await asyncio.sleep(0)
        assert one.exchange.cancels == []
        one.exchange.held.set()
        await one.settled()
    assert one.exchange.cancels == [one.exchange.sent[1]]


async def test_in_one_lane_everything_takes_turns():
    """A world that has to repeat itself exactly sends one thing at a time, whatever the symbol."""
    async with shell(follow=nobody, one_lane=True) as one:
        await one.open("BTCUSDT", "ETHUSDT")
        one.exchange.held.clear()
        await one.engine.post(seen(0))
        await one.engine.post(seen(0, symbol="ETHUSDT"))
        await until(lambda: bool(one.exchange.sent))
        await asyncio.sleep(0)
        assert [name.split("-")[1] for name in one.exchange.sent] == ["BTCUSDT"]
        one.exchange.held.set()
        await one.settled()
    assert [name.split("-")[1] for name in one.exchange.sent] == ["BTCUSDT", "ETHUSDT"]


async def test_an_entry_that_waited_too_long_is_not_sent():
    """An order decided at a price that is gone is refused by ourselves, with its protection, and told."""
    async with shell() as one:
        await one.open(lists=True)
        event = seen(0)
        one.clock.at = event.at + timedelta(seconds=one.state.config.send_window_s + 1)
        await one.engine.post(event)
        await one.settled()
    assert one.exchange.sent == []
    assert {event.code for event in events_of(one.journal, ev.Rejected)} != set()
    assert (one.state.positions, one.state.orders) == ({}, {})
    assert "nothing was bought" in tells(one.journal)[-1].text


async def test_a_stop_is_sent_however_late_it_is():
    """Only an entry has a time by which it must be sent: protection is wanted always."""
    async with shell(follow=nobody) as one:
        await one.open()
        await one.look(0)
        one.clock.pass_(minutes=10)
        fill = one.exchange.fills[0]
        await one.engine.post(ev.Filled(one.clock.now(), "look", fill))
        await one.settled()
        assert one.order(Purpose.STOP).state is OrderState.OPEN


async def test_a_key_that_is_not_taken_any_more_halts_and_is_told():
    """Without a key nothing can be bought or sold: the machine hears of it from the first order that meets it."""
    async with shell() as one:
        await one.open()
        one.exchange.faults.append((NeedsOwner("the key is not accepted"), False))
        await one.look(0)
    assert [event.text for event in events_of(one.journal, ev.AccessLost)] == ["the key is not accepted"]
    assert one.state.trading.state is TradingState.HALTED
    assert tells(one.journal)[-1].urgent


async def test_a_cancel_refused_for_the_key_halts_too():
    """It does not matter which request finds out."""
    async with shell() as one:
        await one.open()
        await one.look(0)
        one.exchange.faults.append((NeedsOwner("the key is not accepted"), False))
        await one.engine.post(ev.OwnerMovedStop(one.clock.now(), "update:9", 9, "BTCUSDT", D("99")))
        await one.settled()
    assert one.state.trading.state is TradingState.HALTED


async def pair_in_doubt(one: Shell) -> None:
    """A bought position whose pair was sent without an answer."""
    await one.open()
    await one.look(0)
    one.exchange.faults.append((OutcomeUnknown("timed out"), False))
    await one.engine.post(ev.Filled(one.clock.now(), "look", one.exchange.fills[0]))
    await one.settled()


@pytest.mark.parametrize("waited_s", [5, 21])
async def test_a_second_sending_that_is_refused_proves_nothing_of_the_first(waited_s):
    """It may be refused because the first stands: the doubt is left to the watch."""
    async with shell(follow=nobody) as one:
        await pair_in_doubt(one)
        stop = one.order(Purpose.STOP)
        assert stop.state is OrderState.MAYBE_SENT
        one.clock.pass_(seconds=waited_s)
        one.exchange.faults.append((Refused("insufficient balance", "-2010"), False))
        await one.engine.post(ev.StillHeld(one.clock.now(), "look", stop.client_id, stop.qty))
        await one.settled()
        assert one.state.orders[stop.client_id].state is OrderState.MAYBE_SENT
    assert [name for name in one.exchange.sent if name == stop.client_id] == [stop.client_id] * 2


async def test_a_pair_asked_for_again_that_stands_already_is_not_placed_twice():
    """The exchange knows the names: the second sending proves the first."""
    async with shell(follow=nobody) as one:
        await one.open()
        await one.look(0)
        one.exchange.faults.append((OutcomeUnknown("timed out"), True))
        await one.engine.post(ev.Filled(one.clock.now(), "look", one.exchange.fills[0]))
        await one.settled()
        stop = one.order(Purpose.STOP)
        one.clock.pass_(seconds=4)
        await one.engine.post(ev.StillHeld(one.clock.now(), "look", stop.client_id, stop.qty))
        await one.settled()
        assert one.order(Purpose.STOP).state is OrderState.OPEN
    assert len(one.exchange.placed) == 3


@pytest.mark.parametrize("word", [ev.OwnerPanicked, ev.AccessLost])
async def test_an_entry_that_still_waits_when_trading_halts_is_not_sent(word):
    """A halt calls off what has not gone out yet, and what would have protected it."""
    async with shell(follow=nobody, one_lane=True) as one:
        await one.open("BTCUSDT", "ETHUSDT", lists=True)
        one.exchange.held.clear()
        await one.engine.post(seen(0, symbol="ETHUSDT"))
        await until(lambda: bool(one.exchange.sent))
        await one.engine.post(seen(0))
        await one.engine.post(word(one.clock.now(), "update:9", "no key" if word is ev.AccessLost else 9))
        one.exchange.held.set()
        await one.settled()
    assert {name.split("-")[1] for name in one.exchange.sent} == {"ETHUSDT"}
    assert "BTCUSDT" not in one.state.positions
    assert {e.code for e in events_of(one.journal, ev.Rejected)} == {"CALLED_OFF"}


async def test_a_pause_does_not_call_off_what_was_decided():
    """A pause starts nothing new; what is on its way is finished and protected."""
    async with shell(one_lane=True) as one:
        await one.open("BTCUSDT", "ETHUSDT", lists=True)
        one.exchange.held.clear()
        await one.engine.post(seen(0, symbol="ETHUSDT"))
        await one.engine.post(seen(0))
        await one.engine.post(ev.OwnerPaused(one.clock.now(), "update:9", 9))
        one.exchange.held.set()
        await one.settled()
    assert set(one.state.positions) == {"BTCUSDT", "ETHUSDT"}


async def test_an_entry_that_was_killed_is_known_to_be_so_from_the_answer():
    """The exchange's own answer says that nothing was bought: no second question is needed."""
    async with shell(follow=nobody) as one:
        await one.open(lists=True)
        one.exchange.price = D(120)
        await one.look(0)
        assert (one.state.positions, one.state.orders) == ({}, {})
    assert one.exchange.asked == []


async def test_a_bought_entry_is_protected_without_another_request():
    """One request is all it takes from nothing to a position whose stop stands."""
    async with shell() as one:
        await one.open(lists=True)
        await one.look(0)
        assert one.order(Purpose.STOP).state is OrderState.OPEN
        assert one.state.positions["BTCUSDT"].bought_qty > 0
    assert len(one.exchange.sent) == 3
    assert len(one.exchange.placed) == 3
