"""Paper trading in this process: core.sim.paper."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.decide.costs import Fills
from core.domain.errors import Refused, StoreUnusable
from core.domain.market import Bar, Instrument, Quote
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side, Tif
from core.sim.paper import open_paper

D = Decimal
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTRUMENT = Instrument(
    "BTCUSDT", "BTC", "USDT", D("0.01"), D("0.001"), D("0.001"), D(5), trail_min_bips=10, trail_max_bips=2000
)


def bar(hour, low="99", high="101", open_="100", close="100"):
    return Bar("BTCUSDT", START + hour * HOUR, HOUR, D(open_), D(high), D(low), D(close), D(1000))


class QuietMarket:
    """One symbol at 100, with a day of quiet bars behind it."""

    def __init__(self):
        self.quote = Quote("BTCUSDT", START, D("99.99"), D("100.01"))

    async def instruments(self, symbols):
        return {"BTCUSDT": INSTRUMENT}

    async def quotes(self, symbols):
        await asyncio.sleep(0)
        return {"BTCUSDT": self.quote}

    async def bars(self, symbol, span, since, limit):
        return [bar(-limit + i) for i in range(limit)]

    async def depth(self, symbol, levels):
        raise AssertionError("paper trading needs no book")

    async def server_time(self):
        return START


class HandClock:
    """A clock that is set by hand."""

    speed = 1.0

    def __init__(self):
        self.at = START

    def now(self):
        return self.at


class Shelf:
    """Where the book is kept; can be told to fail."""

    def __init__(self):
        self.body = None
        self.broken = False

    async def save(self, body):
        await asyncio.sleep(0)
        if self.broken:
            raise StoreUnusable("the disk is full")
        self.body = body

    async def load(self):
        return self.body


class Desk:
    """A paper broker with its world; ``again`` starts it anew from what was saved."""

    def __init__(self):
        self.market, self.clock, self.shelf = QuietMarket(), HandClock(), Shelf()
        self.broker = None

    async def again(self):
        self.broker = await open_paper(
            self.market,
            self.clock,
            HOUR,
            {"USDT": D(10_000)},
            save=self.shelf.save,
            load=self.shelf.load,
            fills=Fills(impact=D(0), half_spread=D(0)),
        )
        return self.broker


@pytest.fixture
async def desk():
    found = Desk()
    await found.again()
    return found


def order(name, side="BUY", kind="MARKET", qty="1", price=None, stop=None, purpose=Purpose.ENTRY):
    return Order(
        name,
        "BTCUSDT",
        Side(side),
        OrderKind(kind),
        purpose,
        D(qty),
        START,
        D(price) if price else None,
        D(stop) if stop else None,
    )


def protection(qty="0.999"):
    stop = order("s", "SELL", "STOP_LOSS_LIMIT", qty, "90", "95", Purpose.STOP)
    return stop, order("t", "SELL", "LIMIT_MAKER", qty, "105", purpose=Purpose.TARGET)


async def test_a_paper_buy_fills_at_the_real_ask_with_real_fees(desk):
    """The money of paper behaves like money: asked price, fee in the coin."""
    report = await desk.broker.submit(order("e"))
    assert (report.state, report.filled_qty, report.client_id) == (OrderState.FILLED, D(1), "e")
    (fill,) = await desk.broker.trades("BTCUSDT", "")
    assert (fill.client_id, fill.price, fill.fee, fill.fee_asset) == ("e", D("100.01"), D("0.001"), "BTC")
    assert await desk.broker.balances() == {"USDT": D("9899.99"), "BTC": D("0.999")}


async def test_a_pair_protects_until_a_bar_reaches_it(desk):
    """Stop and target live together; the bar that touches the stop ends both."""
    await desk.broker.submit(order("e"))
    reports = await desk.broker.submit_pair(*protection())
    assert [(r.client_id, r.state) for r in reports] == [("s", OrderState.OPEN), ("t", OrderState.OPEN)]
    assert len({r.list_id for r in reports} - {""}) == 1
    assert not await desk.broker.on_bar(bar(0))
    (fill,) = await desk.broker.on_bar(bar(1, low="94"))
    assert (fill.client_id, fill.price) == ("s", D(95))
    assert (await desk.broker.find("BTCUSDT", "t")).state is OrderState.EXPIRED
    assert not await desk.broker.open_orders("BTCUSDT")


async def test_trades_are_told_from_a_known_one_on(desk):
    """After a trade id only later trades come, oldest first; other symbols have none."""
    for name in "abc":
        await desk.broker.submit(order(name))
    every = await desk.broker.trades("BTCUSDT", "")
    assert [f.client_id for f in every] == ["a", "b", "c"]
    assert [f.client_id for f in await desk.broker.trades("BTCUSDT", every[0].trade_id)] == ["b", "c"]
    assert not await desk.broker.trades("ETHUSDT", "")


async def test_a_restart_goes_on_where_the_last_answer_left_it(desk):
    """Balances, open pair, trades and ids survive; a bar fed again is not played again."""
    await desk.broker.submit(order("e"))
    await desk.broker.submit_pair(*protection())
    await desk.broker.on_bar(bar(0))
    before = await desk.broker.balances(), await desk.broker.open_orders("BTCUSDT")
    again = await desk.again()
    assert (await again.balances(), await again.open_orders("BTCUSDT")) == before
    assert not await again.on_bar(bar(0, low="90"))
    (fill,) = await again.on_bar(bar(1, high="106"))
    assert (fill.client_id, fill.trade_id) == ("t", "2")


async def test_a_change_that_cannot_be_saved_did_not_happen(desk):
    """No order exists in memory only: a full disk refuses it."""
    desk.shelf.broken = True
    with pytest.raises(StoreUnusable):
        await desk.broker.submit(order("e"))
    assert await desk.broker.find("BTCUSDT", "e") is None
    assert await desk.broker.balances() == {"USDT": D(10_000)}
    desk.shelf.broken = False
    assert (await desk.broker.submit(order("e"))).exchange_id == "1"


async def test_refusals_are_the_exchanges_own_and_change_nothing(desk):
    """Too little money, nothing to cancel: proven, with the code."""
    with pytest.raises(Refused) as caught:
        await desk.broker.submit(order("e", qty="500"))
    assert caught.value.code == "-2010"
    with pytest.raises(Refused) as caught:
        await desk.broker.cancel("BTCUSDT", "e")
    assert caught.value.code == "-2011"
    assert desk.shelf.body is None


async def test_cancelling_a_leg_ends_the_pair(desk):
    """One cancel, and the coin is free again."""
    await desk.broker.submit(order("e"))
    await desk.broker.submit_pair(*protection())
    await desk.broker.cancel("BTCUSDT", "s")
    assert (await desk.broker.find("BTCUSDT", "t")).state is OrderState.CANCELED
    assert (await desk.broker.submit(order("x", "SELL", qty="0.999"))).state is OrderState.FILLED


async def test_orders_sent_together_do_not_overwrite_each_other(desk):
    """Ten orders at once are ten fills, each with its own id."""
    await asyncio.gather(*(desk.broker.submit(order(f"o{i}", qty="0.1")) for i in range(10)))
    fills = await desk.broker.trades("BTCUSDT", "")
    assert sorted(f.client_id for f in fills) == sorted(f"o{i}" for i in range(10))
    assert len({f.trade_id for f in fills}) == 10


async def test_an_order_placed_after_a_bar_closed_does_not_meet_it(desk):
    """A bar that arrives late cannot fill an order that came later still."""
    desk.clock.at = START + HOUR + timedelta(seconds=3)
    await desk.broker.submit(order("e", kind="LIMIT", price="95"))
    assert not await desk.broker.on_bar(bar(0, low="90"))
    assert await desk.broker.on_bar(bar(1, low="90"))


async def test_a_saved_account_that_cannot_be_read_is_told(desk):
    """A damaged book stops the start with what to do."""
    desk.shelf.body = b"{half"
    with pytest.raises(StoreUnusable, match="restore it from a backup"):
        await desk.again()


def bracket(qty="1", limit="100.20"):
    entry = replace(order("e", kind="LIMIT", qty=qty, price=limit), tif=Tif.FOK)
    return entry, *(replace(leg, waits_for="e") for leg in protection())


async def test_an_entry_that_fills_is_protected_in_the_same_breath(desk):
    """After one call there is no moment with the coin and without its stop."""
    reports = await desk.broker.submit_bracket(*bracket())
    assert [(r.client_id, r.state, r.waiting) for r in reports] == [
        ("e", OrderState.FILLED, False),
        ("s", OrderState.OPEN, False),
        ("t", OrderState.OPEN, False),
    ]
    assert len({r.list_id for r in reports} - {""}) == 1
    (fill,) = await desk.broker.on_bar(bar(0, low="94"))
    assert (fill.client_id, fill.price) == ("s", D(95))


async def test_an_entry_that_cannot_fill_whole_leaves_nothing(desk):
    """All or nothing: no coin, no stop without a coin, no money locked."""
    reports = await desk.broker.submit_bracket(*bracket(limit="99.00"))
    assert [r.state for r in reports] == [OrderState.EXPIRED] * 3
    assert await desk.broker.balances() == {"USDT": D(10_000)}
    assert not await desk.broker.open_orders()


async def test_an_order_that_is_tried_out_is_checked_and_not_placed(desk):
    """A wrong size is refused, a missing cent is not looked at, and nothing is ever bought."""
    await desk.broker.try_out(order("e", qty="500"))
    with pytest.raises(Refused):
        await desk.broker.try_out(order("e", qty="0.0001"))
    assert await desk.broker.find("BTCUSDT", "e") is None
    assert await desk.broker.balances() == {"USDT": D(10_000)}


async def test_open_orders_tell_what_was_asked_and_come_from_every_symbol(desk):
    """What stands at the exchange can be recognised without remembering it."""
    await desk.broker.submit(order("e"))
    await desk.broker.submit_pair(*protection())
    stop, target = await desk.broker.open_orders()
    assert (stop.side, stop.kind, stop.qty) == (Side.SELL, OrderKind.STOP_LOSS_LIMIT, D("0.999"))
    assert (stop.price, stop.stop_price, stop.trail_bips, stop.at) == (D(90), D(95), 0, START)
    assert (target.kind, target.price, target.stop_price) == (OrderKind.LIMIT_MAKER, D(105), None)
    assert not await desk.broker.open_orders("ETHUSDT")


async def test_the_clock_of_paper_is_our_own(desk):
    """Nothing to measure: the exchange is this process."""
    assert await desk.broker.sync_clock() == 0.0


async def test_a_stop_that_trails_protects_from_the_start_and_survives_a_restart(desk):
    """From 100 a tenth down is 90; a rise to 120 makes it 108, also for the process that comes after."""
    await desk.broker.submit(order("e"))
    stop, target = protection()
    target = replace(target, price=D(150))
    stop, _ = await desk.broker.submit_pair(replace(stop, trail_bips=1000, price=D(50)), target)
    assert (stop.trail_bips, stop.stop_price) == (1000, None)
    assert not await desk.broker.on_bar(bar(0, low="91", high="120", close="120"))
    again = await desk.again()
    (fill,) = await again.on_bar(bar(1, open_="120", low="107", high="121", close="110"))
    assert (fill.client_id, fill.price) == ("s", D(108))
