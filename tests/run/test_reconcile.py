"""Our books follow the exchange's: fills from its trades, ends after their trades, doubts watched, money compared."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.decide.guarding import ASK_AGAIN, SALE_WATCH
from core.domain import events as ev
from core.domain.effects import Topic
from core.domain.errors import OutcomeUnknown, Refused, RetryLater
from core.domain.orders import OrderState, Purpose
from core.run.reconcile import ENTRY_WATCH
from tests.run.fakes import Exchange, HandClock, MemoryJournal
from tests.run.samples import seen
from tests.run.shell import Shell, kinds, shell, tells, until

LOST = OutcomeUnknown("timed out")
LOCKED = Refused("insufficient balance", "-2010")


async def nobody(symbol: str) -> None:
    """Look at nothing."""


def filled_ids(journal: MemoryJournal) -> list[str]:
    return [event.fill.trade_id for event in journal.events() if isinstance(event, ev.Filled)]


async def holding(one: Shell) -> None:
    """A bought and protected position."""
    await one.open()
    await one.look(0)


async def test_fills_are_booked_once_and_in_the_order_of_their_ids():
    """However often we look, each trade of the exchange counts once."""
    async with shell() as one:
        await holding(one)
        stop = one.order(Purpose.STOP)
        for part in ("1", "2", "3"):
            one.exchange.hit(stop.client_id, part)
        await one.reconcile.poll()
        await one.reconcile.poll()
        assert one.order(Purpose.STOP).filled_qty == 6
        assert one.order(Purpose.STOP).state is OrderState.PARTIAL
    assert filled_ids(one.journal) == ["1", "2", "3", "4"]


async def test_an_order_ends_only_after_its_trades_are_booked():
    """Shown as ended while its trade is not shown yet, an order stays open: money first."""
    async with shell() as one:
        await holding(one)
        stop = one.order(Purpose.STOP)
        one.exchange.hit(stop.client_id, "1")
        one.exchange.end(stop.client_id)
        fills, one.exchange.fills = one.exchange.fills, one.exchange.fills[:1]
        await one.reconcile.poll()
        assert one.order(Purpose.STOP).live
        one.exchange.fills = fills
        await one.reconcile.poll()
        await one.settled()
    assert filled_ids(one.journal)[:2] == ["1", "2"]
    story = [event for event in one.journal.events() if getattr(event, "client_id", "") == stop.client_id]
    assert [type(event).__name__ for event in story] == ["Accepted", "Canceled"]
    assert one.journal.events().index(story[1]) > kinds(one.journal).index("Filled", 6)


async def test_a_stop_that_filled_closes_the_position():
    """A hit stop is a closed trade, its target gone with it, without another order."""
    async with shell() as one:
        await holding(one)
        one.exchange.hit(one.order(Purpose.STOP).client_id)
        await one.reconcile.poll()
        await one.settled()
    assert not one.state.positions
    assert tells(one.journal)[-1].trade.why == "stop"
    assert len(one.exchange.sent) == 3


async def test_nothing_is_asked_where_nothing_is_open():
    """A quiet book costs no questions."""
    async with shell() as one:
        await one.open()
        await one.reconcile.poll()
    assert one.exchange.asked == []


async def in_doubt(one: Shell, *, came_through: bool) -> None:
    """An entry whose answer was lost and which no read shows yet."""
    await one.open()
    one.exchange.faults.append((LOST, came_through))
    one.exchange.lagging = True
    await one.look(0)


async def test_an_entry_in_doubt_is_watched_for_ten_minutes_then_given_up():
    """An entry nobody can find is not bought again; after the watch it is proven absent."""
    async with shell(follow=nobody) as one:
        await in_doubt(one, came_through=False)
        one.clock.at += ENTRY_WATCH - timedelta(seconds=1)
        await one.reconcile.poll()
        assert one.order(Purpose.ENTRY).state is OrderState.MAYBE_SENT
        one.clock.at += timedelta(seconds=1)
        await one.reconcile.poll()
    assert kinds(one.journal)[-1] == "Absent"
    assert timedelta(minutes=10) == ENTRY_WATCH
    assert (one.state.positions, len(one.exchange.sent)) == ({}, 1)


async def test_an_entry_in_doubt_is_adopted_when_it_appears():
    """The exchange's readers lag; once they show the order, its fill is ours and protected."""
    async with shell() as one:
        await in_doubt(one, came_through=True)
        assert one.order(Purpose.ENTRY).state is OrderState.MAYBE_SENT
        one.clock.pass_(seconds=36)
        one.exchange.hidden = set()
        await one.reconcile.poll()
        await one.settled()
        assert one.order(Purpose.ENTRY).state is OrderState.FILLED
        assert one.order(Purpose.STOP).state is OrderState.OPEN
    assert len(one.exchange.sent) == 3


