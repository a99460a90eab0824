"""The numbers the owner is shown: equity, positions at their marks, limits and how much of them is used."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.ledger import book_position, profit
from core.decide.step import step
from core.domain.market import ZERO
from core.domain.orders import Fill, Order, OrderState, Purpose, Side
from core.domain.state import Day, Doubt, Mark, Position, Proposal, State, Trading, TradingState
from core.run.overview import PositionLine, limit_lines, overview, position_line
from tests.run.samples import HOUR, START, bar, instrument, opening, order, seen

NOON = START + 12 * HOUR
BTC = instrument()


def fill(side: Side, qty: str, price: str, fee: str = "0", asset: str = "USDT", number: str = "1") -> Fill:
    return Fill(
        "BTCUSDT", number, "fm-1-e0", side, Decimal(qty), Decimal(price), Decimal(fee), asset, START + 11 * HOUR
    )


def position(*fills: Fill) -> Position:
    held = Position("BTCUSDT", "BTCUSDT-1", Decimal(95), Decimal(120), 24, START)
    for each in fills:
        held = book_position(held, each, BTC)
    return held


def state(held: Position | None = None, close: str = "110") -> State:
    """9,000 USDT and perhaps a position, the last bar closed at 12:00 with ``close``."""
    return State(
        seq=9,
        instruments={"BTCUSDT": BTC},
        balances={"USDT": Decimal(9000), "BTC": held.qty if held else Decimal(0)},
        positions={"BTCUSDT": held} if held else {},
        marks={"BTCUSDT": Mark(bar(11, close))},
        day=Day(START.date(), Decimal(10_000), Decimal(10_500)),
    )


def test_equity_is_cash_and_positions_at_their_marks():
    """9,000 held and 10 at 110 are worth 10,100."""
    shown = overview(state(position(fill(Side.BUY, "10", "100"))), NOON)
    assert (shown.cash, shown.equity, shown.quote) == (9000, 10_100, "USDT")
    assert shown.today == Decimal("0.01")
    assert shown.drawdown == Decimal(400) / Decimal(10_500)


def test_a_position_shows_its_gain_after_its_costs():
    """10 bought at 100 with a fee of 1 and worth 110 each have earned 99."""
    (line,) = overview(state(position(fill(Side.BUY, "10", "100", fee="1"))), NOON).positions
    assert (line.value, line.profit, line.entry_price, line.mark) == (1100, 99, 100, 110)
    assert line.change == Decimal(99) / Decimal(1001)


def test_a_partly_sold_position_counts_what_it_earned_and_every_fee():
    """Half sold at 120 with a fee of 2, half still worth 110: 147 earned, fees in and out subtracted."""
    held = position(fill(Side.BUY, "10", "100", fee="1"), fill(Side.SELL, "5", "120", fee="2", number="2"))
    (line,) = overview(state(held), NOON).positions
    assert line.profit == 5 * 120 + 5 * 110 - 1000 - 1 - 2
    assert line.qty == 5


amounts = st.integers(1, 1000).map(Decimal)
fees = st.integers(0, 100).map(lambda n: Decimal(n) / 100)


@settings(max_examples=200, deadline=None)
@given(amounts, amounts, amounts, amounts, fees, fees, fees)
def test_what_is_shown_before_the_end_is_what_is_earned_at_the_end(qty, bought, first, last, fee_in, fee_1, fee_2):
    """Sold to the end at its mark, a position has earned what was shown, but for the last sale's own fee."""
    half = qty / 2
    held = position(
        Fill("BTCUSDT", "1", "e", Side.BUY, qty, bought, fee_in, "USDT", START),
        Fill("BTCUSDT", "2", "s", Side.SELL, half, first, fee_1, "USDT", START),
    )
    (line,) = overview(state(held, str(last)), NOON).positions
    end = book_position(held, Fill("BTCUSDT", "3", "s", Side.SELL, half, last, fee_2, "USDT", START), BTC)
    assert line.profit - fee_2 == profit(end, BTC, {})


