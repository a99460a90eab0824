"""What must hold, judged by the exchange's own account and never by the program's word.

Rule 1: an intent buys at most once, a client id executes at most once, and no more is sold than was bought.
Rule 2: what was bought and can be sold has a live stop within ten seconds of the program's life, or the owner knows.
Rule 3: nothing is bought while trading is not active, nor beyond the limits.
Rule 4: at the end books, orders and trades are the exchange's, to the last unit, and the journal repeats.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from core.decide.venue import STOP_KINDS, Motion, Move, Moves, Status, VenueOrder, VenueTrade
from core.domain.effects import Submit, Tell, Topic
from core.domain.events import OwnerPanicked
from core.domain.market import ZERO, Instrument
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import State, TradingState
from core.ports import Committed
from core.sim.exchange.world import SimExchange

TOLD_WITHIN_S = 10.0
STARTS_WITHIN_S = 30.0
SLACK_S = 1.0
# the time to send an entry, and what a request may still be accepted after its own
SENT_WITHIN_S = 30.0 + 15.0 + 1.0
ROOM = Decimal("1.05")
# the last price is not the close of the last bar, and prices jump in these markets
EXPOSURE_ROOM = Decimal("1.1")
# balances are read every minute, and reads lag
NOTICED_WITHIN_S = 600
# rules are read every fifteen minutes at least, and that may take a while
RULES_KNOWN_S = 1000.0
# a triggered stop may sell nothing for five seconds, and is looked at every four
NOTICED_RUN_PAST_S = 10
# a coarser tick may push a stop down to its grid
LOOSER_ROOM = Decimal("0.0005")


class Violation(Exception):
    """Something that must never be; ``kind`` is its class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def intent_of(client_id: str) -> str:
    """The intent in one of our client ids: what stands between the installation's mark and the order's own."""
    return client_id.rpartition("-")[0].partition("-")[2]


@dataclass(slots=True)
class Held:
    """One intent's coins as its own orders moved them, base units; ``dust`` once its rest was too small to sell.

    ``taken`` is what the owner sold or sent away by hand, ``since`` when it was first bought.
    """

    symbol: str
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    fees: Decimal = ZERO
    taken: Decimal = ZERO
    since: float = 0.0
    dust: bool = False

    @property
    def net(self) -> Decimal:
        """What is left of what was bought."""
        return self.bought - self.sold - self.fees - self.taken


@dataclass(slots=True)
class Bare:
    """Since when a symbol has had more than its stops would sell, and since when it waits for its first stop."""

    since: float | None = None
    filled_at: float | None = None


@dataclass(slots=True)
class Uptime:
    """Since when the program runs, and since when it has been awake; None while it is not."""

    since: float | None = None
    awake: float | None = None

    def answers_since(self, now: float) -> float | None:
        """From when on the program answers for what is open: once awake, or after the longest start."""
        if self.since is None:
            return None
        if self.awake is not None:
            return self.awake
        return self.since + STARTS_WITHIN_S if now > self.since + STARTS_WITHIN_S else None