async def selling(one: Shell, *, came_through: bool) -> None:
    """The sale of a held position, its answer lost, not shown by any read yet."""
    one.exchange.faults.extend([(None, True), (LOST, came_through)])  # the cancel of the pair, then the sale
    one.exchange.lagging = True
    await one.engine.post(ev.OwnerPanicked(one.clock.now(), "update:9", 9))
    await one.settled()
    one.exchange.lagging = False
    assert one.order(Purpose.EXIT).state is OrderState.MAYBE_SENT


def sales(exchange: Exchange) -> list[str]:
    return [client_id for client_id in exchange.sent if client_id.rpartition("-")[2].startswith("x")]


async def test_a_sale_in_doubt_is_sold_again_once_the_balance_shows_the_coins():
    """Right after a lost answer the sale may still arrive; seconds later the coins are counted, and sold if there."""
    async with shell() as one:
        await holding(one)
        await selling(one, came_through=False)
        one.clock.at += ASK_AGAIN - timedelta(seconds=1)
        await one.reconcile.guard()
        await one.settled()
        assert len(sales(one.exchange)) == 1
        one.clock.at += timedelta(seconds=1)
        await one.reconcile.guard()
        await one.settled()
    assert len(sales(one.exchange)) == len(set(sales(one.exchange))) == 2
    assert one.exchange.asked.index("balances") > 0
    assert not one.state.positions


async def test_a_sale_in_doubt_whose_coins_are_gone_is_not_sold_again():
    """Where the balance says that the coins were sold, nobody sells them a second time."""
    async with shell() as one:
        await holding(one)
        await selling(one, came_through=True)
        for _ in range(10):
            one.clock.at += ASK_AGAIN
            await one.reconcile.guard()
            await one.settled()
    assert len(sales(one.exchange)) == 1
    assert one.order(Purpose.EXIT).state is OrderState.MAYBE_SENT


async def test_a_sale_in_doubt_beside_the_owners_own_coins_is_not_sold_again_at_once():
    """A second sale could sell what is not ours: it waits until the first cannot come true any more."""
    async with shell() as one:
        await holding(one)
        one.exchange.held_assets["BTC"] += 100
        await selling(one, came_through=False)
        one.clock.at += SALE_WATCH - timedelta(seconds=1)
        await one.reconcile.guard()
        await one.settled()
        assert len(sales(one.exchange)) == 1
        one.clock.at += timedelta(seconds=1)
        await one.reconcile.guard()
        await one.settled()
    assert len(sales(one.exchange)) == 2
    assert one.exchange.held_assets["BTC"] == 100


async def test_a_doubt_that_arose_after_the_start_is_watched_even_if_the_start_is_tried_again():
    """A start that has to be repeated does not mistake its own orders on the wire for old ones."""
    async with shell() as one:
        await holding(one)
    async with shell(one.journal, one.exchange) as again:
        await again.reconcile.full("start")
        await selling(again, came_through=True)
        await again.reconcile.full("start")
        await again.settled()
        assert again.order(Purpose.EXIT).state is OrderState.MAYBE_SENT
    assert len(sales(one.exchange)) == 1


async def test_a_sale_given_up_too_early_is_adopted_when_it_appears():
    """Even what was given up is booked when the exchange shows it; the second sale is bounded by what is held."""
    async with shell() as one:
        await holding(one)
        await selling(one, came_through=True)
        one.clock.at += SALE_WATCH
        one.exchange.hidden = set()
        await one.reconcile.poll()
        await one.settled()
    assert not one.state.positions
    assert len(sales(one.exchange)) == 1
    assert tells(one.journal)[-1].topic is Topic.CLOSED


async def test_a_pair_hidden_by_a_late_read_is_asked_for_again_and_found_to_stand():
    """The same names a second time cannot place a second pair: they prove the first."""
    async with shell() as one:
        await one.open()
        one.exchange.faults.extend([(None, True), (LOST, True)])  # the entry, then the pair
        one.exchange.lagging = True
        await one.engine.post(seen(0))
        await until(lambda: len(one.exchange.placed) == 1)
        one.exchange.hidden = set()
        one.exchange.lagging = False
        await one.settled()
        await looked(one)
        one.clock.at = one.order(Purpose.STOP).created_at + ASK_AGAIN
        stops = [name for name, placed in one.exchange.placed.items() if placed.order.purpose is Purpose.STOP]
        one.exchange.hidden = {name for name, placed in one.exchange.placed.items() if name in stops}
        await looked(one)
        assert one.order(Purpose.STOP).live
        one.exchange.hidden = set()
        one.clock.at += ASK_AGAIN
        await looked(one)
        assert one.order(Purpose.STOP).state is OrderState.OPEN
    assert len(one.exchange.placed) == 3


