"""The gate: core.decide.risk, limit by limit and all of them under random play."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decide.ledger import equity, exposure
from core.decide.placing import RATE_WINDOW
from core.decide.risk import gate
from core.decide.signal import want
from core.domain.market import ZERO
from core.domain.orders import Approved, Order, OrderKind, OrderState, Purpose, Refusal, Side, Wanted
from core.domain.state import Day, Doubt, Limits, Mark, State, Trading, TradingState
from tests.builders import (
    HOUR,
    START,
    SYMBOLS,
    a_bar,
    a_forecast,
    a_position,
    a_state,
    a_wanted,
    an_instrument,
    an_order,
)

D = Decimal
NOW = START + HOUR


def a_market(limits: Limits | None = None, peers: dict[str, tuple[str, ...]] | None = None, **changes: Any) -> State:
    """10,000 USDT, four pairs at 100 each, every bar fresh."""
    marks = {s: Mark(a_bar(s)) for s in SYMBOLS}
    day = Day(NOW.date(), D(10_000), D(10_000))
    return a_state(limits=limits).with_(marks=marks, peers=peers or {}, day=day, **changes)


def code(verdict: Approved | Refusal) -> str:
    """The refusal's code, or what was approved."""
    return verdict.code if isinstance(verdict, Refusal) else f"buy {verdict.qty}"


def holding(state: State, **worth: int) -> State:
    """``state`` with positions of this worth, paid for out of its cash."""
    spent = sum(worth.values())
    positions = {f"{k}USDT": a_position(f"{k}USDT", qty=D(v) / 100, bought_qty=D(v) / 100) for k, v in worth.items()}
    coins = {name: D(value) / 100 for name, value in worth.items()}
    return state.with_(positions=positions, balances={"USDT": state.balances["USDT"] - spent, **coins})


def waiting(purpose: Purpose, count: int, state: OrderState = OrderState.OPEN) -> dict[str, Order]:
    """Live orders of one purpose on another symbol."""
    side = Side.BUY if purpose is Purpose.ENTRY else Side.SELL
    made = [
        an_order(f"o{purpose.value}{i}", symbol="SOLUSDT", purpose=purpose, side=side, state=state, qty=D("0.01"))
        for i in range(count)
    ]
    return {o.client_id: o for o in made}


def test_a_wish_within_every_limit_is_approved_whole():
    """What every limit allows is ordered as it was wanted."""
    assert gate(a_market(), a_wanted(qty="10"), NOW) == Approved(a_wanted(qty="10"), D(10))