@dataclass(slots=True)
class Witness:
    """Watches one exchange and one program from outside."""

    exchange: SimExchange
    mark: str
    now: Callable[[], float]
    uptime: Uptime = field(default_factory=Uptime)
    held: dict[str, Held] = field(default_factory=dict)
    bares: dict[str, Bare] = field(default_factory=dict)
    executed: dict[str, int] = field(default_factory=dict)
    bought_for: dict[str, str] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    protected_s: list[float] = field(default_factory=list)
    alarmed: set[str] = field(default_factory=set)
    misled_at: float = 0.0  # when the exchange last showed an old truth: nobody can know better at that moment
    intents: set[str] = field(default_factory=set)
    orders: int = 0
    trades: list[VenueTrade] = field(default_factory=list)
    stops: dict[str, Decimal] = field(default_factory=dict)
    panicked_at: float = 0.0
    moved_told: Counter[str] = field(default_factory=Counter)
    decided_at: dict[str, float] = field(default_factory=dict)
    rules: dict[str, list[tuple[float, Instrument]]] = field(default_factory=dict)

    # the exchange

    def ours(self, client_id: str) -> bool:
        """Whether an order is the program's."""
        return client_id.startswith(f"{self.mark}-")

    def moved(self, moves: Moves) -> None:
        """Take in what happened at the exchange. Raises Violation."""
        wrong: list[Violation] = []
        for move in moves:
            if isinstance(move, Move):
                self._collect(wrong, move)
        if wrong:
            raise wrong[0]
        if moves:
            self.look()

    def _collect(self, wrong: list[Violation], move: Move) -> None:
        """Take in one move whatever was wrong with the one before."""
        try:
            if move.motion is Motion.NEW and self.ours(move.order.client_id):
                self.orders += 1
                self._placed(move.order)
            if move.motion is Motion.CANCELED and not self.ours(move.order.client_id):
                raise Violation("foreign", f"{move.order.client_id} of the owner was cancelled")
            if move.trade is not None:
                self._traded(move.order, move.trade)
        except Violation as violation:
            wrong.append(violation)

    def _placed(self, order: VenueOrder) -> None:
        """An entry comes in time; a stop is never set lower than the one this intent had before, and it can sell."""
        if order.side is Side.BUY:
            self._in_time(order)
        if order.kind is not OrderKind.STOP_LOSS_LIMIT or order.status is Status.PENDING_NEW:
            return
        if order.price and order.stop_price and order.price > order.stop_price:
            raise Violation("toothless", f"{order.client_id} triggers at {order.stop_price}, sells above it")
        intent = intent_of(order.client_id)
        last = Decimal(repr(self.exchange.tape.last(order.symbol)))
        # one that trails from the price of now has no stop price yet
        level = order.stop_price or last * (1 - Decimal(order.trail_bips) / 10_000)
        highest = self.stops.get(intent, ZERO)
        if level < highest * (1 - LOOSER_ROOM):
            raise Violation("looser", f"{order.client_id} stops at {level:.2f}, it stopped at {highest:.2f} before")
        self.stops[intent] = max(highest, level)

    def _in_time(self, order: VenueOrder) -> None:
        waited_s = self.now() - self.decided_at.get(intent_of(order.client_id), self.now())
        if waited_s > SENT_WITHIN_S:
            raise Violation("outdated", f"{order.client_id} was placed {waited_s:.0f} s after its decision")

    def _traded(self, order: VenueOrder, trade: VenueTrade) -> None:
        self.trades.append(trade)
        if not self.ours(order.client_id):
            return
        known = self.executed.setdefault(order.client_id, order.order_id)
        if known != order.order_id:
            raise Violation("doubled", f"{order.client_id} executed as {known} and again as {order.order_id}")
        self._count(order, trade)

    def _count(self, order: VenueOrder, trade: VenueTrade) -> None:
        symbol, intent = order.symbol, intent_of(order.client_id)
        held = self.held.setdefault(intent, Held(symbol, since=self.now()))
        base = self.exchange.terms(symbol).instrument.base
        held.fees += trade.fee if trade.fee_asset == base else ZERO
        if order.side is Side.BUY:
            self._bought(order)
            held.bought, held.dust = held.bought + trade.qty, False
            bare = self.bares.setdefault(symbol, Bare())
            bare.filled_at = bare.filled_at or self.now()
            return
        held.sold += trade.qty
        held.dust = any(self._too_small(symbol, held.net, rules) for rules in self._rules_lately(symbol))
        if held.net < ZERO:
            raise Violation("oversold", f"{intent}: {held.sold} sold, {held.bought - held.fees} bought")

    def _bought(self, order: VenueOrder) -> None:
        intent = intent_of(order.client_id)
        known = self.bought_for.setdefault(intent, order.client_id)
        if known != order.client_id:
            raise Violation("doubled", f"intent {intent} bought as {known} and as {order.client_id}")

    # protection

    def look(self) -> None:
        """Whether what is held is protected right now, or told. Raises Violation."""
        now = self.now()
        for symbol, bare in self.bares.items():
            self._note_rules(symbol)
            if self.bare(symbol) <= ZERO:
                self._guarded(bare, now)
                continue
            bare.since = now if bare.since is None else bare.since
            answers = self.uptime.answers_since(now)
            if answers is None or self.knows(symbol):
                continue
            bare_s = now - max(bare.since, answers, self.misled_at)
            if bare_s > TOLD_WITHIN_S + SLACK_S:
                raise Violation(
                    "unprotected", f"{symbol}: {self.bare(symbol)} without a live stop for {bare_s:.1f} s, untold"
                )

    def _guarded(self, bare: Bare, now: float) -> None:
        bare.since = None
        if bare.filled_at is not None:
            self.protected_s.append(now - bare.filled_at)
            bare.filled_at = None

    def knows(self, symbol: str) -> bool:
        """Whether the owner was told of this symbol since it has been bare, or knows that nobody can see it now."""
        if symbol in self.alarmed and symbol in self.told:
            return True
        bare = self.bares.get(symbol)
        since = bare.since if bare and bare.since is not None else 0.0
        return max(self.told.get(symbol, -1.0), self.told.get("", -1.0)) >= since

    def bare(self, symbol: str) -> Decimal:
        """Base units of ours that no live stop would sell, 0 where that is dust."""
        instrument = self.exchange.terms(symbol).instrument
        have = self._had(symbol)
        stops = sum((o.remaining for o in self.live(symbol) if self._protects(o)), ZERO)
        bare = instrument.floor_qty(have - stops)
        return ZERO if self._small(symbol, bare) or bare < have / 100 else bare

    def _protects(self, order: VenueOrder) -> bool:
        """Whether this order would sell if the price fell: one that was triggered and sells nothing does not."""
        ran_past = order.triggered and self.exchange.tape.now_ms - order.updated_ms > NOTICED_RUN_PAST_S * 1000
        return order.kind in STOP_KINDS and not ran_past

    def _had(self, symbol: str) -> Decimal:
        """Base units of ours that are really there: what the owner took by hand is written off, oldest first."""
        rests = [h for h in self.held.values() if h.symbol == symbol and not h.dust]
        balance = self.exchange.venue.balances.get(self.exchange.terms(symbol).instrument.base)
        missing = sum((h.net for h in rests), ZERO) - (balance.total if balance else ZERO)
        for held in rests:
            gone = max(ZERO, min(missing, held.net))
            held.taken, missing = held.taken + gone, missing - gone
        return sum((h.net for h in rests), ZERO)

    def _small(self, symbol: str, qty: Decimal) -> bool:
        """Whether nobody could sell this much."""
        return self._too_small(symbol, qty, self.exchange.terms(symbol).instrument)

    def _too_small(self, symbol: str, qty: Decimal, rules: Instrument) -> bool:
        qty = rules.floor_qty(qty)
        worth = qty * Decimal(repr(self.exchange.tape.last(symbol)))
        return qty < max(rules.qty_min, rules.lot) or worth < rules.notional_min * ROOM

    def _rules_lately(self, symbol: str) -> list[Instrument]:
        """The rules of now, and those the program may still know: it reads them every few minutes."""
        now, rules = self.now(), self.exchange.terms(symbol).instrument
        known = [(at, was) for at, was in self.rules.get(symbol, []) if now - at < RULES_KNOWN_S]
        return [rules, *(was for _, was in known)]

    def _note_rules(self, symbol: str) -> None:
        """Remember rules until they are known to everybody to have changed: ``at`` is when they last held."""
        rules = self.exchange.terms(symbol).instrument
        others = [(at, was) for at, was in self.rules.get(symbol, []) if was != rules]
        self.rules[symbol] = [*others, (self.now(), rules)]

    def worth(self) -> dict[str, Decimal]:
        """What our coins are worth by symbol at the last price, quote units."""
        found: dict[str, Decimal] = {}
        for held in self.held.values():
            price = Decimal(repr(self.exchange.tape.last(held.symbol)))
            found[held.symbol] = found.get(held.symbol, ZERO) + (ZERO if held.dust else max(held.net, ZERO) * price)
        return found

    def kept(self, most_s: float) -> list[str]:
        """Positions that stand longer than ``most_s``, or were to be sold by the panic button, a line each."""
        until = max(self.now() - most_s, self.panicked_at)
        return [
            f"{intent}: {held.net} {symbol} is still held"
            for symbol in self.bares
            if self._had(symbol)
            for intent, held in self.held.items()
            if held.symbol == symbol and held.since < until and not held.dust and not self._small(symbol, held.net)
        ]

    def phantoms(self) -> list[str]:
        """Assets of which the owner was told more deposits and withdrawals than there were, a line each."""
        real = Counter(t.asset for t in self.exchange.history.transfers)
        more = {asset: told for asset, told in self.moved_told.items() if told > real[asset]}
        return [f"{told} transfers of {asset} were told, {real[asset]} made" for asset, told in sorted(more.items())]

    def live(self, symbol: str) -> list[VenueOrder]:
        """Our orders that stand at the exchange now; a leg that still waits for its entry does not."""
        orders = self.exchange.venue.open.get(symbol, ())
        return [o for o in orders if self.ours(o.client_id) and o.status is not Status.PENDING_NEW]

    # the program

    def heard(self, line: Committed, entries: Callable[[object], Order | None]) -> None:
        """Take in one committed line: what the owner is told, what is about to be bought."""
        if isinstance(line.event, OwnerPanicked) and line.effects:
            self.panicked_at = self.now()
        for effect in line.effects:
            if isinstance(effect, Tell) and effect.ref.startswith(("deposit:", "withdrawal:")):
                self.moved_told[effect.ref.partition(":")[2]] += 1
            if isinstance(effect, Tell) and _speaks_of_protection(effect):
                self._note_told(effect)
            order = entries(effect)
            if order is not None:
                self.intents.add(intent_of(order.client_id))

    def _note_told(self, tell: Tell) -> None:
        named = [s for s in self.exchange.market.symbols if s in tell.text or s in tell.ref]
        for symbol in named or [""]:
            self.told[symbol] = self.now()


