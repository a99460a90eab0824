"""The judge judges: what must never be is seen, and what is well is left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.decide.venue import ListPlacement, Placement
from core.domain.effects import Tell, Topic
from core.domain.events import Ticked
from core.domain.orders import Order, OrderKind, Purpose, Side
from core.domain.state import Config, State, Trading, TradingState
from core.ports import Committed
from core.sim.exchange.world import SimExchange
from tests.campaign.invariants import Violation, Witness, check_entry, difference, entry_of, intent_of, stuck
from tests.sim.exchange.exchange_rig import START, exchange

MARK, SYMBOL = "fm1", "BTCUSDT"
AT = datetime(2026, 1, 1, tzinfo=UTC)


class Scene:
    """An exchange in lock-step, a witness, and a clock turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.exchange: SimExchange = exchange(start=START + timedelta(hours=3))
        self.witness = Witness(self.exchange, MARK, lambda: self.seconds)
        self.witness.uptime.since = self.witness.uptime.awake = 0.0
        self.exchange.listeners.append((self.witness.moved, lambda: None))

    def market(self, side: Side, name: str, qty: str = "0.1") -> None:
        """A market order of the program."""
        self.exchange.submit(Placement(SYMBOL, side, OrderKind.MARKET, name, Decimal(qty)))

    def protect(self, tries: int, stop_share: str = "0.9", qty: str = "0.0999") -> None:
        """A stop and a target as a pair."""
        last = Decimal(repr(self.exchange.tape.last(SYMBOL)))
        tick = self.exchange.terms(SYMBOL).instrument.floor_price
        stop, limit, target = (tick(last * Decimal(s)) for s in (stop_share, "0.8", "1.2"))
        below = Placement(
            SYMBOL, Side.SELL, OrderKind.STOP_LOSS_LIMIT, f"{MARK}-one-s{tries}", Decimal(qty), price=limit,
            stop_price=stop,
        )  # fmt: skip
        above = Placement(SYMBOL, Side.SELL, OrderKind.LIMIT_MAKER, f"{MARK}-one-t{tries}", Decimal(qty), price=target)
        self.exchange.submit_list(ListPlacement(f"p{tries}", (below, above)))

    def tell(self, text: str, *, urgent: bool = True) -> None:
        """The program tells the owner something."""
        tell = Tell(Topic.ERROR, "x", text, urgent=urgent)
        self.witness.heard(Committed(1, Ticked(AT, "t"), (tell,)), entry_of)


def test_an_intent_that_buys_under_two_names_is_doubled():
    """The second execution for one decision is caught the moment it happens."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    with pytest.raises(Violation, match="doubled: intent one bought"):
        scene.market(Side.BUY, f"{MARK}-one-e1")


def test_a_name_that_executes_twice_is_doubled():
    """A market order's name is free again once it filled: sending it again buys again."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    with pytest.raises(Violation, match="doubled"):
        scene.market(Side.BUY, f"{MARK}-one-e0")


def test_selling_more_than_was_bought_is_oversold():
    """Coins that lie beside a position are the owner's."""
    scene = Scene()
    scene.exchange.deposit("BTC", Decimal(1))
    scene.market(Side.BUY, f"{MARK}-one-e0")
    with pytest.raises(Violation, match="oversold"):
        scene.market(Side.SELL, f"{MARK}-one-x0", "0.2")


def test_what_the_owner_trades_by_hand_is_nobodys_fault():
    """Orders without our mark are neither ours to count nor to protect."""
    scene = Scene()
    for name in ("web_1", "web_1"):
        scene.market(Side.BUY, name)
    scene.seconds = 100
    scene.witness.look()


@pytest.mark.parametrize("seconds", [10.9, 11.1])
def test_a_position_without_a_stop_is_seen_after_ten_seconds(seconds: float):
    """Ten seconds and a second of slack are granted, no more."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    scene.seconds = seconds
    if seconds < 11:
        scene.witness.look()
        return
    with pytest.raises(Violation, match="unprotected"):
        scene.witness.look()


def test_a_stop_that_covers_the_position_is_protection():
    """From the moment the pair stands, time does not matter."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    scene.seconds = 3
    scene.protect(0)
    scene.seconds = 1000
    scene.witness.look()
    assert scene.witness.protected_s == [3]


