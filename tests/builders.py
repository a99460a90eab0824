"""Builders of the nouns with round numbers: one call a value, and any field may be named to differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.decide.step import step
from core.domain import events as ev
from core.domain.forecast import Forecast
from core.domain.market import Bar, Instrument
from core.domain.orders import Fill, Order, OrderKind, Purpose, Side, Wanted
from core.domain.state import Config, Limits, Position, State

D = Decimal
START = datetime(2024, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CASH = D(10_000)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT")


def an_instrument(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    """A pair against USDT: cents, thousandths, five dollars at least, no lists: an entry at market, then its pair."""
    made = Instrument(symbol, symbol.removesuffix("USDT"), "USDT", D("0.01"), D("0.001"), D("0.001"), D(5), lists=False)
    return replace(made, **changes)


def with_lists(symbol: str = "BTCUSDT", **changes: Any) -> Instrument:
    """The same pair where an entry brings its stop and target with it, trailing between 0.1 % and 20 %."""
    return an_instrument(symbol, **{"lists": True, "trail_min_bips": 10, "trail_max_bips": 2000, **changes})


def a_bar(symbol: str = "BTCUSDT", hour: int = 0, close: str | Decimal = "100") -> Bar:
    """The hourly bar that opens ``hour`` hours after START and does nothing but close."""
    price = D(close)
    return Bar(symbol, START + hour * HOUR, HOUR, price, price, price, price, D(1000))


def a_forecast(symbol: str = "BTCUSDT", hour: int = 0, **changes: Any) -> Forecast:
    """A forecast good enough to buy the most that one symbol may have: win 4 %, lose 2 %, within 12 bars."""
    made = Forecast(
        symbol=symbol,
        bar_open_at=START + hour * HOUR,
        fires=True,
        p_win=0.6,
        p_low=0.55,
        win_move=0.04,
        loss_move=0.02,
        horizon_bars=12,
        samples=200,
        volatility=0.5,
        model_id="rule-1",
    )
    return replace(made, **changes)


def a_wanted(
    symbol: str = "BTCUSDT", qty: str | Decimal = "10", price: str | Decimal = "100", **changes: Any
) -> Wanted:
    """An entry with the barriers of ``a_forecast`` around ``price``."""
    ref = D(price)
    made = Wanted(symbol, Side.BUY, D(qty), ref, ref * D("0.98"), ref * D("1.04"), 12, a_forecast(symbol), ())
    return replace(made, **changes)


def an_order(client_id: str = "fm-BTCUSDT-1-e0", **changes: Any) -> Order:
    """A market buy of one coin, planned."""
    made = Order(client_id, "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.ENTRY, D(1), START)
    return replace(made, **changes)


def a_position(symbol: str = "BTCUSDT", **changes: Any) -> Position:
    """Ten coins bought at 100 without a fee, as ``a_wanted`` asks for."""
    made = Position(
        symbol,
        f"{symbol}-1",
        D(98),
        D(104),
        12,
        START,
        qty=D(10),
        cost=D(1000),
        bought_qty=D(10),
        bought_quote=D(1000),
    )
    return replace(made, **changes)


def a_fill(
    order: Order, qty: str | Decimal = "", price: str | Decimal = "100", trade_id: int = 1, **changes: Any
) -> Fill:
    """A trade of ``order``, of all that is left of it unless ``qty`` says less, without a fee."""
    amount = D(qty) if qty else order.remaining
    made = Fill(order.symbol, str(trade_id), order.client_id, order.side, amount, D(price), D(0), "USDT", START)
    return replace(made, **changes)


def a_config(**changes: Any) -> Config:
    """The configuration of an assistant that orders by itself."""
    return replace(Config(install="fm", approve_auto=True), **changes)


def a_state(
    *,
    balances: Mapping[str, Decimal] | None = None,
    instruments: Mapping[str, Instrument] | None = None,
    limits: Limits | None = None,
    config: Config | None = None,
) -> State:
    """A machine that has just started with 10,000 USDT, four pairs and no bar yet."""
    rules = instruments or {symbol: an_instrument(symbol) for symbol in SYMBOLS}
    wished = config or a_config()
    state, _ = step(State(), ev.Configured(START, "start", replace(wished, limits=limits) if limits else wished))
    state, _ = step(state, ev.InstrumentsSeen(START, "start", rules))
    state, _ = step(state, ev.BalancesSeen(START, "start", balances or {"USDT": CASH}))
    return state


def seen(bar: Bar, forecast: Forecast | None = None, **changes: Any) -> ev.BarSeen:
    """The event of ``bar`` at the second it closed."""
    return replace(ev.BarSeen(bar.close_at, f"bar:{bar.symbol}", bar, forecast, "" if forecast else "quiet"), **changes)
