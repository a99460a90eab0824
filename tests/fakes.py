"""A small exchange in memory and a life on it: enough behaviour to hold the machine against, no more.

Rule 1: the exchange keeps its own money and refuses what it could not honour: no funds, bad grid, wrong side.
Rule 2: a pair locks its quantity once; the first leg to trade ends the other.
Rule 3: a bracket's entry is filled whole or everything of it ends; its legs wait for it, lock nothing until then, and
        end where the account does not hold what they would sell.
Rule 4: the machine hears of trades and ends only when ``Life.look`` asks, as it does of the real one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide.guarding import IN_DOUBT
from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Cancel, Decided, Effect, Submit, SubmitBracket, SubmitPair, Tell, Topic, TradeDone
from core.domain.errors import Refused
from core.domain.forecast import Forecast
from core.domain.market import ZERO, Instrument
from core.domain.orders import Fill, Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import Decision, State, Trade
from tests.builders import HOUR, SECOND, START, a_bar, seen

D = Decimal
NO_FEE = ("USDT", ZERO)
DUPLICATE = "DUPLICATE"


@dataclass(slots=True)
class Kept:
    """An order as the exchange keeps it."""

    order: Order
    sister: str = ""
    done: Decimal = ZERO
    end: str = ""
    triggered: bool = False
    waits_for: str = ""

    @property
    def rest(self) -> Decimal:
        """What can still trade, base units."""
        return ZERO if self.end else self.order.qty - self.done


@dataclass(slots=True)
class FakeExchange:
    """One account, any number of pairs, trades only when told to."""

    instruments: Mapping[str, Instrument]
    held: dict[str, Decimal]
    prices: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[str, Kept] = field(default_factory=dict)
    trades: list[Fill] = field(default_factory=list)
    fee: Callable[[Order, Decimal], tuple[str, Decimal]] = lambda order, quote: NO_FEE

    def free(self, asset: str) -> Decimal:
        """What is not locked by open sales; a pair locks once."""
        locked: dict[str, Decimal] = {}
        for kept in self.orders.values():
            selling = self.instruments[kept.order.symbol].base == asset and kept.order.side is Side.SELL
            if selling and kept.rest and not kept.waits_for:
                locked[min(kept.order.client_id, kept.sister or kept.order.client_id)] = kept.rest
        return self.held.get(asset, ZERO) - sum(locked.values(), ZERO)

    def submit(self, order: Order) -> None:
        """Take a market order. Raises Refused."""
        self._check(order)
        self.orders[order.client_id] = Kept(order)

    def submit_pair(self, stop: Order, target: Order) -> None:
        """Take both legs or none. Raises Refused."""
        price = self.prices[stop.symbol]
        self._check_grid(stop)
        self._check_grid(target)
        if not (stop.stop_price and target.price and stop.stop_price < price < target.price):
            raise Refused("a price is on the wrong side of the market", "-2010")
        self._check(stop)
        self._check(target)
        self.orders[stop.client_id] = Kept(stop, target.client_id)
        self.orders[target.client_id] = Kept(target, stop.client_id)

    def submit_bracket(self, entry: Order, stop: Order, target: Order) -> None:
        """Take an entry with its pair: filled whole at the price of now, or all of it expires. Raises Refused."""
        if not (entry.price and stop.stop_price and target.price and stop.stop_price < entry.price < target.price):
            raise Refused("a price is on the wrong side of the entry", "-2010")
        self._check(entry)
        for leg in (stop, target):
            self._check_grid(leg)
        self.orders[entry.client_id] = Kept(entry)
        for leg, sister in ((stop, target), (target, stop)):
            self.orders[leg.client_id] = Kept(leg, sister.client_id, waits_for=entry.client_id)
        price = self.prices[entry.symbol]
        if price > entry.price:
            for order in (entry, stop, target):
                self.orders[order.client_id].end = "EXPIRED"
        else:
            self.trade(entry.client_id, entry.qty, price, self.fee(entry, entry.qty * price))
            self._start(stop, target)

    def _start(self, *legs: Order) -> None:
        """The waiting legs work from now on, as far as the account holds what they would sell."""
        enough = self.free(self.instruments[legs[0].symbol].base) >= max(leg.qty for leg in legs)
        for leg in legs:
            self.orders[leg.client_id].waits_for = ""
            self.orders[leg.client_id].end = "" if enough else "EXPIRED"

    def _check(self, order: Order) -> None:
        self._check_grid(order)
        rules = self.instruments[order.symbol]
        worth = order.price or self.prices[order.symbol]
        needed, asset = (order.qty, rules.base) if order.side is Side.SELL else (order.qty * worth, rules.quote)
        if self.free(asset) < needed:
            raise Refused("Account has insufficient balance for requested action.", "-2010")

    def _check_grid(self, order: Order) -> None:
        rules = self.instruments[order.symbol]
        worth = order.price or self.prices[order.symbol]
        if order.qty % rules.lot or any(price % rules.tick for price in (order.price, order.stop_price) if price):
            raise Refused("off the grid", "-1013")
        if order.qty < rules.qty_min or order.qty * worth < rules.notional_min:
            raise Refused("below the minimum", "-1013")
        if order.client_id in self.orders and self.orders[order.client_id].rest:
            raise Refused("Duplicate order sent.", DUPLICATE)

    def cancel(self, client_id: str) -> None:
        """End an order, with its sister. Raises Refused where it is done or gone."""
        kept = self.orders.get(client_id)
        if kept is None or kept.end:
            raise Refused("Unknown order sent.", "-2011")
        self._end(kept, "CANCELED")

    def _end(self, kept: Kept, end: str) -> None:
        for one in (kept, self.orders.get(kept.sister)):
            if one and not one.end:
                one.end = end

    def trade(self, client_id: str, qty: Decimal, price: Decimal, fee: tuple[str, Decimal] = NO_FEE) -> Fill:
        """Trade part of an order; ``fee`` is asset and amount. A market order that traded less than all ends there."""
        kept = self.orders[client_id]
        order, rules = kept.order, self.instruments[kept.order.symbol]
        assert 0 < qty <= kept.rest, "the test itself trades more than there is"
        made = Fill(
            order.symbol, str(len(self.trades) + 1), client_id, order.side, qty, price, fee[1], fee[0], order.created_at
        )
        sign = 1 if order.side is Side.BUY else -1
        for asset, change in ((rules.base, sign * qty), (rules.quote, -sign * qty * price), (fee[0], -fee[1])):
            self.held[asset] = self.held.get(asset, ZERO) + change
        self.trades.append(made)
        kept.done += qty
        if kept.done == order.qty:
            kept.end = "FILLED"
        sister = self.orders.get(kept.sister)
        if sister and not sister.end:
            sister.end = "EXPIRED"
        return made

    def move(self, symbol: str, price: Decimal) -> None:
        """Let the price go to ``price`` and trade what it reaches."""
        self.prices[symbol] = price
        for kept in list(self.orders.values()):
            if kept.order.symbol == symbol and kept.rest and not kept.waits_for and self._reached(kept, price):
                self.trade(kept.order.client_id, kept.rest, kept.order.price or price)

    def _reached(self, kept: Kept, price: Decimal) -> bool:
        order = kept.order
        if order.kind is OrderKind.STOP_LOSS_LIMIT:
            kept.triggered = kept.triggered or price <= (order.stop_price or ZERO)
            return kept.triggered and price >= (order.price or ZERO)
        return order.kind is OrderKind.LIMIT_MAKER and price >= (order.price or ZERO)


@dataclass(slots=True)
class Life:
    """A machine at work on a fake exchange: post what happens, ``work`` what it wants, ``look`` what came of it."""

    state: State
    exchange: FakeExchange = field(init=False)
    at: datetime = START
    hours: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    queue: list[Effect] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    updates: int = 0

    def __post_init__(self) -> None:
        prices = {symbol: D(100) for symbol in self.state.instruments}
        self.exchange = FakeExchange(self.state.instruments, dict(self.state.balances), prices)

    def post(self, event: ev.Event) -> tuple[Effect, ...]:
        """Step one event; its orders and cancels wait in ``queue``."""
        self.state, effects = step(self.state, event)
        self.queue += [e for e in effects if isinstance(e, Submit | SubmitPair | SubmitBracket | Cancel)]
        self.effects += effects
        return effects

    def now(self) -> datetime:
        """A second later."""
        self.at += SECOND
        return self.at

    def update(self) -> int:
        """The next chat update."""
        self.updates += 1
        return self.updates

    def bar(
        self, symbol: str = "BTCUSDT", close: str | Decimal = "100", forecast: Forecast | None = None
    ) -> tuple[Effect, ...]:
        """The next closed bar of ``symbol``; the market goes there first."""
        bar = a_bar(symbol, self.hours[symbol], close)
        self.hours[symbol] += 1
        self.at = max(self.at, bar.close_at)
        self.exchange.move(symbol, D(close))
        return self.post(seen(bar, forecast, at=self.at))

    def work(self, *, fill: bool = True) -> None:
        """Do all that is wanted, honestly and at once, until nothing more is wanted."""
        for _ in range(500):
            if not self.queue:
                return
            self.act(self.queue.pop(0))
            if fill:
                self.fill_market()
            self.look()
        raise AssertionError("the machine wants something without end")

    def act(self, effect: Effect) -> None:
        """Do one thing and post the exchange's own answer."""
        orders = orders_of(effect)
        try:
            self.tell_exchange(effect)
        except Refused as no:
            if no.code == DUPLICATE:
                return self.tell_accepted(orders)
            for order in orders:
                self.post(ev.Rejected(self.now(), "act", order.client_id, no.code, no.user_text))
            if isinstance(effect, Cancel):
                self.post(ev.CancelRefused(self.now(), "act", effect.client_id, no.user_text))
            return None
        return self.tell_accepted(orders)

    def tell_accepted(self, orders: Sequence[Order]) -> None:
        """The exchange has these orders and says so."""
        for order in orders:
            self.post(ev.Accepted(self.now(), "act", order.client_id, f"x{order.client_id}"))

    def tell_exchange(self, effect: Effect) -> None:
        """Do one thing on the exchange and hear nothing. Raises Refused."""
        if isinstance(effect, Submit):
            self.exchange.submit(effect.order)
        elif isinstance(effect, SubmitPair):
            self.exchange.submit_pair(effect.stop, effect.target)
        elif isinstance(effect, SubmitBracket):
            self.exchange.submit_bracket(effect.entry, effect.stop, effect.target)
        elif isinstance(effect, Cancel):
            self.exchange.cancel(effect.client_id)

    def fill_market(self) -> None:
        """Trade every market order in full, at the price."""
        for kept in list(self.exchange.orders.values()):
            if kept.order.kind is OrderKind.MARKET and kept.rest:
                price = self.exchange.prices[kept.order.symbol]
                fee = self.exchange.fee(kept.order, kept.rest * price)
                self.exchange.trade(kept.order.client_id, kept.rest, price, fee)

    def look(self, *, give_up: bool = True) -> None:
        """Book new trades, then what became of each order; ``give_up`` waits until missing ones may be judged."""
        for made in list(self.exchange.trades):
            if int(made.trade_id) > self.state.last_trades.get(made.symbol, 0):
                self.post(ev.Filled(self.now(), "look", made))
        for order in [o for o in self.state.orders.values() if o.live or o.state is OrderState.ABSENT]:
            self._learn(order.client_id, give_up)

    def _learn(self, client_id: str, give_up: bool) -> None:
        order, kept = self.state.orders.get(client_id), self.exchange.orders.get(client_id)
        waits = any(client_id in (o.client_id for o in orders_of(e)) for e in self.queue)
        if order is None or waits or not (order.live or kept):
            return
        if kept is None:
            if give_up and order.state in IN_DOUBT:
                self._judge(order)
        elif kept.end and kept.done == order.filled_qty:
            self.post(ev.Canceled(self.now(), "look", client_id, expired=kept.end == "EXPIRED"))
        elif not order.exchange_id and not order.filled_qty:
            self.post(ev.Accepted(self.now(), "look", client_id, f"x{client_id}"))

    def _judge(self, order: Order) -> None:
        """An order no read shows, long after it was sent: a buy never was; of a sale the balance tells."""
        if order.side is Side.BUY:
            self.at += timedelta(minutes=10)
            self.post(ev.Absent(self.now(), "look", order.client_id))
        else:
            self.at += timedelta(minutes=1)
            total = self.exchange.held.get(self.exchange.instruments[order.symbol].base, ZERO)
            self.post(ev.StillHeld(self.now(), "look", order.client_id, total))

    def wait(self, length: timedelta = HOUR) -> tuple[Effect, ...]:
        """Let time pass."""
        self.at += length
        return self.post(ev.Ticked(self.at, "tick"))

    def tells(self, topic: Topic) -> list[Tell]:
        """Messages of one topic so far."""
        return [e for e in self.effects if isinstance(e, Tell) and e.topic is topic]

    def decisions(self) -> list[Decision]:
        """Every decision so far."""
        return [e.decision for e in self.effects if isinstance(e, Decided)]

    def closed(self) -> list[Trade]:
        """Every round trip so far."""
        return [e.trade for e in self.effects if isinstance(e, TradeDone)]

    def sent(self, purpose: Purpose) -> list[Order]:
        """Every order of one purpose that was wanted so far."""
        return [o for e in self.effects for o in orders_of(e) if o.purpose is purpose]

    def standing(self, symbol: str = "BTCUSDT") -> set[Purpose]:
        """Purposes of the orders of ``symbol`` that are open on the exchange."""
        return {k.order.purpose for k in self.exchange.orders.values() if k.order.symbol == symbol and k.rest}


def orders_of(effect: Effect) -> Sequence[Order]:
    """The orders an effect sends."""
    if isinstance(effect, Submit):
        return (effect.order,)
    if isinstance(effect, SubmitBracket):
        return effect.entry, effect.stop, effect.target
    return (effect.stop, effect.target) if isinstance(effect, SubmitPair) else ()