# every limit: what it says when it is loose, what it says when it is tight, and what the state looks like
SCENES: dict[str, tuple[State, Any, str, Any, str]] = {
    "day_loss_max": (
        a_market().with_(day=Day(NOW.date(), D(10_200), D(10_200))), D("0.03"), "buy 10", D("0.01"), "DAY_LOSS"
    ),
    "drawdown_max": (
        a_market().with_(day=Day(NOW.date(), D(10_000), D(11_000))), D("0.15"), "buy 10", D("0.05"), "DRAWDOWN"
    ),
    "symbol_exposure_max": (a_market(), D("0.20"), "buy 10", D("0.05"), "buy 4.975"),
    "bucket_exposure_max": (
        holding(a_market(peers={"ETHUSDT": ("BTCUSDT",)}), ETH=1500), D("0.40"), "buy 10", D("0.20"), "buy 4.975"
    ),
    "gross_exposure_max": (holding(a_market(), ETH=1500), D("0.60"), "buy 10", D("0.20"), "buy 4.975"),
    "orders_open_max": (a_market().with_(orders=waiting(Purpose.STOP, 5)), 8, "buy 10", 7, "ORDERS_OPEN"),
    "orders_per_min_max": (a_market().with_(order_times=(NOW,) * 5), 8, "buy 10", 7, "ORDER_RATE"),
    "stale_bars": (
        a_market().with_(marks={"BTCUSDT": Mark(a_bar(hour=-2))}), 2, "buy 10", 1, "STALE_DATA"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENES)
def test_tightening_a_limit_changes_the_decision(name: str):
    """Each limit decides: the same wish passes under the loose one and is cut or refused under the tight one."""
    state, loose, passes, tight, stops = SCENES[name]
    wide = replace(Limits(), **{name: loose})
    assert code(gate(state.with_(limits=wide), a_wanted(), NOW)) == passes
    assert code(gate(state.with_(limits=replace(wide, **{name: tight})), a_wanted(), NOW)) == stops


@pytest.mark.parametrize(
    ("name", "day"),
    [("day_loss_max", Day(NOW.date(), D(12_500), ZERO)), ("drawdown_max", Day(NOW.date(), ZERO, D(12_500)))],
)
def test_a_limit_that_is_just_reached_refuses(name: str, day: Day):
    """A limit of 20 % is used up at a loss of 20 %, not only beyond it."""
    at_the_limit, a_little_above = (replace(Limits(), **{name: D(value)}) for value in ("0.2", "0.2001"))
    assert isinstance(gate(a_market(at_the_limit).with_(day=day), a_wanted(), NOW), Refusal)
    assert isinstance(gate(a_market(a_little_above).with_(day=day), a_wanted(), NOW), Approved)


@pytest.mark.parametrize(
    ("name", "loose", "tight"), [("kelly_fraction", "0.01", "0.005"), ("target_volatility", "0.5", "0.1")]
)
def test_tightening_how_it_is_sized_changes_the_wish(name: str, loose: str, tight: str):
    """The two limits that size rather than stop make the wish itself smaller."""
    calm = Limits(kelly_fraction=D("0.01"), target_volatility=D("0.5"))
    sizes = []
    for value in (loose, tight):
        state = a_market(replace(calm, **{name: D(value)}))
        wanted, _ = want(state, a_bar(), a_forecast(), "")
        assert isinstance(wanted, Wanted)
        sizes.append(wanted.qty)
    assert sizes[1] < sizes[0]


def test_every_limit_has_a_scene():
    """No limit can be added without showing what it decides."""
    assert {spec.name for spec in fields(Limits)} == {*SCENES, "kelly_fraction", "target_volatility"}


@pytest.mark.parametrize("trading", [TradingState.REDUCING, TradingState.HALTED])
def test_nothing_is_bought_while_trading_is_not_active(trading: TradingState):
    """A pause or a halt refuses every entry and names its reason."""
    refusal = gate(a_market(trading=Trading(trading, "a test", START)), a_wanted(), NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.code == f"TRADING_{trading}"
    assert "a test" in refusal.sentence


def test_a_symbol_that_does_not_trade_is_refused():
    """A pair the exchange has closed is not bought."""
    closed = {**a_market().instruments, "BTCUSDT": an_instrument(status="BREAK")}
    assert code(gate(a_market().with_(instruments=closed), a_wanted(), NOW)) == "SYMBOL_CLOSED"


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"sell_price_min": D("0.97")}, "buy 10"),
        ({"sell_price_min": D("0.976")}, "PRICE_BOUNDS"),
        ({"sell_price_max": D("1.04")}, "buy 10"),
        ({"sell_price_max": D("1.039")}, "PRICE_BOUNDS"),
        ({"buy_price_max": D("1.005")}, "buy 10"),
        ({"buy_price_max": D("1.004")}, "PRICE_BOUNDS"),
        ({"price_min": D("97.52")}, "PRICE_BOUNDS"),
        ({"price_max": D("103.99")}, "PRICE_BOUNDS"),
        ({"stops_max": 0}, "TOO_FEW_ORDERS"),
        ({"orders_max": 2}, "TOO_FEW_ORDERS"),
        ({"orders_max": 3, "stops_max": 1}, "buy 10"),
    ],
)
def test_what_the_exchange_would_not_take_is_not_offered(bound: dict[str, Any], verdict: str):
    """An entry whose limit, stop or target the exchange's own bounds refuse shows no button."""
    bounded = {**a_market().instruments, "BTCUSDT": an_instrument(**bound)}
    assert code(gate(a_market().with_(instruments=bounded), a_wanted(), NOW)) == verdict


@pytest.mark.parametrize("bound", ["qty_max", "market_qty_max"])
def test_a_quantity_the_exchange_takes_no_more_of_is_cut_to_that(bound: str):
    """What one order may hold, and one market sale may leave with, is all that is bought."""
    rules = {**a_market().instruments, "BTCUSDT": an_instrument(**{bound: D(4)})}
    assert code(gate(a_market().with_(instruments=rules), a_wanted(), NOW)) == "buy 4"


def test_a_request_that_brings_its_legs_is_counted_with_them_once():
    """Stop and target that are on their way with their entry are not reserved a second time."""
    entry = an_order("e", symbol="SOLUSDT", qty=D("0.01"))
    sale = {"symbol": "SOLUSDT", "side": Side.SELL, "qty": D("0.01"), "waits_for": "e"}
    legs = [an_order("s", purpose=Purpose.STOP, **sale), an_order("t", purpose=Purpose.TARGET, **sale)]
    orders = {o.client_id: o for o in (entry, *legs)}
    state = a_market(Limits(orders_open_max=6)).with_(orders=orders)
    assert code(gate(state, a_wanted(), NOW)) == "buy 10"
    assert code(gate(state.with_(limits=Limits(orders_open_max=5)), a_wanted(), NOW)) == "ORDERS_OPEN"


