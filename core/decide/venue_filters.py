"""What the venue refuses before an order exists, with Binance's own codes and words.

Rule 1: a refusal proves that nothing changed.
Rule 2: filters are checked in one fixed order, each a line in FILTERS, so the first fault named is always the same one.
Rule 3: the orders of a list are checked before any of them exists, those that wait for another included.
Rule 4: a client id must be unique among OPEN orders only: it is no idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

from core.decide.venue import NO_LIST, STOP_KINDS, Liquidity, Placement, Rules, Venue
from core.domain.errors import Refused
from core.domain.market import ZERO
from core.domain.orders import OrderKind, Side

REJECTED = "-2010"
FILTER = "-1013"


def rejected(text: str) -> Refused:
    """The refusal of an order that was well formed."""
    return Refused(text, REJECTED)


def unsupported(what: str) -> Refused:
    """The refusal of a kind of order that this symbol does not have."""
    return Refused(f"{what} are not supported for this symbol.", FILTER)


def check(venue: Venue, asks: Sequence[Placement], market: Liquidity, rules: Rules) -> None:
    """Nothing, or Refused for the first rule that the orders of one request break, one by one or together."""
    for ask in asks:
        check_one(ask, market, rules)
    check_counts(venue, asks, rules)
    taken = {o.client_id for orders in venue.open.values() for o in orders}
    names = [ask.client_id for ask in asks]
    if len(set(names)) < len(names) or not taken.isdisjoint(names):
        raise rejected("Duplicate order sent.")


def check_one(ask: Placement, market: Liquidity, rules: Rules) -> None:
    """Nothing, or Refused for the first rule that ``ask`` breaks by itself, whatever the account holds."""
    if rules.instrument.status != "TRADING":
        raise Refused("Market is closed.", FILTER)
    for name, holds in FILTERS:
        if not holds(ask, market, rules):
            raise Refused(f"Filter failure: {name}", FILTER)
    if ask.trail_bips:
        _check_trail(ask, rules)


def check_counts(venue: Venue, asks: Sequence[Placement], rules: Rules) -> None:
    """Nothing, or Refused when that many more orders of these kinds, or one more list of them, are too many."""
    orders = venue.open.get(asks[0].symbol, ())
    if len(orders) + len(asks) > rules.instrument.orders_max:
        raise Refused("Filter failure: MAX_NUM_ORDERS", FILTER)
    more = sum(ask.kind in STOP_KINDS for ask in asks)
    if more and sum(o.kind in STOP_KINDS for o in orders) + more > rules.instrument.stops_max:
        raise Refused("Filter failure: MAX_NUM_ALGO_ORDERS", FILTER)
    lists = {o.list_id for o in orders} - {NO_LIST}
    if len(asks) > 1 and len(lists) >= rules.lists_max:
        raise Refused("Filter failure: MAX_NUM_ORDER_LISTS", FILTER)


def _check_trail(ask: Placement, rules: Rules) -> None:
    grid = rules.instrument
    if not grid.trail_max_bips:
        raise unsupported("Trailing stop orders")
    if not grid.trail_min_bips <= ask.trail_bips <= grid.trail_max_bips:
        raise Refused("Filter failure: TRAILING_DELTA", FILTER)


def _on_step(value: Decimal, step: Decimal) -> bool:
    return not step or value % step == 0


def _prices_fit(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    grid = rules.instrument
    given = [p for p in (ask.price, ask.stop_price) if p is not None]
    return all(grid.price_min <= p <= grid.price_max and p > 0 and _on_step(p, grid.tick) for p in given)


def _percent_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    if ask.price is None:
        return True
    grid = rules.instrument
    buying = ask.side is Side.BUY
    least, most = (rules.buy_price_min, grid.buy_price_max) if buying else (grid.sell_price_min, grid.sell_price_max)
    return market.mid * least <= ask.price <= market.mid * most


def _lot_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    grid = rules.instrument
    return ask.qty is None or (grid.qty_min <= ask.qty <= grid.qty_max and ask.qty > 0 and _on_step(ask.qty, grid.lot))


def _market_lot_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    if ask.kind is not OrderKind.MARKET or ask.qty is None:
        return True
    return ask.qty <= rules.instrument.market_qty_max and _on_step(ask.qty, rules.market_step)


def _notional_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    at_market = ask.kind is OrderKind.MARKET
    notional = _notional(ask, market)
    has_least = not at_market or rules.notional_min_applies_to_market
    has_most = not at_market or rules.notional_max_applies_to_market
    grid = rules.instrument
    return not (has_least and notional < grid.notional_min) and not (has_most and notional > grid.notional_max)


def _notional(ask: Placement, market: Liquidity) -> Decimal:
    if ask.quote_qty is not None:
        return ask.quote_qty
    return (ask.qty or ZERO) * (ask.price if ask.price is not None else market.mid)


FILTERS: tuple[tuple[str, Callable[[Placement, Liquidity, Rules], bool]], ...] = (
    ("PRICE_FILTER", _prices_fit),
    ("PERCENT_PRICE_BY_SIDE", _percent_fits),
    ("LOT_SIZE", _lot_fits),
    ("MARKET_LOT_SIZE", _market_lot_fits),
    ("NOTIONAL", _notional_fits),
)


def check_pair(legs: Sequence[Placement], market: Liquidity | None) -> None:
    """Nothing, or Refused unless one leg lies above the other, and the ``market``, where it counts, between them."""
    above = [leg for leg in legs if goes_above(leg.side, leg.kind)]
    below = [leg for leg in legs if not goes_above(leg.side, leg.kind)]
    # a trailing stop without a price of its own has no place yet
    levels = [_leg_level(leg) for leg in below]
    levels += [market.mid] if market else []
    levels += [_leg_level(leg) for leg in above]
    known = [level for level in levels if level is not None]
    if len({leg.side for leg in legs}) > 1 or len(above) != 1 or any(low >= high for low, high in pairwise(known)):
        raise rejected("The relationship of the prices for the orders is not correct.")


def _leg_level(leg: Placement) -> Decimal | None:
    return leg.stop_price if leg.kind in STOP_KINDS else leg.price


def goes_above(side: Side, kind: OrderKind) -> bool:
    """Whether a leg of this kind belongs above the market: what a seller hopes for, what a buyer fears."""
    return triggers_on_rise(side, kind) if kind in STOP_KINDS else side is Side.SELL


def triggers_on_rise(side: Side, kind: OrderKind) -> bool:
    """Whether a stop of this kind goes live when the price rises to it (otherwise when it falls to it)."""
    return (side is Side.BUY) == (kind is OrderKind.STOP_LOSS_LIMIT)