BESIDE_THE_POINT = ("deposit", "withdrawal", "missed", "proven", "balances")


def _speaks_of_protection(tell: Tell) -> bool:
    """Whether a message says that something is wrong with what protects a position, or that nothing can be done."""
    if not tell.urgent or tell.fill is not None or tell.ref.partition(":")[0] in BESIDE_THE_POINT:
        return False
    return tell.topic is Topic.ERROR or (tell.topic is Topic.STATE and tell.ref == "HALTED")


def entry_of(effect: object) -> Order | None:
    """The entry an effect would send, if it would."""
    order = getattr(effect, "entry", None) or (effect.order if isinstance(effect, Submit) else None)
    return order if isinstance(order, Order) and order.purpose is Purpose.ENTRY else None


def check_entry(state: State, order: Order, witness: Witness) -> None:
    """Nothing is bought while trading is not active, nor beyond the limits by the exchange's own account.

    Raises Violation.
    """
    name, limits = order.client_id, state.limits
    if witness.uptime.awake is None:
        raise Violation("early", f"{name} was decided before anything was compared")
    witness.decided_at[intent_of(name)] = witness.now()
    if state.trading.state is not TradingState.ACTIVE:
        raise Violation("limits", f"{name} was decided while trading is {state.trading.state}")
    # a list that arrived once more, after its first arrival was called off by hand, is not known to stand yet
    ended = {o.client_id for o in state.orders.values() if o.state in (OrderState.CANCELED, OrderState.EXPIRED)}
    standing = [o.client_id for orders in witness.exchange.venue.open.values() for o in orders]
    open_now = sum(witness.ours(name) and name not in ended for name in standing)
    if open_now + 3 > limits.orders_open_max:
        raise Violation("limits", f"{name} was decided with {open_now} orders open of {limits.orders_open_max}")
    worth = witness.worth()
    whole = witness.exchange.totals().get(state.quote, ZERO) + sum(worth.values(), ZERO) + _just_gone(state, witness)
    price = order.price or Decimal(repr(witness.exchange.tape.last(order.symbol)))
    cost = order.qty * price
    for what, held, limit in (
        ("one symbol", worth.get(order.symbol, ZERO), limits.symbol_exposure_max),
        ("all", sum(worth.values(), ZERO), limits.gross_exposure_max),
    ):
        if held + cost > whole * limit * EXPOSURE_ROOM:
            raise Violation(
                "limits", f"{name}: {held:.2f} held and {cost:.2f} more in {what}, of {whole:.2f} at {limit}"
            )