def test_a_position_names_the_live_orders_that_protect_it():
    """Only a live stop or target protects; ended ones and entries do not."""
    orders = {
        "fm-t": order("fm-t", Purpose.TARGET),
        "fm-s": order("fm-s", Purpose.STOP),
        "fm-s0": replace(order("fm-s0", Purpose.STOP), state=OrderState.CANCELED),
        "fm-e": order("fm-e", Purpose.ENTRY),
        "fm-o": order("fm-o", Purpose.STOP, symbol="ETHUSDT"),
    }
    (line,) = overview(state(position(fill(Side.BUY, "1", "100"))).with_(orders=orders), NOON).positions
    assert line.protected_by == ("fm-s", "fm-t")


def test_bars_left_never_fall_below_zero():
    """A position past its time has none left."""
    held = replace(position(fill(Side.BUY, "1", "100")), bars_held=30)
    assert position_line(state(held), held).bars_left == 0


def test_a_position_not_bought_yet_has_no_gain():
    """Between order and fill there is nothing to be proud of, and nothing divides by zero."""
    (line,) = overview(state(position()), NOON).positions
    assert (line.profit, line.change, line.entry_price) == (0, 0, 0)


def test_money_promised_to_a_buy_is_not_free():
    """What an open order may spend cannot be spent again."""
    buying = order("fm-e", qty="10")
    assert overview(state().with_(orders={"fm-e": buying}), NOON).free_cash == 9000 - 10 * 110


def test_live_orders_are_listed_oldest_first():
    """What is over is not listed."""
    orders = {
        "b": order("b", at=START + HOUR),
        "a": order("a", at=START + HOUR),
        "c": order("c", at=START),
        "d": replace(order("d"), state=OrderState.FILLED),
    }
    assert [each.client_id for each in overview(state().with_(orders=orders), NOON).orders] == ["c", "a", "b"]


@pytest.mark.parametrize(("hours", "stale"), [(0, False), (2, False), (3, True)])
def test_a_bar_too_old_is_called_stale(hours, stale):
    """Two bars without news are allowed, three are not."""
    (line,) = overview(state(), NOON + hours * HOUR).bars
    assert (line.price, line.age_s, line.stale) == (110, hours * 3600.0, stale)


def used(of: State, name: str, at=NOON) -> Decimal | None:
    return next(line.used for line in limit_lines(of, at) if line.name == name)


def test_every_limit_is_listed_once():
    """No limit is hidden from the owner."""
    names = [line.name for line in limit_lines(state(), NOON)]
    assert sorted(names) == sorted(state().limits.__slots__)


def test_a_days_loss_and_the_fall_from_the_peak_are_used_shares():
    """1,000 lost since midnight are a tenth of the day's start."""
    assert used(state(), "day_loss_max") == Decimal("0.1")
    assert used(state(), "drawdown_max") == Decimal(1500) / Decimal(10_500)


def test_a_days_gain_uses_nothing_of_the_loss_limit():
    """A good day is not shown as a negative loss."""
    assert used(state(position(fill(Side.BUY, "10", "100")), "200"), "day_loss_max") == 0


def test_exposure_is_counted_by_symbol_in_all_and_with_peers():
    """Two symbols that move together share one bucket."""
    eth = replace(position(fill(Side.BUY, "10", "100")), symbol="ETHUSDT")
    both = state(position(fill(Side.BUY, "10", "100")), "100")
    both = both.with_(
        positions={**both.positions, "ETHUSDT": eth},
        instruments={**both.instruments, "ETHUSDT": instrument("ETHUSDT")},
        balances={**both.balances, "ETH": eth.qty},
        marks={
            "BTCUSDT": Mark(bar(11, "100")),
            "ETHUSDT": Mark(bar(11, "50", "ETHUSDT")),
        },
        peers={"BTCUSDT": ("ETHUSDT",), "ETHUSDT": ("BTCUSDT",)},
    )
    whole = Decimal(9000 + 1000 + 500)
    assert used(both, "symbol_exposure_max") == 1000 / whole
    assert used(both, "gross_exposure_max") == 1500 / whole
    assert used(both, "bucket_exposure_max") == sum((1000 / whole, 500 / whole), ZERO)


