"""Ready-made values for the tests of the store: times, bars, a short story of events, open databases."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.adapters.columns import Columns
from core.adapters.db import Database
from core.adapters.migrate import migrate
from core.domain import events as ev
from core.domain.forecast import Contribution, Forecast
from core.domain.market import Bar, Instrument, from_ms
from core.domain.orders import Fill, Side
from core.domain.state import Config

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
BTC = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    qty_min=Decimal("0.00001"),
    notional_min=Decimal(5),
    lists=False,
)


@contextlib.asynccontextmanager
async def opened(folder: Path, family: str) -> AsyncIterator[Database]:
    """A migrated database of a family, closed at the end."""
    path = folder / f"{family}.db"
    migrate(path, family)
    db = await Database.open(path, durable=family == "main")
    try:
        yield db
    finally:
        await db.close()


def bar(hour: int, close: str = "101.5", symbol: str = "BTCUSDT") -> Bar:
    """The hourly bar ``hour`` hours after START."""
    low, high = Decimal(90), Decimal(200)
    return Bar(symbol, START + hour * HOUR, HOUR, Decimal(100), high, low, Decimal(close), Decimal("3.25"))


def columns(hours: range, symbol: str = "BTCUSDT", price: float = 100.0, start: datetime = START) -> Columns:
    """Hourly bars at these hours after START, each with a volume of its own."""
    made = Columns(symbol, HOUR_MS)
    first = (start - from_ms(0)) // timedelta(milliseconds=1)
    for hour in hours:
        made.append(first + hour * HOUR_MS, (price, price + 1, price - 1, price + 0.5, float(hour)))
    return made


def forecast(hour: int) -> Forecast:
    """A forecast good enough to buy on."""
    return Forecast(
        symbol="BTCUSDT",
        bar_open_at=START + hour * HOUR,
        fires=True,
        p_win=0.7,
        p_low=0.65,
        win_move=0.04,
        loss_move=0.02,
        horizon_bars=24,
        samples=200,
        volatility=0.5,
        model_id="rule-1",
        contributions=(Contribution("trend", 1.25, 0.5, "the trend is up"),),
    )


def fill(trade_id: str, client_id: str, side: Side, qty: Decimal, price: str, at: datetime) -> Fill:
    """One trade without a fee."""
    return Fill("BTCUSDT", trade_id, client_id, side, qty, Decimal(price), Decimal(0), "USDT", at)


def opening() -> list[ev.Event]:
    """Configuration, rules and balances: the first events of any life."""
    return [
        ev.Configured(START, "start", Config(approve_auto=True)),
        ev.InstrumentsSeen(START, "start", {"BTCUSDT": BTC}),
        ev.BalancesSeen(START, "start", {"USDT": Decimal(10_000)}),
    ]
