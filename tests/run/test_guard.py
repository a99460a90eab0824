"""The guard: one read proves every stop; what surprises is looked at; what is ours and unknown is taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.decide.transfers import READ_LAG_MAX
from core.domain import events as ev
from core.domain.effects import Topic
from core.domain.errors import BadData, NeedsOwner, OutcomeUnknown, RetryLater
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import TradingState
from core.run import reads
from core.run.reads import TRIES
from tests.run.fakes import Placed
from tests.run.samples import opening
from tests.run.shell import Shell, kinds, shell, tells

D = Decimal
QUICK = RetryLater("no network", 0.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "PAUSE_MAX_S", 0.0)


async def two_held(one: Shell, *, lists: bool = True) -> None:
    """Two protected positions."""
    await one.open("BTCUSDT", "ETHUSDT", lists=lists)
    await one.look(0)
    await one.look(0, symbol="ETHUSDT")
    await one.reconcile.guard()
    await one.settled()
    one.exchange.asked.clear()


def stop_of(one: Shell, symbol: str) -> Order:
    return next(o for o in one.state.orders.values() if o.symbol == symbol and o.purpose is Purpose.STOP and o.live)


async def guarded(one: Shell) -> None:
    await one.reconcile.guard()
    await one.settled()


async def test_one_read_proves_every_stop():
    """However many positions stand, one question tells whether all their stops do."""
    async with shell() as one:
        await two_held(one)
        before = len(one.journal.lines)
        await guarded(one)
    assert one.exchange.asked == ["open"]
    assert len(one.journal.lines) == before


async def test_nothing_held_costs_no_question():
    """Without a position and an order there is nothing to prove."""
    async with shell() as one:
        await one.open()
        await guarded(one)
    assert one.exchange.asked == []


async def test_only_what_surprises_is_looked_at_closely():
    """A stop that is gone from the list is asked for by name, with its symbol's trades; the other symbol is not."""
    async with shell() as one:
        await two_held(one)
        stop = stop_of(one, "ETHUSDT")
        one.exchange.hit(stop.client_id)
        await guarded(one)
        assert set(one.state.positions) == {"BTCUSDT"}
    assert f"find {stop.client_id}" in one.exchange.asked
    assert "trades ETHUSDT" in one.exchange.asked
    assert not [asked for asked in one.exchange.asked if "BTC" in asked]


async def test_a_pair_cancelled_by_hand_is_placed_again_within_one_look():
    """Whoever cancels our stop on the exchange finds a new one there at the next look."""
    async with shell() as one:
        await two_held(one)
        gone = stop_of(one, "BTCUSDT")
        one.exchange.end(gone.client_id)
        await guarded(one)
        new = stop_of(one, "BTCUSDT")
        assert new.client_id != gone.client_id
        assert new.state is OrderState.OPEN


async def test_a_stop_that_one_read_does_not_show_is_not_given_up():
    """A list that misses a live order for a moment is an old read: nothing is placed twice for it."""
    async with shell() as one:
        await two_held(one)
        names = [n for n, placed in one.exchange.placed.items() if placed.state is OrderState.OPEN]
        one.exchange.hidden = set(names)
        for _ in range(20):
            one.clock.pass_(seconds=4)
            await guarded(one)
        one.exchange.hidden = set()
        await guarded(one)
        assert {one.state.orders[name].state for name in names} == {OrderState.OPEN}
    assert len(one.exchange.sent) == len(set(one.exchange.sent)) == 6


async def test_a_stop_whose_limit_the_market_fell_through_is_called_off_and_the_rest_sold():
    """A stop that was triggered and sells nothing for five seconds protects nothing: no bar is waited for."""
    async with shell() as one:
        await two_held(one)
        stop = stop_of(one, "BTCUSDT")
        one.exchange.triggered.add(stop.client_id)
        for _ in range(2):
            await guarded(one)
            assert one.exchange.cancels == []
            one.clock.pass_(seconds=4)
        await guarded(one)
        assert one.exchange.cancels == [stop.client_id]
        await guarded(one)
        await guarded(one)
        assert set(one.state.positions) == {"ETHUSDT"}
        assert one.exchange.held_assets["BTC"] == 0
    assert kinds(one.journal).count("StopRanPast") == 1
    assert [t.text for t in tells(one.journal) if "fell through" in t.text]


async def test_a_triggered_stop_is_not_called_standing():
    """Whoever was told that nothing shows a stop does not hear the all-clear from one that has already gone off."""
    async with shell() as one:
        await two_held(one)
        await one.engine.post(ev.Unproven(one.clock.now(), "guard", ("BTCUSDT",), one.clock.now()))
        one.exchange.triggered.add(stop_of(one, "BTCUSDT").client_id)
        await guarded(one)
        assert one.state.positions["BTCUSDT"].alarmed
    assert "Proven" not in kinds(one.journal)