def test_orders_are_counted_now_and_in_the_last_minute():
    """An order of an hour ago is no longer part of the rate."""
    times = (NOON - HOUR, NOON - timedelta(seconds=59), NOON - timedelta(seconds=60))
    counted = state().with_(orders={"a": order("a"), "b": order("b")}, order_times=times)
    assert (used(counted, "orders_open_max"), used(counted, "orders_per_min_max")) == (2, 1)


def test_an_account_without_money_divides_by_nothing():
    """Before the first balance everything is zero and nothing fails."""
    empty = State()
    shown = overview(empty, NOON)
    assert (shown.equity, shown.today, shown.drawdown, shown.positions, shown.bars) == (0, 0, 0, (), ())
    assert used(empty, "symbol_exposure_max") == 0


def test_trading_state_and_proposals_are_shown():
    """The first thing the owner wants to know is whether it trades."""
    halted = Trading(TradingState.HALTED, "panic button", START)
    asked = state().with_(trading=halted, proposals={"x": _proposal()})
    assert (overview(asked, NOON).trading, overview(asked, NOON).proposals) == (halted, 1)


def _proposal() -> Proposal:
    asking = State()
    for event in (*opening(approve_auto=False), seen(0)):
        asking, _ = step(asking, event)
    (proposal,) = asking.proposals.values()
    return proposal


def held_with(stop: Order, **changes: object) -> PositionLine:
    """A position with this stop on the books, as it is shown."""
    bought = replace(position(fill(Side.BUY, "10", "100")), **changes)  # type: ignore[arg-type]
    return position_line(state(bought).with_(orders={stop.client_id: stop}), bought)


STOP = replace(order("fm-1-s0"), purpose=Purpose.STOP, side=Side.SELL, state=OrderState.OPEN)


@pytest.mark.parametrize("shown", [OrderState.OPEN, OrderState.PARTIAL])
def test_a_stop_that_the_exchange_has_shown_stands(shown):
    """Open or partly filled, it protects."""
    assert held_with(replace(STOP, state=shown)).stands


@pytest.mark.parametrize(
    "stop",
    [
        *(replace(STOP, state=s) for s in (OrderState.PLANNED, OrderState.MAYBE_SENT, OrderState.EXPIRED)),
        replace(STOP, purpose=Purpose.TARGET),
    ],
    ids=["planned", "in doubt", "ended", "target only"],
)
def test_what_is_not_proven_does_not_stand(stop):
    """A plan, a doubt and a target are no protection."""
    assert not held_with(stop).stands


def test_a_stop_that_was_asked_to_go_or_that_nothing_shows_does_not_stand():
    """While the pair is replaced, and after the owner was alarmed."""
    moving = held_with(STOP, cancel_at=NOON)
    assert (moving.stands, moving.moving) == (False, True)
    late = held_with(STOP, cancel_at=NOON, alarmed=True)
    assert (late.stands, late.moving) == (False, False)
    assert not held_with(STOP, cancel_at=NOON, leaving="time").moving


def test_a_leg_that_waits_for_its_entry_does_not_stand():
    """The exchange holds it back until the entry has filled whole."""
    entry = replace(order("fm-1-e0"), state=OrderState.OPEN)
    bought = position(fill(Side.BUY, "1", "100"))
    orders = {entry.client_id: entry, STOP.client_id: replace(STOP, waits_for=entry.client_id)}
    assert not position_line(state(bought).with_(orders=orders), bought).stands


def test_every_doubt_is_one_sentence():
    """An order of unknown fate, balances that differ; nothing where nothing is in doubt."""
    assert overview(state(), NOON).doubts == ()
    lost = replace(order("fm-1-x0"), state=OrderState.MAYBE_SENT)
    doubt = Doubt((("BTC", Decimal("-0.5")), ("USDT", Decimal(7))), NOON)
    assert overview(state().with_(orders={"fm-1-x0": lost}, doubt=doubt), NOON).doubts == (
        "Whether order fm-1-x0 exists at the exchange is not known yet.",
        "The exchange's balances differ from my books since 12:00 UTC: BTC -0.5, USDT +7.",
    )
