"""The exchange's rules of one symbol, read from its filters.

Rule 1: a filter that is not there leaves the Instrument's own default; a zero in one switches that part of it off.
Rule 2: a quantity that fits must fit as a LIMIT and as a MARKET order: what was bought has to be sold in any way.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.adapters.binance_parse import Row, amount, name, usable, whole
from core.domain.market import ZERO, Instrument

# our name for a bound: (filter, the exchange's name in it), the first of them that is there counts
BOUNDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "price_max": (("PRICE_FILTER", "maxPrice"),),
    "market_qty_max": (("MARKET_LOT_SIZE", "maxQty"),),
    "notional_max": (("NOTIONAL", "maxNotional"),),
    "buy_price_max": (("PERCENT_PRICE_BY_SIDE", "bidMultiplierUp"), ("PERCENT_PRICE", "multiplierUp")),
    "sell_price_min": (("PERCENT_PRICE_BY_SIDE", "askMultiplierDown"), ("PERCENT_PRICE", "multiplierDown")),
    "sell_price_max": (("PERCENT_PRICE_BY_SIDE", "askMultiplierUp"), ("PERCENT_PRICE", "multiplierUp")),
}
COUNTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "orders_max": (("MAX_NUM_ORDERS", "maxNumOrders"),),
    "stops_max": (("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),),
}
_NO_MARKET_LOT = {"minQty": "0", "maxQty": "0", "stepSize": "0"}


def instrument_of(row: Row, maker_fee: Decimal, taker_fee: Decimal) -> Instrument:
    """The rules of one symbol. Raises BadData on rules that cannot be used."""
    with usable("the rules of a symbol"):
        symbol = name(row["symbol"])
    with usable(f"the rules of {symbol}"):
        filters = {part["filterType"]: part for part in row["filters"]}
        lot, price, market = (
            filters["LOT_SIZE"],
            filters["PRICE_FILTER"],
            filters.get("MARKET_LOT_SIZE", _NO_MARKET_LOT),
        )
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {"minNotional": "0"}
        bounds: dict[str, Any] = {
            **_above_zero(filters, BOUNDS, amount),
            **_above_zero(filters, COUNTS, whole),
            **_trailing(row, filters),
            **_largest(lot, market),
        }
        return Instrument(
            symbol=symbol,
            base=name(row["baseAsset"]),
            quote=name(row["quoteAsset"]),
            tick=amount(price["tickSize"]).normalize(),
            lot=max(amount(lot["stepSize"]), amount(market["stepSize"])).normalize(),
            qty_min=max(amount(lot["minQty"]), amount(market["minQty"])),
            notional_min=amount(notional["minNotional"]),
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            price_min=amount(price["minPrice"]),
            status=name(row["status"]),
            lists=row.get("ocoAllowed", True) is True and row.get("otoAllowed", True) is True,
            **bounds,
        )


def _above_zero(filters: Row, wanted: Mapping[str, tuple[tuple[str, str], ...]], read: Any) -> dict[str, object]:
    said = {
        ours: next((read(filters[kind][part]) for kind, part in places if part in filters.get(kind, ())), ZERO)
        for ours, places in wanted.items()
    }
    return {ours: bound for ours, bound in said.items() if bound > 0}


def _largest(lot: Row, market: Row) -> dict[str, object]:
    tops = [top for top in (amount(lot["maxQty"]), amount(market["maxQty"])) if top > 0]
    return {"qty_max": min(tops)} if tops else {}


def _trailing(row: Row, filters: Row) -> dict[str, object]:
    """How far a selling stop may trail; nothing where the symbol does not allow it."""
    filter_ = filters.get("TRAILING_DELTA")
    if filter_ is None or row.get("allowTrailingStop") is not True:
        return {}
    names = {"trail_min_bips": "minTrailingBelowDelta", "trail_max_bips": "maxTrailingBelowDelta"}
    return {ours: whole(filter_[theirs]) for ours, theirs in names.items()}
