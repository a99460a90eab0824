"""What the venue refuses before an order exists, with Binance's own codes and words.

Rule 1: a refusal proves that nothing changed.
Rule 2: filters are checked in one fixed order, each a line in FILTERS, so the first fault named is always the same one.
Rule 3: a client id must be unique among OPEN orders only: it is no idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.decide.venue import STOP_KINDS, Liquidity, Placement, Rules, Venue
from core.domain.errors import Refused
from core.domain.market import ZERO
from core.domain.orders import OrderKind, Side

REJECTED = "-2010"
FILTER = "-1013"


def rejected(text: str) -> Refused:
    """The refusal of an order that was well formed."""
    return Refused(text, REJECTED)


def check(venue: Venue, ask: Placement, market: Liquidity, rules: Rules) -> None:
    """Nothing, or Refused for the first rule that ``ask`` breaks."""
    if rules.instrument.status != "TRADING":
        raise Refused("Market is closed.", FILTER)
    for name, holds in FILTERS:
        if not holds(ask, market, rules):
            raise Refused(f"Filter failure: {name}", FILTER)
    check_counts(venue, ask, rules)
    if any(o.client_id == ask.client_id for orders in venue.open.values() for o in orders):
        raise rejected("Duplicate order sent.")


def check_counts(venue: Venue, ask: Placement, rules: Rules) -> None:
    """Nothing, or Refused when one more order of this kind is too many."""
    orders = venue.open.get(ask.symbol, ())
    if len(orders) >= rules.orders_max:
        raise Refused("Filter failure: MAX_NUM_ORDERS", FILTER)
    stops = sum(o.kind in STOP_KINDS for o in orders)
    if ask.kind in STOP_KINDS and stops >= rules.stops_max:
        raise Refused("Filter failure: MAX_NUM_ALGO_ORDERS", FILTER)


def _prices_fit(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    grid = rules.instrument
    given = [p for p in (ask.price, ask.stop_price) if p is not None]
    return all(grid.price_min <= p <= grid.price_max and p > 0 and p % grid.tick == 0 for p in given)


def _percent_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    if ask.price is None:
        return True
    return market.mid * rules.price_down <= ask.price <= market.mid * rules.price_up


def _lot_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    grid = rules.instrument
    return ask.qty is None or (grid.qty_min <= ask.qty <= grid.qty_max and ask.qty > 0 and ask.qty % grid.lot == 0)


def _market_lot_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    return ask.kind is not OrderKind.MARKET or ask.qty is None or ask.qty <= rules.market_qty_max


def _notional_fits(ask: Placement, market: Liquidity, rules: Rules) -> bool:
    at_market = ask.kind is OrderKind.MARKET
    notional = _notional(ask, market)
    low_enough = at_market or notional <= rules.notional_max
    high_enough = notional >= rules.instrument.notional_min or (at_market and not rules.notional_min_applies_to_market)
    return low_enough and high_enough


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


def check_pair(above: Placement, below: Placement, market: Liquidity) -> None:
    """Nothing, or Refused unless one leg lies above the market and the other below it."""
    top = _leg_level(above)
    bottom = _leg_level(below)
    if above.side is not below.side or not bottom < market.mid < top:
        raise rejected("The relationship of the prices for the orders is not correct.")


def _leg_level(leg: Placement) -> Decimal:
    level = leg.stop_price if leg.kind in STOP_KINDS else leg.price
    return level if level is not None else ZERO


def triggers_on_rise(side: Side, kind: OrderKind) -> bool:
    """Whether a stop of this kind goes live when the price rises to it (otherwise when it falls to it)."""
    return (side is Side.BUY) == (kind is OrderKind.STOP_LOSS_LIMIT)