def test_money_the_exchange_does_not_show_any_more_is_not_spent():
    """What may have left the account sizes and buys nothing before it is explained."""
    doubt = Doubt((("USDT", D(-9_000)),), NOW)
    assert code(gate(a_market(doubt=doubt), a_wanted(), NOW)) == "buy 1.990"


@given(st.integers(0, 6), st.integers(0, 6))
def test_the_first_entries_with_real_money_are_smaller(entries: int, first: int):
    """So many first entries are cut to their share; the one after them is not."""
    config = replace(a_market().config, first_trades=first, first_share=D("0.25"))
    state = a_market(Limits(kelly_fraction=D("0.01"))).with_(config=config, entries=entries)
    wanted, steps = want(state, a_bar(), a_forecast(), "")
    whole, _ = want(state.with_(entries=first), a_bar(), a_forecast(), "")
    assert isinstance(wanted, Wanted)
    assert isinstance(whole, Wanted)
    small = entries < first
    assert abs(wanted.qty - (whole.qty / 4 if small else whole.qty)) < D("0.001")
    assert (steps[-1].name == "first trades") is small


def test_a_symbol_never_seen_is_stale():
    """Without a single bar there is nothing to decide on."""
    assert code(gate(a_market().with_(marks={}), a_wanted(), NOW)) == "STALE_DATA"


def test_what_is_on_its_way_counts_as_held():
    """A buy that is still open uses up room as if it were filled."""
    order = an_order(qty=D(15), state=OrderState.OPEN)
    state = a_market().with_(orders={order.client_id: order})
    assert code(gate(state, a_wanted(), NOW)) == "buy 4.975"


def test_a_buy_that_has_ended_uses_no_room():
    """A refused or cancelled buy gives its room back."""
    order = an_order(qty=D(15), state=OrderState.CANCELED)
    assert code(gate(a_market().with_(orders={order.client_id: order}), a_wanted(), NOW)) == "buy 10"


def test_cash_that_is_not_there_is_not_spent():
    """An entry is cut to the cash that no other buy has been promised."""
    state = holding(a_market(Limits(gross_exposure_max=D(1))), ETH=9500)
    assert code(gate(state, a_wanted(), NOW)) == "buy 4.975"


@pytest.mark.parametrize("worth", ["4.9", "5.0", "5.09"])
def test_what_could_not_be_protected_is_not_bought(worth: str):
    """An entry whose stop order would fall below the exchange's minimum is refused as too small."""
    assert code(gate(a_market(), a_wanted(qty=D(worth) / 100), NOW)) == "BELOW_MINIMUM"


def test_a_buy_counts_with_the_stop_and_target_it_will_need():
    """Buys that are still on their way have their pairs reserved, so that the open orders stay within the limit."""
    state = a_market(Limits(orders_open_max=8)).with_(orders=waiting(Purpose.ENTRY, 2))
    assert code(gate(state, a_wanted(), NOW)) == "ORDERS_OPEN"
    assert code(gate(state.with_(limits=Limits(orders_open_max=9)), a_wanted(), NOW)) == "buy 10"


def test_the_order_rate_counts_the_pairs_still_to_come():
    """Buys of this minute have their stop and target counted into the minute, for protection cannot wait."""
    state = a_market(Limits(orders_per_min_max=8)).with_(orders=waiting(Purpose.ENTRY, 2), order_times=(NOW, NOW))
    assert code(gate(state, a_wanted(), NOW)) == "ORDER_RATE"
    assert code(gate(state.with_(limits=Limits(orders_per_min_max=9)), a_wanted(), NOW)) == "buy 10"


def test_orders_of_more_than_a_minute_ago_are_forgotten():
    """The order rate looks back one minute, to the second."""
    limits = Limits(orders_per_min_max=3)
    state = a_market(limits).with_(order_times=(NOW - RATE_WINDOW,))
    assert code(gate(state, a_wanted(), NOW)) == "buy 10"
    assert code(gate(state, a_wanted(), NOW - timedelta(microseconds=1))) == "ORDER_RATE"


@pytest.mark.parametrize("wanted_knows", [True, False])
def test_a_bucket_counts_whoever_of_the_two_knows_of_the_other(wanted_knows: bool):
    """Two symbols are in one bucket when either of them says so."""
    peers = {"BTCUSDT": ("ETHUSDT",)} if wanted_knows else {"ETHUSDT": ("BTCUSDT",)}
    state = holding(a_market(Limits(bucket_exposure_max=D("0.2")), peers), ETH=1500)
    assert code(gate(state, a_wanted(), NOW)) == "buy 4.975"