async def looked(one: Shell) -> None:
    """The regular look at the exchange, with all that follows."""
    await one.reconcile.poll()
    await one.settled()


async def test_what_happened_while_we_were_away_is_booked_at_the_start():
    """A target hit at night is a closed trade in the morning."""
    async with shell() as one:
        await holding(one)
        target = one.order(Purpose.TARGET).client_id
    one.exchange.hit(target)
    async with shell(one.journal, one.exchange) as again:
        await again.reconcile.full("start")
        await again.settled()
    assert not again.state.positions
    assert [tell.topic for tell in tells(one.journal)][-1] is Topic.CLOSED


@pytest.mark.parametrize("came_through", [True, False])
async def test_a_process_killed_while_sending_neither_loses_nor_doubles_the_entry(came_through):
    """The order is planned in the journal; the next start finds it, or gives it up after the watch."""
    async with shell(follow=nobody) as one:
        await one.open()
        one.exchange.held.clear()
        one.exchange.faults.append((None, came_through))
        one.clock.pass_(hours=1)
        await one.engine.post(seen(0))
    if came_through:
        one.exchange._place(one.order(Purpose.ENTRY))
    one.exchange.held.set()
    async with shell(one.journal, one.exchange) as again:
        await again.reconcile.full("start")
        await again.settled()
        assert again.order(Purpose.ENTRY).state is (OrderState.FILLED if came_through else OrderState.PLANNED)
        again.clock.at += ENTRY_WATCH
        await again.reconcile.poll()
        await again.settled()
        assert bool(again.state.positions) is came_through
    entries = [fill for fill in one.exchange.fills if fill.side == "BUY"]
    assert len(entries) == int(came_through)


async def test_balances_that_agree_are_no_news():
    """Where our books and the exchange's are the same nobody is bothered, and the journal keeps no empty look."""
    async with shell() as one:
        await holding(one)
        before = len(one.journal.lines)
        assert await one.reconcile.balances()
    assert len(one.journal.lines) == before
    assert Topic.ERROR not in {tell.topic for tell in tells(one.journal)}


async def test_balances_that_differ_for_longer_than_reads_lag_are_booked_and_told():
    """Money that moved without us is told, not swallowed, once it is sure that it did."""
    async with shell() as one:
        await holding(one)
        one.exchange.held_assets["USDT"] -= 5
        for _ in range(3):
            await one.reconcile.balances()
            one.clock.pass_(seconds=60)
    (told,) = [tell for tell in tells(one.journal) if tell.ref == "withdrawal:USDT"]
    assert "A withdrawal of 5 USDT was booked." in told.text
    assert one.state.balances["USDT"] == one.exchange.held_assets["USDT"]


async def test_balances_are_not_compared_while_an_order_may_be_filling():
    """An entry on its way moves money: comparing then would raise a false alarm."""
    async with shell(follow=nobody) as one:
        await in_doubt(one, came_through=True)
        before = len(one.journal.lines)
        await one.reconcile.balances()
    assert len(one.journal.lines) == before


async def test_a_stop_hit_a_moment_ago_is_no_difference_of_balances():
    """A fill that was not looked at yet is booked first; it is not told as money gone astray."""
    async with shell() as one:
        await holding(one)
        one.exchange.hit(one.order(Purpose.STOP).client_id)
        await one.reconcile.balances()
        await one.settled()
        await one.reconcile.balances()
    assert Topic.ERROR not in {tell.topic for tell in tells(one.journal)}
    assert not one.state.positions


async def test_a_stop_hit_while_the_balances_are_read_is_no_difference():
    """What happens between two questions to the exchange is not told as money gone astray."""
    exchange = HitWhileAsked(HandClock())
    async with shell(exchange=exchange) as one:
        await holding(one)
        exchange.victim = one.order(Purpose.TARGET).client_id
        await one.reconcile.balances()
        await one.settled()
    assert Topic.ERROR not in {tell.topic for tell in tells(one.journal)}


class HitWhileAsked(Exchange):
    """An exchange that fills ``victim`` just before it tells the balances."""

    victim = ""

    async def balances(self):
        if self.victim:
            self.hit(self.victim)
            self.victim = ""
        return await super().balances()


async def test_an_exchange_that_cannot_be_read_changes_nothing():
    """A failed look is raised to whoever asked, and nothing is concluded from it."""
    async with shell() as one:
        await holding(one)
        before = len(one.journal.lines)
        one.exchange.down = RetryLater("no network")
        with pytest.raises(RetryLater):
            await one.reconcile.poll()
    assert len(one.journal.lines) == before
