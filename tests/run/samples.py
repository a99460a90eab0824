"""Ready-made values for the tests of the shell: one pair, bars by the hour, forecasts good enough to buy on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.domain import events as ev
from core.domain.forecast import Contribution, Forecast
from core.domain.market import Bar, Instrument
from core.domain.orders import Order, OrderKind, Purpose, Side
from core.domain.state import Config, State

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CASH = Decimal(10_000)


def instrument(symbol: str = "BTCUSDT", fee: str = "0", *, lists: bool = False) -> Instrument:
    """The rules of one pair against USDT; with ``lists`` an entry brings its stop and target with it."""
    return Instrument(
        symbol=symbol,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        qty_min=Decimal("0.00001"),
        notional_min=Decimal(5),
        maker_fee=Decimal(fee),
        taker_fee=Decimal(fee),
        lists=lists,
    )


def bar(hour: int, close: str = "100", symbol: str = "BTCUSDT") -> Bar:
    """The hourly bar that opens ``hour`` hours after START."""
    price = Decimal(close)
    return Bar(symbol, START + hour * HOUR, HOUR, price, price * 2, price / 2, price, Decimal(1000))


def forecast(of: Bar, p_low: float = 0.65) -> Forecast:
    """A forecast about ``of`` that is worth an entry: 4 % up against 2 % down."""
    return Forecast(
        symbol=of.symbol,
        bar_open_at=of.open_at,
        fires=True,
        p_win=max(p_low, 0.7),
        p_low=p_low,
        win_move=0.04,
        loss_move=0.02,
        horizon_bars=24,
        samples=200,
        volatility=0.5,
        model_id="rule:test@1",
        contributions=(Contribution("trend", 1.25, 0.5, "the trend is up"),),
    )


def seen(hour: int, close: str = "100", symbol: str = "BTCUSDT", *, buy: bool = True) -> ev.BarSeen:
    """A bar seen at its close, with a forecast to buy on or with silence."""
    of = bar(hour, close, symbol)
    trace = f"bar:{symbol}:{hour}"
    if buy:
        return ev.BarSeen(of.close_at, trace, of, forecast(of))
    return ev.BarSeen(of.close_at, trace, of, None, "nothing to see")


def opening(*symbols: str, approve_auto: bool = True, fee: str = "0", lists: bool = False) -> list[ev.Event]:
    """Configuration, rules and balances: the first events of any life."""
    names = symbols or ("BTCUSDT",)
    return [
        ev.Configured(START, "start", Config(approve_auto=approve_auto)),
        ev.InstrumentsSeen(START, "start", {name: instrument(name, fee, lists=lists) for name in names}),
        ev.BalancesSeen(START, "start", {"USDT": CASH}),
    ]


def beginnings(*symbols: str) -> list[ev.Event]:
    """No trade of these symbols before now: what a first start learns of each."""
    return [ev.TradesBegan(START, "start", name, -1) for name in symbols or ("BTCUSDT",)]


def paused(update_id: int = 1, hour: int = 0) -> ev.OwnerPaused:
    """The owner's /pause."""
    return ev.OwnerPaused(START + hour * HOUR, f"update:{update_id}", update_id)


def order(
    client_id: str = "fm-1-e0",
    purpose: Purpose = Purpose.ENTRY,
    qty: str = "1",
    symbol: str = "BTCUSDT",
    at: datetime = START,
) -> Order:
    """A market order of ours: a buy where it is an entry, else a sale."""
    side = Side.BUY if purpose is Purpose.ENTRY else Side.SELL
    return Order(client_id, symbol, side, OrderKind.MARKET, purpose, Decimal(qty), at)


def of_purpose(state: State, purpose: Purpose) -> Order:
    """The newest order of this purpose in ``state``."""
    return [each for each in state.orders.values() if each.purpose is purpose][-1]
