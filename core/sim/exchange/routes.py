"""Every REST path of the exchange in one table.

Rule 1: a route names its weight, who may ask, and the function that answers; the gate in ``rest`` does the rest.
Rule 2: a key that lacks the right for a request is answered like no key at all.
Rule 3: ``/sim/v1`` is ours, outside Binance's API: it moves the clock, changes the world and tells the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from core.sim.exchange import outside, private, public
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


def _with(right: str, answer: Answer) -> Answer:
    """``answer`` for a key that has this right; -2015 for another."""

    def asked(ex: SimExchange, q: Params) -> object:
        if not ex.rights[right]:
            raise fail("key")
        return answer(ex, q)

    return asked


def _reads(answer: Answer, weight: int) -> Route:
    return Route(_with("enableReading", answer), weight, Who.SIGNED)


def _trades(answer: Answer, weight: int, orders: int = 0) -> Route:
    return Route(_with("enableSpotAndMarginTrading", answer), weight, Who.SIGNED, orders)


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
    ("GET", "/api/v3/account"): _reads(private.account, 20),
    ("POST", "/api/v3/order"): _trades(private.new_order, 1, 1),
    ("POST", "/api/v3/order/test"): _trades(private.test_order, 1),
    ("GET", "/api/v3/order"): _reads(private.get_order, 4),
    ("DELETE", "/api/v3/order"): _trades(private.cancel_order, 1),
    ("GET", "/api/v3/openOrders"): _reads(private.open_orders, 6),
    ("DELETE", "/api/v3/openOrders"): _trades(private.cancel_open_orders, 1),
    ("GET", "/api/v3/allOrders"): _reads(private.all_orders, 20),
    ("GET", "/api/v3/myTrades"): _reads(private.my_trades, 20),
    ("POST", "/api/v3/orderList/oco"): _trades(private.new_oco, 1, 2),
    ("POST", "/api/v3/orderList/oto"): _trades(private.new_oto, 1, 2),
    ("POST", "/api/v3/orderList/otoco"): _trades(private.new_otoco, 1, 3),
    ("GET", "/api/v3/orderList"): _reads(private.get_list, 4),
    ("DELETE", "/api/v3/orderList"): _trades(private.cancel_list, 1),
    ("GET", "/api/v3/openOrderList"): _reads(private.open_lists, 6),
    ("GET", "/api/v3/allOrderList"): _reads(private.all_lists, 20),
    ("GET", "/sapi/v1/account/apiRestrictions"): Route(private.api_restrictions, 1, Who.SIGNED),
    ("GET", "/sim/v1/state"): Route(outside.state, 0),
    ("GET", "/sim/v1/truth"): Route(outside.truth, 0),
    ("POST", "/sim/v1/advance"): Route(outside.advance, 0),
    ("POST", "/sim/v1/deposit"): Route(outside.deposit, 0),
    ("POST", "/sim/v1/withdraw"): Route(outside.withdraw, 0),
    ("POST", "/sim/v1/foreign_order"): Route(outside.foreign_order, 0),
    ("POST", "/sim/v1/status"): Route(outside.set_status, 0),
    ("POST", "/sim/v1/rules"): Route(outside.set_rules, 0),
    ("POST", "/sim/v1/fees"): Route(outside.set_fees, 0),
    ("POST", "/sim/v1/rights"): Route(outside.set_rights, 0),
    ("POST", "/sim/v1/revoke_key"): Route(outside.revoke_key, 0),
}