async def test_a_stop_that_sells_in_pieces_is_left_to_sell():
    """As long as pieces of a triggered stop are sold it does what it should, however long that takes."""
    async with shell() as one:
        await two_held(one)
        stop = stop_of(one, "BTCUSDT")
        one.exchange.triggered.add(stop.client_id)
        for _ in range(8):
            one.exchange.hit(stop.client_id, qty=str(stop.qty / 16))
            await guarded(one)
            one.clock.pass_(seconds=4)
        assert one.exchange.cancels == []
    assert "StopRanPast" not in kinds(one.journal)


# what nobody can prove


async def test_a_stop_nothing_has_shown_for_seconds_is_told_once_and_that_it_stands_again():
    """While the exchange does not answer the owner knows what is not proven; when it does he hears that too."""
    async with shell() as one:
        await two_held(one)
        one.exchange.down = QUICK
        said = len(tells(one.journal))
        for _ in range(6):
            one.clock.pass_(seconds=2)
            with pytest.raises(RetryLater):
                await one.reconcile.guard()
            await one.reconcile.watch()
        (told,) = tells(one.journal)[said:]
        assert told.urgent
        assert "BTCUSDT, ETHUSDT" in told.text
        one.exchange.down = None
        await guarded(one)
        await guarded(one)
        assert [tell.topic for tell in tells(one.journal)[said + 1 :]] == [Topic.STATE]


async def test_the_watch_is_silent_while_every_stop_was_just_shown():
    """No message where all is well."""
    async with shell() as one:
        await two_held(one)
        said = len(tells(one.journal))
        for _ in range(10):
            one.clock.pass_(seconds=4)
            await guarded(one)
            await one.reconcile.watch()
    assert len(tells(one.journal)) == said


async def test_a_read_that_fails_once_is_tried_again_before_anybody_hears_of_it():
    """A read changes nothing, so it may be repeated at once."""
    async with shell() as one:
        await two_held(one)
        way, left = one.exchange.open_orders, TRIES - 1

        async def flaky(symbol: str = ""):
            nonlocal left
            left -= 1
            if left >= 0:
                raise QUICK
            return await way(symbol)

        one.exchange.open_orders = flaky
        await guarded(one)
    assert left == -1


async def test_a_key_that_is_not_taken_halts_and_is_raised():
    """A guard that may not ask any more says so: trading halts, the stops stay."""
    async with shell() as one:
        await two_held(one)
        one.exchange.down = NeedsOwner("the key is not accepted")
        for _ in range(2):
            with pytest.raises(NeedsOwner):
                await one.reconcile.guard()
        assert one.state.trading.state is TradingState.HALTED
        assert set(one.state.positions) == {"BTCUSDT", "ETHUSDT"}
    assert kinds(one.journal).count("AccessLost") == 1


# strangers


def stray(one: Shell, name: str, qty: str = "5", filled: str = "0") -> None:
    """A stop of this name stands on the exchange, placed by nobody we know."""
    order = Order(
        name,
        "BTCUSDT",
        Side.SELL,
        OrderKind.STOP_LOSS_LIMIT,
        Purpose.STOP,
        D(qty),
        one.clock.now(),
        price=D("94.5"),
        stop_price=D(95),
        trail_bips=0,
    )
    state = OrderState.PARTIAL if D(filled) else OrderState.OPEN
    one.exchange.placed[name] = Placed(order, "901", "", state, D(filled))


async def test_an_order_of_ours_is_taken_over_only_after_it_was_seen_longer_than_reads_lag():
    """An order that ended a moment ago is shown by an old read: it must not come back to life for that."""
    async with shell() as one:
        await one.open()
        await one.look(0, buy=False)
        one.exchange.held_assets["BTC"] = D(5)
        await one.reconcile.full("start")
        stray(one, "fm-BTCUSDT-lost-s4")
        await one.reconcile.full("minute")
        one.clock.at += READ_LAG_MAX - timedelta(seconds=1)
        await one.reconcile.full("minute")
        assert not one.state.orders
        one.clock.at += timedelta(seconds=1)
        report = await one.reconcile.full("minute")
        assert set(one.state.orders) >= {"fm-BTCUSDT-lost-s4"}
        assert (one.state.positions["BTCUSDT"].qty, one.state.positions["BTCUSDT"].stop) == (5, 95)
    assert any("fm-BTCUSDT-lost-s4" in line for line in report.found)


async def test_an_order_that_was_not_in_every_read_is_not_taken_over():
    """Shown, gone, shown again: the time counts from the last time it came."""
    async with shell() as one:
        await one.open()
        await one.reconcile.full("start")
        stray(one, "fm-BTCUSDT-lost-s4")
        await one.reconcile.full("minute")
        one.clock.at += READ_LAG_MAX
        one.exchange.hidden = {"fm-BTCUSDT-lost-s4"}
        await one.reconcile.full("minute")
        one.exchange.hidden = set()
        await one.reconcile.full("minute")
        assert not one.state.orders


