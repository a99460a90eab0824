"""Every REST path of the exchange in one table.

Rule 1: a route names its weight, who may ask, and the function that answers; the gate in ``rest`` does the rest.
Rule 2: ``/sim/v1`` is ours, outside Binance's API: it moves and shows the clock of an exchange in lock-step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from core.domain.market import to_ms
from core.sim.exchange import private, public
from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params
from core.sim.exchange.world import SimExchange

Answer = Callable[[SimExchange, Params], object]


class Who(Enum):
    """Who may ask."""

    ANYONE = 0
    SIGNED = 1


@dataclass(frozen=True, slots=True)
class Route:
    """How one request is answered; ``orders`` counts against the order limit."""

    answer: Answer
    weight: int
    who: Who = Who.ANYONE
    orders: int = 0


def sim_state(ex: SimExchange, q: Params) -> object:
    """Time, market and our ledger's totals."""
    now_ms = ex.now_ms()
    totals = {asset: str(amount) for asset, amount in ex.totals().items()}
    symbols = list(ex.market.symbols)
    return {"time": now_ms, "market": ex.market.label, "symbols": symbols, "lockstep": ex.lockstep, "totals": totals}


def sim_advance(ex: SimExchange, q: Params) -> object:
    """Move on by one bar, or ``bars`` of them; ``time`` is null at the end of the record."""
    if not ex.lockstep:
        raise fail("running")
    at = None
    for _ in range(q.number("bars", 1, most=1000)):
        at = ex.advance()
    return {"time": None if at is None else to_ms(at)}


_SIGNED = Who.SIGNED
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/api/v3/ping"): Route(public.ping, 1),
    ("GET", "/api/v3/time"): Route(public.server_time, 1),
    ("GET", "/api/v3/exchangeInfo"): Route(public.exchange_info, 20),
    ("GET", "/api/v3/klines"): Route(public.klines, 2),
    ("GET", "/api/v3/uiKlines"): Route(public.klines, 2),
    ("GET", "/api/v3/depth"): Route(public.depth, 5),
    ("GET", "/api/v3/trades"): Route(public.trades, 25),
    ("GET", "/api/v3/aggTrades"): Route(public.agg_trades, 4),
    ("GET", "/api/v3/avgPrice"): Route(public.average_price, 2),
    ("GET", "/api/v3/ticker/price"): Route(public.ticker_price, 2),
    ("GET", "/api/v3/ticker/bookTicker"): Route(public.ticker_book, 2),
    ("GET", "/api/v3/ticker/24hr"): Route(public.ticker_day, 2),
    ("GET", "/api/v3/account"): Route(private.account, 20, _SIGNED),
    ("POST", "/api/v3/order"): Route(private.new_order, 1, _SIGNED, 1),
    ("POST", "/api/v3/order/test"): Route(private.test_order, 1, _SIGNED),
    ("GET", "/api/v3/order"): Route(private.get_order, 4, _SIGNED),
    ("DELETE", "/api/v3/order"): Route(private.cancel_order, 1, _SIGNED),
    ("GET", "/api/v3/openOrders"): Route(private.open_orders, 6, _SIGNED),
    ("DELETE", "/api/v3/openOrders"): Route(private.cancel_open_orders, 1, _SIGNED),
    ("GET", "/api/v3/allOrders"): Route(private.all_orders, 20, _SIGNED),
    ("GET", "/api/v3/myTrades"): Route(private.my_trades, 20, _SIGNED),
    ("POST", "/api/v3/orderList/oco"): Route(private.new_oco, 1, _SIGNED, 2),
    ("POST", "/api/v3/orderList/oto"): Route(private.new_oto, 1, _SIGNED, 2),
    ("POST", "/api/v3/orderList/otoco"): Route(private.new_otoco, 1, _SIGNED, 3),
    ("GET", "/api/v3/orderList"): Route(private.get_list, 4, _SIGNED),
    ("DELETE", "/api/v3/orderList"): Route(private.cancel_list, 1, _SIGNED),
    ("GET", "/api/v3/openOrderList"): Route(private.open_lists, 6, _SIGNED),
    ("GET", "/api/v3/allOrderList"): Route(private.all_lists, 20, _SIGNED),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(private.api_restrictions, 1, _SIGNED),
    ("GET", "/sim/v1/state"): Route(sim_state, 0),
    ("POST", "/sim/v1/advance"): Route(sim_advance, 0),
}
