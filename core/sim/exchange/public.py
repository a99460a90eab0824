"""Public market data requests: what everybody may ask.

Rule 1: pure reading: exchange and parameters in, JSON-able values out.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from core.decide.venue import Rules
from core.domain.orders import OrderKind
from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params
from core.sim.exchange.show import Json, num
from core.sim.exchange.tape import INTERVALS, Bounds
from core.sim.exchange.world import SimExchange
from core.sim.market import Row

WEIGHT_LIMIT = 6000
ORDERS_PER_10S = 100
LEVELS_MOST = 100


def ping(ex: SimExchange, q: Params) -> object:
    """Nothing, to show that it is there."""
    return {}


def server_time(ex: SimExchange, q: Params) -> object:
    """The exchange's clock."""
    return {"serverTime": ex.now_ms()}


def exchange_info(ex: SimExchange, q: Params) -> object:
    """Rules of one, some or all symbols."""
    limits = (("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_LIMIT), ("ORDERS", "SECOND", 10, ORDERS_PER_10S))
    return {
        "timezone": "UTC",
        "serverTime": ex.now_ms(),
        "rateLimits": [
            {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": limit}
            for kind, unit, count, limit in limits
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_view(ex, symbol) for symbol in asked_symbols(ex, q)],
    }


def asked_symbols(ex: SimExchange, q: Params) -> list[str]:
    """``symbol``, the JSON list ``symbols``, or all."""
    known = ex.market.symbols
    if q.has("symbol"):
        return [q.symbol(known)]
    if not q.has("symbols"):
        return list(known)
    try:
        names = msgspec.json.decode(q.text("symbols"), type=list[str])
    except msgspec.MsgspecError as fault:
        raise fail("illegal", name="symbols", pattern='["A","B"]') from fault
    if any(name not in known for name in names):
        raise fail("symbol")
    return names


def _symbol_view(ex: SimExchange, symbol: str) -> Json:
    rules = ex.terms(symbol).rules
    instrument = rules.instrument
    return {
        "symbol": symbol,
        "status": instrument.status,
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [kind.value for kind in OrderKind],
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": instrument.lists,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": instrument.trail_max_bips > 0,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(rules),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(rules: Rules) -> list[Json]:
    grid = rules.instrument
    multipliers = {
        "bidMultiplierUp": grid.buy_price_max, "bidMultiplierDown": rules.buy_price_min,
        "askMultiplierUp": grid.sell_price_max, "askMultiplierDown": grid.sell_price_min,
    }  # fmt: skip
    shown: list[Json] = [
        {"filterType": "PRICE_FILTER", "minPrice": num(grid.price_min), "maxPrice": num(grid.price_max),
         "tickSize": num(grid.tick)},
        {"filterType": "LOT_SIZE", "minQty": num(grid.qty_min), "maxQty": num(grid.qty_max), "stepSize": num(grid.lot)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": num(0.0), "maxQty": num(grid.market_qty_max),
         "stepSize": num(rules.market_step)},
        {"filterType": "PERCENT_PRICE_BY_SIDE", **{name: format(by, "f") for name, by in multipliers.items()},
         "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": num(grid.notional_min),
         "applyMinToMarket": rules.notional_min_applies_to_market, "maxNotional": num(grid.notional_max),
         "applyMaxToMarket": rules.notional_max_applies_to_market, "avgPriceMins": 5},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": grid.orders_max},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": rules.lists_max},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": grid.stops_max},
    ]  # fmt: skip
    if grid.trail_max_bips:
        shown.append(
            {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": grid.trail_min_bips,
             "maxTrailingAboveDelta": grid.trail_max_bips, "minTrailingBelowDelta": grid.trail_min_bips,
             "maxTrailingBelowDelta": grid.trail_max_bips}
        )  # fmt: skip
    return shown


def klines(ex: SimExchange, q: Params) -> object:
    """Candles, the last one unfinished."""
    symbol = q.symbol(ex.market.symbols)
    interval = INTERVALS.get(q.text("interval"))
    if interval is None or not ex.tape.serves(interval):
        raise fail("interval")
    ex.now_ms()
    limit = max(q.number("limit", 500, most=1000), 1)
    bounds = Bounds(q.optional_number("startTime"), q.optional_number("endTime"), limit)
    return [_kline(row, interval) for row in ex.tape.candles(symbol, interval, bounds)]


def turnover(row: Row) -> float:
    """Quote units traded in a bar: its volume at its typical price."""
    return row.volume * (row.open + row.high + row.low + row.close) / 4


def trade_count(row: Row) -> int:
    """How many trades a bar is said to have had: one per 2,000 quote units, at least one where anything traded."""
    return int(turnover(row) / 2000) + (row.volume > 0)


def _kline(row: Row, interval: int) -> list[object]:
    quote = turnover(row)
    prices = [num(price) for price in row[1:5]]
    end = row.open_ms + interval - 1
    half = [num(row.volume / 2), num(quote / 2), "0"]
    return [row.open_ms, *prices, num(row.volume), end, num(quote), trade_count(row), *half]


def depth(ex: SimExchange, q: Params) -> object:
    """The order book."""
    symbol = q.symbol(ex.market.symbols)
    now_ms = ex.now_ms()
    bids, asks = ex.tape.book(symbol, max(q.number("limit", LEVELS_MOST, most=LEVELS_MOST), 1))
    sides = [[[num(price), num(qty)] for price, qty in side] for side in (bids, asks)]
    return {"lastUpdateId": book_id(now_ms, ex), "bids": sides[0], "asks": sides[1]}


def book_id(now_ms: int, ex: SimExchange) -> int:
    """Update id of the book at a moment: how many steps of the market have passed since the epoch."""
    return now_ms // ex.tape.step_ms


def trades(ex: SimExchange, q: Params) -> object:
    """Recent trades of the market: one a step."""
    symbol = q.symbol(ex.market.symbols)
    ex.now_ms()
    limit = max(q.number("limit", 500, most=1000), 1)
    rows = ex.tape.candles(symbol, ex.tape.step_ms, Bounds(None, None, limit))
    return [_trade(row, ex.tape.step_ms) for row in rows]


def _trade(row: Row, length_ms: int) -> Json:
    return {
        "id": row.open_ms // length_ms,
        "price": num(row.close),
        "qty": num(row.volume),
        "quoteQty": num(row.volume * row.close),
        "time": row.open_ms + length_ms - 1,
        "isBuyerMaker": row.close < row.open,
        "isBestMatch": True,
    }


def agg_trades(ex: SimExchange, q: Params) -> object:
    """The same trades in the aggregated shape."""
    symbol = q.symbol(ex.market.symbols)
    ex.now_ms()
    bounds = Bounds(q.optional_number("startTime"), q.optional_number("endTime"), q.number("limit", 500, most=1000))
    step = ex.tape.step_ms
    rows = ex.tape.candles(symbol, step, bounds)
    return [
        {
            "a": row.open_ms // step,
            "p": num(row.close),
            "q": num(row.volume),
            "f": row.open_ms // step,
            "l": row.open_ms // step,
            "T": row.open_ms + step - 1,
            "m": row.close < row.open,
            "M": True,
        }
        for row in rows
    ]


def average_price(ex: SimExchange, q: Params) -> object:
    """The price that percent-price and notional rules refer to."""
    symbol = q.symbol(ex.market.symbols)
    now_ms = ex.now_ms()
    return {"mins": 5, "price": num(ex.tape.last(symbol)), "closeTime": now_ms}


def _one_or_all(ex: SimExchange, q: Params, view: Callable[[SimExchange, str], Json]) -> object:
    ex.now_ms()
    found = [view(ex, symbol) for symbol in asked_symbols(ex, q)]
    return found[0] if q.has("symbol") else found


def ticker_price(ex: SimExchange, q: Params) -> object:
    """Last prices."""
    return _one_or_all(ex, q, lambda e, s: {"symbol": s, "price": num(e.tape.last(s))})


def ticker_book(ex: SimExchange, q: Params) -> object:
    """Best bids and asks."""
    return _one_or_all(ex, q, book_view)


def book_view(ex: SimExchange, symbol: str) -> Json:
    """Best bid and ask of one symbol."""
    bids, asks = ex.tape.book(symbol, 1)
    (bid, bid_qty), (ask, ask_qty) = bids[0] if bids else (0.0, 0.0), asks[0] if asks else (0.0, 0.0)
    return {
        "symbol": symbol,
        "bidPrice": num(bid),
        "bidQty": num(bid_qty),
        "askPrice": num(ask),
        "askQty": num(ask_qty),
    }


def ticker_day(ex: SimExchange, q: Params) -> object:
    """The last 24 hours."""
    return _one_or_all(ex, q, day_view)


def day_view(ex: SimExchange, symbol: str) -> Json:
    """The last 24 hours of one symbol."""
    row = ex.tape.day(symbol) or Row(ex.tape.now_ms, 0.0, 0.0, 0.0, 0.0, 0.0)
    change = row.close - row.open
    quote = turnover(row)
    return {
        **book_view(ex, symbol),
        "priceChange": num(change),
        "priceChangePercent": f"{100 * change / row.open:.3f}" if row.open else "0.000",
        "weightedAvgPrice": num(quote / row.volume) if row.volume else num(row.close),
        "prevClosePrice": num(row.open),
        "lastPrice": num(row.close),
        "lastQty": num(0.0),
        "openPrice": num(row.open),
        "highPrice": num(row.high),
        "lowPrice": num(row.low),
        "volume": num(row.volume),
        "quoteVolume": num(quote),
        "openTime": row.open_ms,
        "closeTime": ex.tape.now_ms,
        "firstId": row.open_ms // ex.tape.step_ms,
        "lastId": ex.tape.now_ms // ex.tape.step_ms,
        "count": trade_count(row),
    }