def test_an_entry_never_overfills_the_bucket_of_a_symbol_already_held():
    """The bucket of each held symbol keeps its limit, not only the bucket of the newcomer."""
    peers = {"ETHUSDT": ("BTCUSDT", "BNBUSDT"), "BTCUSDT": ("ETHUSDT",)}
    state = holding(a_market(peers=peers), ETH=1900, BNB=1900)
    assert code(gate(state, a_wanted(), NOW)) == f"buy {D('1.990')}"


shares = st.sampled_from([D("0.1"), D("0.3"), D(1)])
few = st.sampled_from([0, 0, 0, 1, 2])


@st.composite
def gated(draw: st.DrawFn) -> tuple[State, Wanted]:
    """Any limits, any holdings and open buys, any buckets, any wish, at any prices."""
    limits = Limits(
        symbol_exposure_max=draw(shares),
        gross_exposure_max=draw(shares),
        bucket_exposure_max=draw(shares),
        orders_open_max=draw(st.sampled_from([6, 9, 20])),
        orders_per_min_max=draw(st.sampled_from([3, 6, 20])),
        day_loss_max=draw(st.sampled_from([D("0.05"), D(1)])),
        drawdown_max=draw(st.sampled_from([D("0.05"), D(1)])),
        stale_bars=draw(st.integers(1, 3)),
    )
    prices = {s: D(draw(st.sampled_from([50, 100, 199]))) for s in SYMBOLS}
    peers = {s: draw(st.sampled_from([(), (SYMBOLS[0],), SYMBOLS[1:3]])) for s in SYMBOLS}
    held = {
        s: a_position(s, qty=D(draw(st.sampled_from([20, 60]))))
        for s in draw(st.sets(st.sampled_from(SYMBOLS[1:])))
    }  # fmt: skip
    buys = waiting(Purpose.ENTRY, draw(few)) | waiting(Purpose.STOP, draw(few))
    if any(o.purpose is Purpose.ENTRY for o in buys.values()):
        held.setdefault("SOLUSDT", a_position("SOLUSDT", qty=ZERO))
    start, peak = (D(draw(st.sampled_from([5000, 10_500]))) for _ in range(2))
    state = a_market(limits).with_(
        marks={s: Mark(a_bar(s, -draw(few), prices[s])) for s in SYMBOLS},
        peers=peers,
        positions=held,
        orders=buys,
        balances={"USDT": D(draw(st.sampled_from([500, 10_000])))},
        day=Day(NOW.date(), start, peak),
        order_times=tuple(NOW - timedelta(seconds=draw(st.sampled_from([1, 59, 60]))) for _ in range(draw(few))),
        trading=Trading(draw(st.sampled_from([TradingState.ACTIVE] * 4 + [TradingState.HALTED]))),
    )
    price = prices["BTCUSDT"]
    return state, a_wanted(qty=D(draw(st.sampled_from([1, 30, 200]))), price=price)


@settings(max_examples=400)
@given(gated())
def test_a_limit_once_set_is_never_exceeded(case: tuple[State, Wanted]):
    """Whatever is approved, no exposure, no loss, no count of orders and no age is then beyond its limit."""
    state, wanted = case
    verdict = gate(state, wanted, NOW)
    if isinstance(verdict, Refusal):
        assert verdict.code
        assert verdict.sentence.endswith(".")
        return
    limits, whole = state.limits, equity(state)
    order = an_order(qty=verdict.qty, state=OrderState.PLANNED, kind=OrderKind.MARKET)
    after = state.with_(orders={**state.orders, order.client_id: order})
    worth = {s: exposure(after, s) for s in SYMBOLS}
    assert 0 < verdict.qty <= wanted.qty
    assert verdict.qty % D("0.001") == 0
    assert worth["BTCUSDT"] <= limits.symbol_exposure_max * whole
    assert sum(worth.values()) <= limits.gross_exposure_max * whole
    for symbol in SYMBOLS:
        bucket = {symbol, *state.peers[symbol]}
        if "BTCUSDT" in bucket and (symbol == "BTCUSDT" or worth[symbol]):
            assert sum(worth[s] for s in bucket) <= limits.bucket_exposure_max * whole
    assert verdict.qty * wanted.ref_price <= state.balances["USDT"]
    recent = sum(NOW - t < RATE_WINDOW for t in state.order_times) + 1
    buys = sum(o.purpose is Purpose.ENTRY for o in after.orders.values())
    assert len(after.orders) + 2 * buys <= limits.orders_open_max
    assert recent + 2 * buys <= limits.orders_per_min_max
    assert state.trading.state is TradingState.ACTIVE
    assert (state.day.start_equity - whole) / state.day.start_equity < limits.day_loss_max
    assert max(ZERO, state.day.peak_equity - whole) / state.day.peak_equity < limits.drawdown_max
    bar = state.marks["BTCUSDT"].bar
    assert NOW - bar.close_at <= bar.span * limits.stale_bars
