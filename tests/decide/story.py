"""A life of drawn moves on a fake exchange, held against everything that must be true after each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from random import Random
from typing import Any

from core.adapters.codec import encode_state
from core.decide.exits import placed, price_now
from core.decide.guarding import PROTECT_AGAIN
from core.decide.ledger import asset_prices
from core.domain import events as ev
from core.domain.effects import Cancel, Effect, SubmitPair, TradeDone
from core.domain.errors import Refused
from core.domain.market import ZERO
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import Limits, Position, State, TradingState
from tests.builders import SYMBOLS, a_config, a_forecast, a_state, an_instrument, with_lists
from tests.fakes import Life, orders_of

D = Decimal
INITIAL = {"USDT": D(10_000), "BNB": D(50), "BTC": D("0.7")}
# two pairs that are bought at market, two whose entry brings its protection
RULES = {s: with_lists(s) if s in ("ETHUSDT", "SOLUSDT") else an_instrument(s) for s in SYMBOLS}
PAIR = {Purpose.STOP, Purpose.TARGET}
MOVES = {
    "bars": 6,
    "work": 8,
    "trade": 6,
    "look": 4,
    "end": 1,
    "approve": 3,
    "skip": 1,
    "owner": 1,
    "wait": 1,
    "stop": 2,
    "transfer": 1,
    "by hand": 1,
    "balances": 2,
    "tick": 2,
    "found": 1,
}
OWNER = {ev.OwnerPaused: 1, ev.OwnerResumed: 6, ev.OwnerPanicked: 1, ev.AccessLost: 1}
ANSWERS = {"well": 7, "lost": 1, "gone": 1, "refused": 1, "not now": 1}
FACTORS = [D(f) for f in ("0.9", "0.985", "0.995", "1", "1.005", "1.015", "1.05")]


class Story(Life):
    """A life that plays drawn moves and keeps what it has to be held against."""

    __slots__ = ("dice", "events", "moved", "strange")

    def __init__(self, auto: bool, dice: Random) -> None:
        wide = Limits(orders_per_min_max=90, orders_open_max=90, drawdown_max=D("0.5"), day_loss_max=D("0.5"))
        config = a_config(approve_auto=auto, trail_stops=dice.random() < 0.5)
        super().__init__(a_state(balances=INITIAL, instruments=RULES, config=config, limits=wide))
        self.dice = dice
        self.events: list[ev.Event] = []
        self.moved: dict[str, Decimal] = defaultdict(Decimal)
        self.strange: set[str] = set()
        self.exchange.fee = self._fee

    def _fee(self, order: Order, quote: Decimal) -> tuple[str, Decimal]:
        """A fee in one of three assets; one in the bought asset is taken from buys only, as Binance does."""
        base = order.symbol.removesuffix("USDT")
        asset = self.dice.choice(["BNB", "USDT", *([base] if order.side is Side.BUY else [])])
        in_bnb = (quote * D("0.00075") / self.exchange.prices["BNBUSDT"]).quantize(D("1e-8"))
        in_base = quote / self.exchange.prices[order.symbol] / 1000
        return asset, {"BNB": in_bnb, "USDT": quote / 1000}.get(asset, in_base.quantize(D("1e-8")))

    def post(self, event: ev.Event) -> tuple[Effect, ...]:
        """Step one event and hold the machine against everything that must be true after it."""
        before = self.state
        frozen = encode_state(before)
        self.events.append(event)
        effects = super().post(event)
        assert encode_state(before) == frozen
        self._profits(effects)
        self._stops(before, effects)
        for position in self.state.positions.values():
            self._position(position, event)
        for effect in effects:
            assert not (self._halted() and any(o.side is Side.BUY for o in orders_of(effect)))
        return effects

    def _stops(self, before: State, effects: tuple[Effect, ...]) -> None:
        """A stop never falls, in the books and in what is sent."""
        for symbol, now in self.state.positions.items():
            was = before.positions.get(symbol)
            assert was is None or was.intent != now.intent or now.stop >= was.stop
        fresh = (e for e in effects if isinstance(e, SubmitPair) and e.stop.asked_at is None)
        for pair in fresh:
            position = self.state.positions[pair.stop.symbol]
            assert pair.stop.stop_price == position.stop
            reached = price_now(self.state, position) * (1 - D(pair.stop.trail_bips) / 10_000)
            assert not pair.stop.trail_bips or reached >= position.stop

    def _halted(self) -> bool:
        return self.state.trading.state is not TradingState.ACTIVE

    def _profits(self, effects: tuple[Effect, ...]) -> None:
        """Each closed trade earned what its own orders moved, fees in other coins at their price."""
        for trade in (e.trade for e in effects if isinstance(e, TradeDone)):
            if trade.symbol in self.strange:
                continue
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

    def _position(self, position: Position, event: ev.Event) -> None:
        """Never negative, never sold twice, and once bought either protected, being left, or tried again in time."""
        live = [o for o in self.state.orders.values() if o.symbol == position.symbol and o.live]
        rests = {o.client_id: o.remaining for o in live if o.side is Side.SELL}
        sales: dict[Any, Decimal] = defaultdict(Decimal)
        for order in live:
            if order.side is Side.SELL and placed(self.state, order):
                key = order.created_at if order.purpose in PAIR else order.client_id
                sales[key] = max(sales[key], rests[order.client_id])
        assert position.qty >= 0
        # coins of the account may pay a sale's fee, so the rest of that sale can exceed the position by it; legs that
        # came with their entry can, by a fee that was not expected, until the exchange's word of their end is heard
        paid = sum((f for a, f in position.fees if a == position.symbol.removesuffix("USDT")), ZERO)
        assert position.symbol in self.strange or sum(sales.values()) <= position.qty + paid
        if any(self._news_to_come(o) for o in live):
            return
        purposes = {o.purpose for o in live}
        if not live and not (isinstance(event, ev.Ticked) and self._due(position, event.at)):
            return
        if position.bought_qty and not position.leaving and Purpose.ENTRY not in purposes:
            begun = any(o.filled_qty for o in live)
            assert purposes == PAIR or (begun and purposes & PAIR), f"{position} stands alone with {live}"

    def _due(self, position: Position, at: datetime) -> bool:
        """Whether what was refused for a moment has to be tried again by now."""
        tried = [o for o in self.state.orders.values() if o.symbol == position.symbol]
        return at - max((o.created_at for o in tried), default=position.opened_at) >= PROTECT_AGAIN

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
        for asset, amount in self.moved.items():
            expected[asset] += amount
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
    PLAYS[draw(dice, MOVES)](story, dice)


def next_bars(story: Story, dice: Random) -> None:
    """An hour passes: every symbol has its bar."""
    for symbol in SYMBOLS:
        close = max(D(20), (story.exchange.prices[symbol] * dice.choice(FACTORS)).quantize(D("0.01")))
        hour, fires = story.hours[symbol], dice.choice((True, False))
        story.bar(symbol, close, a_forecast(symbol, hour, fires=fires, horizon_bars=3))


def work_one(story: Story, dice: Random) -> None:
    """The next thing that is wanted is done, or not."""
    if story.queue:
        work(story, story.queue.pop(0), draw(dice, ANSWERS))


def pass_time(story: Story, seconds: int) -> None:
    """Time goes by."""
    story.wait(timedelta(seconds=seconds))


def speak(story: Story, dice: Random) -> None:
    """The owner pauses, resumes or panics, or the key stops working."""
    kind = draw(dice, OWNER)
    story.post(kind(story.now(), "chat", "the key is gone" if kind is ev.AccessLost else story.update()))


def press_one(story: Story, dice: Random, press: str) -> None:
    """The owner answers a proposal, if there is one; the price of now is known or not."""
    if not story.state.proposals:
        return
    intent, proposal = next(iter(story.state.proposals.items()))
    if press == "skip":
        story.post(ev.OwnerSkipped(story.now(), "chat", story.update(), intent))
        return
    price = dice.choice([None, story.exchange.prices[proposal.wanted.symbol]])
    story.post(ev.OwnerApproved(story.now(), "chat", story.update(), intent, price))


def move_stop(story: Story, dice: Random) -> None:
    """The owner asks for a stop anywhere, sensible or not, or for one that follows the price."""
    if not story.state.positions:
        return
    symbol = dice.choice(sorted(story.state.positions))
    asked = dice.choice([None, *((story.exchange.prices[symbol] * f).quantize(D("0.01")) for f in FACTORS)])
    story.post(ev.OwnerMovedStop(story.now(), "chat", story.update(), symbol, asked))


def transfer(story: Story, dice: Random) -> None:
    """Coins or money come, or go as far as they are free."""
    asset = dice.choice(["USDT", "BTC", "ETH"])
    amount = dice.choice([D(500), -min(D(300), story.exchange.free("USDT"))]) if asset == "USDT" else coins(story, dice)
    story.exchange.held[asset] = story.exchange.held.get(asset, ZERO) + (amount if asset != "ETH" else abs(amount))
    story.moved[asset] += amount if asset != "ETH" else abs(amount)
    story.strange |= {f"{asset}USDT"}


def coins(story: Story, dice: Random) -> Decimal:
    """Some bitcoin in, or up to what is free out."""
    return dice.choice([D("0.25"), -min(D("0.3"), story.exchange.free("BTC"))])


def trade_by_hand(story: Story, dice: Random) -> None:
    """The owner buys or sells on the exchange itself, as far as the account has free coins."""
    symbol, side = dice.choice(SYMBOLS), dice.choice([Side.BUY, Side.SELL])
    free = story.exchange.free(symbol.removesuffix("USDT")).quantize(D("0.001"), ROUND_FLOOR)
    qty = min(free, D(1)) if side is Side.SELL else D("0.2")
    order = Order(f"web_{len(story.exchange.trades)}", symbol, side, OrderKind.MARKET, Purpose.EXIT, qty, story.at)
    with suppress(Refused):
        story.exchange.submit(order)
        story.exchange.trade(order.client_id, qty, story.exchange.prices[symbol])
        story.strange |= {symbol}


def find_strays(story: Story, _: Random) -> None:
    """A pair of ours that no book holds stands over free bitcoin, far from the price, and is found."""
    price, qty = story.exchange.prices["BTCUSDT"], D("0.2")
    name = f"fm-BTCUSDT-lost{len(story.events)}"
    stop = Order(
        f"{name}-s1",
        "BTCUSDT",
        Side.SELL,
        OrderKind.STOP_LOSS_LIMIT,
        Purpose.STOP,
        qty,
        story.now(),
        price=(price * D("0.2")).quantize(D("0.01")),
        stop_price=(price * D("0.21")).quantize(D("0.01")),
        state=OrderState.OPEN,
    )
    target = replace(
        stop,
        client_id=f"{name}-t1",
        kind=OrderKind.LIMIT_MAKER,
        purpose=Purpose.TARGET,
        price=(price * D(5)).quantize(D("0.01")),
        stop_price=None,
    )
    with suppress(Refused):
        story.exchange.submit_pair(stop, target)
        story.strange |= {"BTCUSDT"}
        story.post(ev.OrdersFound(story.at, "reconcile", "BTCUSDT", (stop, target)))


def compare(story: Story, dice: Random) -> None:
    """Balances as reconcile shows them: trades booked first, and not while an order is meant to fill."""
    story.look(give_up=False)
    if any(o.live and o.purpose not in PAIR for o in story.state.orders.values()):
        return
    held = {asset: amount for asset, amount in story.exchange.held.items() if amount}
    for _ in range(2):
        story.post(ev.BalancesSeen(story.now(), "look", held))
        story.at += timedelta(seconds=dice.choice([5, 80]))


def end_one(story: Story, dice: Random) -> None:
    """Somebody cancels an open order on the exchange itself."""
    standing = [k.order.client_id for k in story.exchange.orders.values() if k.rest]
    if standing:
        story.exchange.cancel(dice.choice(standing))


def work(story: Story, effect: Effect, how: str) -> None:
    """Do what was wanted: well, with the reply lost, with the request lost, or refused."""
    if how == "well" or isinstance(effect, Cancel):
        if how != "gone":
            story.act(effect)
        return None
    if how == "lost":
        try:
            story.tell_exchange(effect)
        except Refused:
            return story.act(effect)
    there = any(o.client_id in story.exchange.orders for o in orders_of(effect))
    code = {"refused": "-2010", "not now": "RetryLater"}.get("" if there else how)
    for order in orders_of(effect):
        if code:
            story.post(ev.Rejected(story.now(), "act", order.client_id, code, "no"))
        else:
            story.post(ev.Unknown(story.now(), "act", order.client_id, "timeout"))
    return None


def trade(story: Story, dice: Random) -> None:
    """Part or all of a market order or of a target trades, with a fee in one of three assets."""
    open_ = [k for k in story.exchange.orders.values() if k.rest and not k.waits_for]
    open_ = [k for k in open_ if k.order.kind is not OrderKind.STOP_LOSS_LIMIT and "lost" not in k.order.client_id]
    if not open_:
        return
    kept = dice.choice(open_)
    part = dice.choice([D("0.002"), D("0.3"), D(1), D(1)])
    qty = min(kept.rest, max(D("0.001"), (kept.rest * part).quantize(D("0.001"))))
    price = kept.order.price or story.exchange.prices[kept.order.symbol]
    story.exchange.trade(kept.order.client_id, qty, price, story.exchange.fee(kept.order, qty * price))
    if kept.order.kind is OrderKind.MARKET and kept.rest and dice.choice((True, False)):
        kept.end = "EXPIRED"


def settle_accounts(story: Story) -> None:
    """What came and went by transfer is looked at long enough, and the owner takes over what nobody can explain."""
    for _ in range(3):
        story.work()
        story.look()
    for _ in range(2):
        held = {asset: amount for asset, amount in story.exchange.held.items() if amount}
        story.post(ev.BalancesSeen(story.now(), "look", held))
        story.at += timedelta(seconds=80)
    story.post(ev.OwnerPaused(story.now(), "chat", story.update()))
    story.post(ev.OwnerResumed(story.now(), "chat", story.update()))
    story.work()
    story.look()
    story.wait()
    story.work()
    story.look()


PLAYS: dict[str, Callable[[Story, Random], None]] = {
    "bars": next_bars,
    "work": work_one,
    "trade": trade,
    "look": lambda story, dice: story.look(give_up=dice.choice((True, False))),
    "end": end_one,
    "approve": lambda story, dice: press_one(story, dice, "approve"),
    "skip": lambda story, dice: press_one(story, dice, "skip"),
    "owner": speak,
    "wait": lambda story, _: pass_time(story, 300),
    "tick": lambda story, _: pass_time(story, 8),
    "stop": move_stop,
    "transfer": transfer,
    "by hand": trade_by_hand,
    "balances": compare,
    "found": find_strays,
}