@pytest.mark.parametrize("name", ["web_77", "android_1", "fm2-BTCUSDT-x-s1", "fm-", "x-fm-BTCUSDT-1-s0"])
async def test_somebody_elses_order_is_shown_and_never_touched(name: str):
    """What does not carry our mark is the owner's business, however long it stands and whatever we do."""
    async with shell() as one:
        await one.open(lists=True)
        await one.look(0)
        stray(one, name)
        for _ in range(4):
            report = await one.reconcile.full("minute")
            one.clock.pass_(minutes=1)
        assert [r.client_id for r in report.foreign] == [name]
        await one.engine.post(ev.OwnerPanicked(one.clock.now(), "update:9", 9))
        await one.settled()
        assert name not in one.state.orders
    assert name not in one.exchange.cancels
    assert one.exchange.placed[name].state is OrderState.OPEN


async def test_a_half_filled_order_that_was_taken_over_is_known_to_end():
    """What it had traded before counts in it, so that its end is believed when it comes."""
    async with shell() as one:
        await one.open()
        await one.look(0, buy=False)
        one.exchange.held_assets["BTC"] = D(2)
        await one.reconcile.full("start")
        stray(one, "fm-BTCUSDT-lost-s4", "5", "3")
        for _ in range(3):
            await one.reconcile.full("minute")
            one.clock.pass_(minutes=1)
        assert one.state.positions["BTCUSDT"].qty == 2
        one.exchange.end("fm-BTCUSDT-lost-s4")
        await guarded(one)
        assert one.state.orders["fm-BTCUSDT-lost-s4"].state is OrderState.CANCELED
        assert stop_of(one, "BTCUSDT").qty == 2


# everything compared


async def test_a_whole_comparison_tells_what_was_compared_found_and_done():
    """/reconcile shows orders, trades, assets and what came of them, as a value."""
    async with shell() as one:
        await two_held(one)
        one.exchange.hit(stop_of(one, "ETHUSDT").client_id)
        stray(one, "web_1")
        report = await one.reconcile.full("asked")
        await one.settled()
    assert (report.at, report.why, report.symbols) == (one.clock.now(), "asked", ("BTCUSDT", "ETHUSDT"))
    assert (report.orders, report.trades, report.assets, report.steady) == (2, 1, 3, True)
    assert [r.client_id for r in report.foreign] == ["web_1"]
    assert any(line.startswith("Booked trade 3: SELL") for line in report.found)
    assert report.clean


async def test_a_difference_of_balances_is_in_the_comparison_at_once():
    """What is not booked before it is sure is shown as soon as it is seen."""
    async with shell() as one:
        await two_held(one)
        one.exchange.held_assets["USDT"] += 7
        report = await one.reconcile.full("asked")
    assert not report.clean
    assert len(report.differing) == 1
    assert report.differing[0].startswith("USDT: the exchange has +7")


async def test_a_comparison_while_an_entry_is_in_doubt_says_that_balances_were_left_out():
    """Money may be moving: nothing is concluded, and the report does not claim to be clean."""
    async with shell(follow=_nobody) as one:
        await one.open()
        one.exchange.faults.append((OutcomeUnknown("timed out"), False))
        await one.look(0)
        report = await one.reconcile.full("asked")
    assert (report.steady, report.clean) == (False, False)


async def _nobody(symbol: str) -> None:
    """Look at nothing."""


async def test_one_symbol_that_cannot_be_read_keeps_no_other_waiting():
    """A symbol the exchange will not tell of is told after all others were looked at."""
    async with shell() as one:
        await two_held(one)
        one.exchange.hit(stop_of(one, "ETHUSDT").client_id)
        way = one.exchange.trades

        async def trades(symbol: str, after_id: str):
            if symbol == "BTCUSDT":
                raise BadData("the answer cannot be read")
            return await way(symbol, after_id)

        one.exchange.trades = trades
        with pytest.raises(BadData):
            await one.reconcile.full("minute")
        assert set(one.state.positions) == {"BTCUSDT"}


async def test_trades_before_the_first_start_are_not_booked():
    """The balances taken over hold them already: the count begins after the newest of them."""
    async with shell() as one:
        for event in opening()[:2]:
            await one.engine.post(event)
        old = Order("web_1", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.EXIT, D(1), one.clock.now())
        await one.exchange.submit(old)
        await one.reconcile.full("start")
        assert one.state.last_trades == {"BTCUSDT": 1}
        assert one.state.balances == one.exchange.held_assets
        await one.exchange.submit(replace(old, client_id="web_2"))
        await one.reconcile.full("minute")
        assert one.state.balances == one.exchange.held_assets
    assert kinds(one.journal).count("Filled") == 1