def test_a_stop_for_half_of_it_is_none():
    """The stop must be sized to what is held."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    scene.protect(0, qty="0.05")
    scene.seconds = 12
    with pytest.raises(Violation, match=r"unprotected: BTCUSDT: 0\.049"):
        scene.witness.look()


@pytest.mark.parametrize(("text", "urgent", "enough"), [
    ("BTCUSDT: no stop stands", True, True), ("ETHUSDT: no stop stands", True, False),
    ("BTCUSDT: no stop stands", False, False),
])  # fmt: skip
def test_the_owner_knows_what_was_told_urgently_about_this_symbol(text: str, urgent: bool, enough: bool):
    """A quiet word or one about another symbol is not enough."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    scene.seconds = 5
    scene.tell(text, urgent=urgent)
    scene.seconds = 20
    if enough:
        scene.witness.look()
        return
    with pytest.raises(Violation, match="unprotected"):
        scene.witness.look()


def test_while_the_program_is_down_the_time_stands_still():
    """It answers for what is open once it is awake again, or half a minute after its start."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    uptime = scene.witness.uptime
    uptime.since = uptime.awake = None
    scene.seconds = 500
    scene.witness.look()
    uptime.since = 500
    scene.seconds = 540
    scene.witness.look()
    scene.seconds = 542
    with pytest.raises(Violation, match="unprotected"):
        scene.witness.look()


def test_a_stop_set_lower_than_before_is_looser():
    """A stop only ever moves up."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    scene.protect(0, "0.95")
    scene.exchange.cancel(SYMBOL, f"{MARK}-one-s0")
    with pytest.raises(Violation, match="looser"):
        scene.protect(1, "0.93")


def _entry(qty: str) -> Order:
    return Order(f"{MARK}-two-e0", SYMBOL, Side.BUY, OrderKind.MARKET, Purpose.ENTRY, Decimal(qty), AT)


def test_an_entry_beyond_the_limit_of_one_symbol_is_seen():
    """A fifth of the account is a fifth of what the exchange holds."""
    scene = Scene()
    last = Decimal(repr(scene.exchange.tape.last(SYMBOL)))
    state = State(config=Config())
    check_entry(state, _entry(f"{Decimal(19_000) / last:.5f}"), scene.witness)
    with pytest.raises(Violation, match="limits"):
        check_entry(state, _entry(f"{Decimal(23_000) / last:.5f}"), scene.witness)


@pytest.mark.parametrize("halted", [TradingState.HALTED, TradingState.REDUCING])
def test_an_entry_while_trading_is_not_active_is_seen(halted: TradingState):
    """A pause and a halt hold."""
    state = State(trading=Trading(halted, "because", AT))
    with pytest.raises(Violation, match="limits"):
        check_entry(state, _entry("0.001"), Scene().witness)


def test_books_that_tell_another_end_are_stuck():
    """Each order must have ended here as it did there, and nothing may be missing on either side."""
    scene = Scene()
    scene.market(Side.BUY, f"{MARK}-one-e0")
    right = {f"{MARK}-one-e0": ("FILLED", Decimal("0.1"))}
    assert stuck(right, scene.witness) == []
    assert stuck({}, scene.witness) == [f"{MARK}-one-e0 is at the exchange (FILLED), not in the books"]
    assert "MAYBE_SENT" in stuck({f"{MARK}-one-e0": ("MAYBE_SENT", Decimal(0))}, scene.witness)[0]
    assert "never had it" in stuck({**right, f"{MARK}-two-e0": ("FILLED", Decimal(1))}, scene.witness)[0]
    assert stuck({**right, f"{MARK}-two-e0": ("ABSENT", Decimal(0))}, scene.witness) == []


def test_a_unit_of_difference_is_a_difference():
    """Money agrees to the last unit or not at all; zeros do not count."""
    ours = {"BTC": Decimal("0.10000000"), "ETH": Decimal(0)}
    assert difference(ours, {"BTC": Decimal("0.1")}) == []
    assert difference(ours, {"BTC": Decimal("0.10000001")}) != []


def test_the_intent_stands_between_the_mark_and_the_orders_own_part():
    """A symbol's name may hold no dash, the bar's does not either."""
    assert intent_of("fm1-BTCUSDT-tb9tac-e0") == "BTCUSDT-tb9tac"
