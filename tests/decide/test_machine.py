"""The whole machine under random play on a fake exchange: money, protection, names, purity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.codec import decode_state, encode_effects, encode_state
from core.decide.ledger import asset_prices
from core.decide.step import step
from core.domain import events as ev
from core.domain.errors import Refused
from core.domain.market import ZERO
from core.domain.orders import Order, OrderKind, Purpose, Side
from core.domain.state import Limits, Position, TradingState
from tests.builders import SYMBOLS, a_config, a_forecast, a_state
from tests.fakes import Life, orders_of

D = Decimal
INITIAL = {"USDT": D(10_000), "BNB": D(50), "BTC": D("0.7")}
# a whole random life a seed: deep paths matter more here than small ones
dices = st.randoms(use_true_random=True)
PAIR = {Purpose.STOP, Purpose.TARGET}
MOVES = {"bars": 6, "work": 8, "trade": 6, "look": 4, "end": 1, "approve": 3, "skip": 1, "owner": 1, "wait": 1}
OWNER = {ev.OwnerPaused: 1, ev.OwnerResumed: 6, ev.OwnerPanicked: 1}
ANSWERS = {"well": 7, "lost": 1, "gone": 1, "refused": 1}
FACTORS = [D(f) for f in ("0.9", "0.985", "0.995", "1", "1.005", "1.015", "1.05")]


class Story(Life):
    """A life that plays drawn moves and keeps what it has to be held against."""

    __slots__ = ("cash", "events")

    def __init__(self, auto: bool) -> None:
        wide = Limits(orders_per_min_max=60, orders_open_max=60, drawdown_max=D("0.5"), day_loss_max=D("0.5"))
        super().__init__(a_state(balances=INITIAL, config=a_config(approve_auto=auto), limits=wide))
        self.events: list[ev.Event] = []
        self.cash: dict[str, Decimal] = defaultdict(Decimal)

    def post(self, event: ev.Event) -> tuple[ev.Effect, ...]:
        """Step one event and hold the machine against everything that must be true after it."""
        before = self.state
        frozen = encode_state(before)
        self.events.append(event)
        effects = super().post(event)
        assert encode_state(before) == frozen
        self._profits(effects)
        for position in self.state.positions.values():
            self._position(position)
        for effect in effects:
            assert not (isinstance(effect, ev.Submit) and effect.order.side is Side.BUY and self._halted())
        return effects

    def _halted(self) -> bool:
        return self.state.trading.state is not TradingState.ACTIVE

    def _profits(self, effects: tuple[ev.Effect, ...]) -> None:
        """Each closed trade earned what its own orders moved, fees in other coins at their price."""
        for trade in (e.trade for e in effects if isinstance(e, ev.TradeDone)):
            prices = {**asset_prices(self.state), "USDT": D(1)}
            base = trade.symbol.removesuffix("USDT")
            fills = [f for f in self.exchange.trades if trade.intent in f.client_id]
            fills = [f for f in fills if int(f.trade_id) <= self.state.last_trades[f.symbol]]
            flow = sum((f.quote_qty if f.side is Side.SELL else -f.quote_qty for f in fills), ZERO)
            fees = sum((f.fee * prices.get(f.fee_asset, ZERO) for f in fills if f.fee_asset != base), ZERO)
            left = sum(((f.qty if f.side is Side.BUY else -f.qty) for f in fills), ZERO)
            left -= sum((f.fee for f in fills if f.fee_asset == base), ZERO)
            beside = max(ZERO, -left) * prices.get(base, ZERO)
            assert trade.profit == flow - fees - beside
            assert trade.dust == max(ZERO, left)

    def _position(self, position: Position) -> None:
        """Never negative, never sold twice, and once bought either protected, being left, or too small to sell."""
        live = [o for o in self.state.orders.values() if o.symbol == position.symbol and o.live]
        rests = {o.client_id: o.remaining for o in live if o.side is Side.SELL}
        sales: dict[Any, Decimal] = defaultdict(Decimal)
        for order in live:
            if order.side is Side.SELL:
                key = order.created_at if order.purpose in PAIR else order.client_id
                sales[key] = max(sales[key], rests[order.client_id])
        assert position.qty >= 0
        # coins of the account may pay a sale's fee, so the rest of that sale can exceed the position by it
        assert sum(sales.values()) <= position.qty + dict(position.fees).get("BNB", ZERO)
        if any(self._news_to_come(o) for o in live):
            return
        purposes = {o.purpose for o in live}
        if position.bought_qty and not position.leaving and Purpose.ENTRY not in purposes:
            begun = any(o.filled_qty for o in live)
            assert purposes == PAIR or (begun and purposes & PAIR), f"{position} stands alone with {live}"

    def _news_to_come(self, order: Order) -> bool:
        """Whether the exchange already knows of this order what the machine has not heard yet."""
        kept = self.exchange.orders.get(order.client_id)
        queued = any(order in orders_of(e) for e in self.queue)
        return bool(kept.end if kept else not queued)

    def all_is_protected(self) -> None:
        """Where an honest exchange has answered everything, both protective orders really stand."""
        for position in self.state.positions.values():
            if position.bought_qty and not position.leaving:
                standing = self.standing(position.symbol)
                begun = any(o.filled_qty for o in self.state.orders.values() if o.live)
                assert standing == PAIR or (begun and standing & PAIR) or Purpose.ENTRY in standing

    def money_adds_up(self) -> None:
        """Balances are what was there, plus every fill, minus every fee, asset by asset, to the last unit."""
        expected: dict[str, Decimal] = defaultdict(Decimal, INITIAL)
        for fill in self.exchange.trades:
            sign = 1 if fill.side is Side.BUY else -1
            expected[fill.symbol.removesuffix("USDT")] += sign * fill.qty
            expected["USDT"] -= sign * fill.qty * fill.price
            expected[fill.fee_asset] -= fill.fee
        ours = {a: q for a, q in self.state.balances.items() if q}
        assert ours == {a: q for a, q in expected.items() if q} == {a: q for a, q in self.exchange.held.items() if q}


def draw(dice: Random, weights: Mapping[Any, int]) -> Any:
    """One of the keys, as often as its weight says."""
    return dice.choices([*weights], [*weights.values()])[0]


def play(story: Story, dice: Random) -> None:
    """One drawn move."""
    pick = dice.choice
    match draw(dice, MOVES):
        case "bars":
            for symbol in SYMBOLS:
                close = max(D(20), (story.exchange.prices[symbol] * pick(FACTORS)).quantize(D("0.01")))
                hour, fires = story.hours[symbol], pick((True, False))
                story.bar(symbol, close, a_forecast(symbol, hour, fires=fires, horizon_bars=3))
        case "work" if story.queue:
            work(story, story.queue.pop(0), draw(dice, ANSWERS))
        case "trade":
            trade(story, pick)
        case "look":
            story.look(give_up=pick((True, False)))
        case "end":
            end_one(story, dice)
        case "approve" | "skip" as press if story.state.proposals:
            kind = ev.OwnerApproved if press == "approve" else ev.OwnerSkipped
            story.post(kind(story.now(), "chat", story.update(), next(iter(story.state.proposals))))
        case "owner":
            kind = draw(dice, OWNER)
            story.post(kind(story.now(), "chat", story.update()))
        case "wait":
            story.wait(timedelta(minutes=5))


def end_one(story: Story, dice: Random) -> None:
    """Somebody cancels an open order on the exchange itself."""
    standing = [k.order.client_id for k in story.exchange.orders.values() if k.rest]
    if standing:
        story.exchange.cancel(dice.choice(standing))


def work(story: Story, effect: ev.Effect, how: str) -> None:
    """Do what was wanted: well, with the reply lost, with the request lost, or refused."""
    if how == "well" or isinstance(effect, ev.Cancel):
        if how != "gone":
            story.act(effect)
        return None
    if how == "lost":
        try:
            story.tell_exchange(effect)
        except Refused:
            return story.act(effect)
    for order in orders_of(effect):
        if how == "refused":
            story.post(ev.Rejected(story.now(), "act", order.client_id, "-2010", "no"))
        else:
            story.post(ev.Unknown(story.now(), "act", order.client_id, "timeout"))
    return None


def trade(story: Story, pick: Any) -> None:
    """Part or all of a market order or of a target trades, with a fee in one of three assets."""
    open_ = [k for k in story.exchange.orders.values() if k.rest and k.order.kind is not OrderKind.STOP_LOSS_LIMIT]
    if not open_:
        return
    kept = pick(open_)
    part = pick([D("0.002"), D("0.3"), D(1), D(1)])
    qty = max(D("0.001"), (kept.rest * part).quantize(D("0.001")))
    price = kept.order.price or story.exchange.prices[kept.order.symbol]
    base = kept.order.symbol.removesuffix("USDT")
    # a fee in the bought asset is taken from buys only, as Binance does
    fee = pick(["BNB", "USDT", *([base] if kept.order.side is Side.BUY else [])])
    in_bnb = (qty * price * D("0.00075") / story.exchange.prices["BNBUSDT"]).quantize(D("1e-8"))
    amount = {"BNB": in_bnb, "USDT": qty * price / 1000}.get(fee, qty / 1000)
    story.exchange.trade(kept.order.client_id, min(qty, kept.rest), price, (fee, amount))
    if kept.order.kind is OrderKind.MARKET and kept.rest and pick((True, False)):
        kept.end = "EXPIRED"


@settings(max_examples=120, deadline=None)
@given(dices)
def test_money_protection_and_halts_hold_on_every_path(dice: Random):
    """Whatever happens in whatever order, money adds up, nothing bought stands alone, and a halt buys nothing."""
    story = Story(dice.random() < 0.5)
    for _ in range(dice.randint(20, 120)):
        play(story, dice)
    for _ in range(3):
        story.work()
        story.look()
    story.all_is_protected()
    story.money_adds_up()
    ids = [o.client_id for e in story.effects for o in orders_of(e)]
    assert len(ids) == len(set(ids))
    for decision in story.decisions():
        assert decision.intent if decision.refusal is None else decision.refusal.code and decision.refusal.sentence


@settings(max_examples=60, deadline=None)
@given(dices)
def test_every_position_comes_to_its_end(dice: Random):
    """After any beginning, panic and an honest exchange leave nothing held, nothing open and nothing wanted."""
    story = Story(auto=True)
    for _ in range(dice.randint(5, 80)):
        play(story, dice)
    story.post(ev.OwnerPanicked(story.now(), "chat", story.update()))
    for _ in range(4):
        story.work()
        story.fill_market()
        for symbol in SYMBOLS:
            story.look()
            story.bar(symbol, story.exchange.prices[symbol])
    story.work()
    assert story.state.positions == {}
    assert story.state.orders == {}
    assert not [k for k in story.exchange.orders.values() if k.rest]
    assert story.state.trading.state is TradingState.HALTED


@settings(max_examples=40, deadline=None)
@given(dices)
def test_the_same_events_give_the_same_machine_also_across_restarts(dice: Random):
    """Stepping the same events again, with a restart before each, gives the same effects byte for byte."""
    story = Story(auto=True)
    start = story.state
    for _ in range(dice.randint(10, 60)):
        play(story, dice)
    state, effects = start, []
    for event in story.events:
        state, more = step(decode_state(encode_state(state)), event)
        effects += more
    assert encode_effects(effects) == encode_effects(story.effects)
    assert encode_state(state) == encode_state(story.state)


@settings(max_examples=40, deadline=None)
@given(dices)
def test_what_was_seen_before_changes_nothing_but_the_count(dice: Random):
    """The same bar, the same trade and the same press again leave everything as it is, without an effect."""
    story = Story(auto=dice.random() < 0.5)
    for _ in range(dice.randint(10, 60)):
        play(story, dice)
    for event in [e for e in story.events if isinstance(e, ev.BarSeen | ev.Filled) or hasattr(e, "update_id")]:
        again, effects = step(story.state, event)
        assert effects == ()
        assert replace(again, seq=story.state.seq) == story.state