def _just_gone(state: State, witness: Witness) -> Decimal:
    """Quote units withdrawn, in whatever asset, so lately that no read needs to have shown it."""
    exchange = witness.exchange
    since_ms = exchange.tape.now_ms - NOTICED_WITHIN_S * 1000
    gone = [t for t in exchange.history.transfers if t.amount < 0 and t.at_ms >= since_ms]
    prices = {exchange.terms(s).instrument.base: exchange.tape.last(s) for s in exchange.market.symbols}
    prices[state.quote] = 1.0
    return -sum((t.amount * Decimal(repr(prices.get(t.asset, 0.0))) for t in gone), ZERO)


NEVER = frozenset({"REJECTED", "ABSENT"})
FATES: Mapping[str, frozenset[Status]] = {
    "OPEN": frozenset({Status.NEW, Status.PENDING_NEW, Status.PARTIALLY_FILLED}),
    "PARTIAL": frozenset({Status.PARTIALLY_FILLED}),
    "FILLED": frozenset({Status.FILLED}),
    "CANCELED": frozenset({Status.CANCELED, Status.EXPIRED}),
    "EXPIRED": frozenset({Status.CANCELED, Status.EXPIRED}),
}


def stuck(journaled: Mapping[str, tuple[str, Decimal]], witness: Witness) -> list[str]:
    """Orders whose end in the books is not their end at the exchange, a line each."""
    real = {o.client_id: o for o in witness.exchange.history.orders.values() if witness.ours(o.client_id)}
    found = [
        f"{name} is at the exchange ({real[name].status}), not in the books" for name in real if name not in journaled
    ]
    never = {intent_of(n) for n, (state, _) in journaled.items() if state in NEVER and n.rpartition("-")[2][0] == "e"}
    for name, (state, filled) in journaled.items():
        order = real.get(name)
        if order is None:
            # the legs of an entry that never was ended with it
            if state not in NEVER and not (state == "EXPIRED" and intent_of(name) in never):
                found.append(f"{name} is {state} in the books, the exchange never had it")
        elif state not in FATES or order.status not in FATES[state] or order.filled_qty != filled:
            there = f"{order.status} ({order.filled_qty}) at the exchange"
            found.append(f"{name} is {state} ({filled}) in the books, {there}")
    return found


def difference(ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal]) -> list[str]:
    """Assets of which both ledgers hold different amounts, a line each."""
    assets = sorted({a for a, q in ours.items() if q} | {a for a, q in theirs.items() if q})
    return [
        f"{a}: {ours.get(a, ZERO)} in the books, {theirs.get(a, ZERO)} at the exchange"
        for a in assets
        if ours.get(a, ZERO) != theirs.get(a, ZERO)
    ]


def counted(names: list[str]) -> list[str]:
    """Names that occur more than once."""
    return [name for name, n in Counter(names).items() if n > 1]
