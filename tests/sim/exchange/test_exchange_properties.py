"""What holds for any life of the exchange: money adds up, the log gives the same exchange, the truth is complete."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.costs import Fees, Fills
from core.decide.venue import ListPlacement, Move, Placement
from core.domain.errors import Refused
from core.domain.orders import OrderKind, Side, Tif
from core.sim.exchange.world import SimExchange
from tests.sim.exchange.exchange_rig import BALANCES, KEY, SECRET, START, seeded

D = Decimal
MARKET = seeded(history=100)
ASSETS = ("USDT", "BTC", "ETH", "BNB")
symbols = st.sampled_from(["BTCUSDT", "ETHUSDT"])
sizes = st.integers(1, 400).map(lambda n: D(n) / 1000)
shares = st.integers(960, 1040).map(lambda n: D(n) / 1000)
sides = st.sampled_from(list(Side))
actions = st.one_of(
    st.tuples(st.just("market"), symbols, sides, sizes),
    st.tuples(st.just("limit"), symbols, sides, sizes, shares, st.sampled_from(list(Tif))),
    st.tuples(st.just("bracket"), symbols, sizes, shares, st.integers(0, 300)),
    st.tuples(st.just("trail"), symbols, sides, sizes, st.integers(10, 150)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("bars"), st.integers(1, 30)),
    st.tuples(st.just("bars"), st.integers(1, 3)),
    st.tuples(
        st.just("move"),
        st.sampled_from(ASSETS),
        st.integers(-2_000, 2_000).map(lambda n: D(n) / 7 // D("1e-8") * D("1e-8")),
    ),
    st.tuples(st.just("fees"), st.booleans()),
    st.tuples(st.just("halt"), symbols, st.booleans()),
    st.tuples(st.just("least"), symbols, st.integers(1, 200)),
    st.tuples(st.just("by_hand"), symbols, sides, sizes),
)


class Life:
    """An exchange that lived through a script; everything that moved is kept beside its own books."""

    def __init__(self, script, path=None):
        self.ex = raised(path)
        self.moves = []
        self.ex.listeners.append((self.moves.extend, lambda: None))
        for number, (verb, *details) in enumerate(script):
            self.number = number
            try:
                getattr(self, verb)(*details)
            except Refused:
                continue

    def at(self, symbol, share):
        return (D(str(self.ex.tape.last(symbol))) * share).quantize(D("0.01"))

    def one(self, symbol, side, kind, size, letter="o", **more):
        return Placement(symbol, side, kind, f"{letter}{self.number}", qty=size, **more)

    def market(self, symbol, side, size):
        self.ex.submit(self.one(symbol, side, OrderKind.MARKET, size))

    def limit(self, symbol, side, size, share, tif):
        self.ex.submit(self.one(symbol, side, OrderKind.LIMIT, size, price=self.at(symbol, share), tif=tif))

    def bracket(self, symbol, size, share, bips):
        kept = (size * D("0.999")).quantize(D("0.0001"), "ROUND_DOWN")
        stop = self.one(symbol, Side.SELL, OrderKind.STOP_LOSS_LIMIT, kept, "s", price=self.at(symbol, D("0.5")))
        level = replace(stop, trail_bips=bips) if bips >= 10 else replace(stop, stop_price=self.at(symbol, D("0.98")))
        target = self.one(symbol, Side.SELL, OrderKind.LIMIT_MAKER, kept, "t", price=self.at(symbol, D("1.05")))
        entry = self.one(symbol, Side.BUY, OrderKind.LIMIT, size, "e", price=self.at(symbol, share), tif=Tif.FOK)
        self.ex.submit_list(ListPlacement(f"l{self.number}", (level, target), entry))

    def trail(self, symbol, side, size, bips):
        price = self.at(symbol, D("0.5") if side is Side.SELL else D("1.5"))
        self.ex.submit(self.one(symbol, side, OrderKind.STOP_LOSS_LIMIT, size, price=price, trail_bips=bips))

    def cancel(self, index):
        live = [o for orders in self.ex.venue.open.values() for o in orders]
        if live:
            order = live[index % len(live)]
            self.ex.cancel(order.symbol, order.client_id)

    def bars(self, count):
        for _ in range(count):
            self.ex.advance()

    def move(self, asset, amount):
        if amount:
            (self.ex.deposit if amount > 0 else self.ex.withdraw)(asset, abs(amount))

    def fees(self, in_bnb):
        self.ex.set_fees(Fees(D("0.0009"), D("0.0011"), {"USDT": D(500)} if in_bnb else {}))

    def halt(self, symbol, closed):
        self.ex.set_status(symbol, "HALT" if closed else "TRADING")

    def least(self, symbol, notional):
        self.ex.set_rules(symbol, notional_min=D(notional))

    def by_hand(self, symbol, side, size):
        self.ex.foreign_order(self.one(symbol, side, OrderKind.MARKET, size))


def raised(path=None):
    return SimExchange(
        MARKET,
        start=START,
        speed=None,
        keys={KEY: SECRET},
        balances={**BALANCES, "BTC": D(1), "BNB": D("0.05")},
        path=path,
        fees=Fees(bnb_prices={"USDT": D(500)}),
        fills=Fills(pieces_max=20, seed=5),
    )


def picture(found):
    history = found.history
    terms = {s: found.terms(s) for s in found.market.symbols}
    return found.now(), found.venue, history.orders, history.lists, history.every_trade, history.transfers, terms


scripts = st.lists(actions, min_size=6, max_size=40)


@settings(max_examples=60, deadline=None)
@given(scripts)
def test_no_money_appears_or_vanishes(script):
    """Start, transfers and trades with their fees explain every balance to the last unit; nothing is negative."""
    found = Life(script).ex
    expected = defaultdict(Decimal, {**BALANCES, "BTC": D(1), "BNB": D("0.05")})
    for moved in found.history.transfers:
        expected[moved.asset] += moved.amount
    for trade in found.history.every_trade:
        instrument, sign = found.terms(trade.symbol).instrument, 1 if trade.side is Side.BUY else -1
        expected[instrument.base] += sign * trade.qty
        expected[instrument.quote] -= sign * trade.qty * trade.price
        expected[trade.fee_asset] -= trade.fee
    assert found.totals() == {asset: amount for asset, amount in expected.items() if amount}
    assert all(b.free >= 0 and b.locked >= 0 for b in found.venue.balances.values())


@settings(max_examples=30, deadline=None)
@given(scripts)
def test_the_log_gives_the_same_exchange_again(script):
    """Whatever happened, from inside or outside: a start from the log is the same exchange, and goes on the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inputs.jsonl"
        lived = Life(script, path).ex
        lived.close()
        again = raised(path)
        assert picture(again) == picture(lived)
        lived = Life(script).ex
        for found in (lived, again):
            for _ in range(3):
                found.advance()
        assert picture(again) == picture(lived)
        again.close()


@settings(max_examples=40, deadline=None)
@given(scripts)
def test_the_truth_holds_every_order_and_trade_that_ever_was(script):
    """What moved is in the history as it ended, by number and by name; trades are numbered without a gap."""
    life = Life(script)
    history = life.ex.history
    ends = {m.order.order_id: m.order for m in life.moves if isinstance(m, Move)}
    assert history.orders == ends
    assert [m.trade for m in life.moves if isinstance(m, Move) and m.trade] == history.every_trade
    assert [t.trade_id for t in history.every_trade] == list(range(1, len(history.every_trade) + 1))
    for order in ends.values():
        assert order in history.named(order.client_id)
        assert order.filled_qty == sum(t.qty for t in history.every_trade if t.order_id == order.order_id)
