"""The gate between a wish and an order.

Rule 1: only this file builds an Approved; whatever buys passes through ``gate`` at the moment it is ordered.
Rule 2: exposure limits cut the quantity; where the rest is below the exchange's minimum, the tightest limit refuses.
Rule 3: every refusal has a code, its numbers and one plain sentence. Selling is never refused here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.decide.ledger import equity, exposure, free_cash, usable_equity
from core.decide.placing import ENTRY_ROOM, RATE_WINDOW, STOP_LIMIT_ROOM, entry_limit
from core.domain.market import ZERO, Instrument
from core.domain.orders import Approved, Purpose, Refusal, Wanted
from core.domain.state import State, TradingState

ORDERS_AN_ENTRY_NEEDS = 3


def gate(state: State, wanted: Wanted, at: datetime) -> Approved | Refusal:
    """``wanted``, cut to what every limit allows, or the first refusal."""
    refusal = next(_vetoes(state, wanted, at), None)
    if refusal:
        return refusal
    instrument = state.instruments[wanted.symbol]
    unit_price = wanted.ref_price * (1 + ENTRY_ROOM)
    code, room = min(_rooms(state, wanted), key=lambda named: named[1])
    most = min(instrument.qty_max, instrument.market_qty_max, instrument.notional_max / unit_price)
    qty = instrument.floor_qty(min(wanted.qty, max(room, ZERO) / unit_price, most))
    if _too_small(qty, wanted, instrument):
        small = _below_minimum(wanted, instrument) if _too_small(wanted.qty, wanted, instrument) else None
        return small or _no_room(state, wanted, code, room)
    return Approved(wanted, qty)


def daily_loss(state: State) -> Decimal:
    """Loss since the start of the UTC day as a fraction of equity then; negative for a gain."""
    start = state.day.start_equity
    return (start - equity(state)) / start if start > 0 else ZERO


def drawdown(state: State) -> Decimal:
    """Loss from the highest equity as a fraction of it, >= 0."""
    peak = state.day.peak_equity
    return max(ZERO, (peak - equity(state)) / peak) if peak > 0 else ZERO


def _vetoes(state: State, wanted: Wanted, at: datetime) -> Iterator[Refusal]:
    """Refusals that no smaller quantity could avoid, in the order they are told."""
    limits, symbol = state.limits, wanted.symbol
    if state.trading.state is not TradingState.ACTIVE:
        yield Refusal(
            f"TRADING_{state.trading.state}",
            f"No new entries: trading is {state.trading.state.lower()} ({state.trading.reason}).",
            (("since", f"{state.trading.since:%Y-%m-%d %H:%M} UTC" if state.trading.since else ""),),
        )
    yield from _stale(state, symbol, at)
    status = state.instruments[symbol].status
    if status != "TRADING":
        yield Refusal("SYMBOL_CLOSED", f"{symbol} is {status} on the exchange.", (("status", status),))
    yield from _off_limits(wanted, state.instruments[symbol])
    yield from _over("DAY_LOSS", "Today's loss", daily_loss(state), limits.day_loss_max)
    yield from _over("DRAWDOWN", "The fall from the highest equity", drawdown(state), limits.drawdown_max)
    yield from _too_many(state, at)


def _off_limits(wanted: Wanted, rules: Instrument) -> Iterator[Refusal]:
    """The exchange's own bounds on prices, checked before a button is shown and not after it is pressed."""
    price, lowest = wanted.ref_price, wanted.stop * (1 - STOP_LIMIT_ROOM)
    low, high = price * rules.sell_price_min, price * rules.sell_price_max
    if lowest < max(low, rules.price_min) or wanted.target > min(high, rules.price_max):
        yield Refusal(
            "PRICE_BOUNDS",
            f"The exchange takes sell orders between {low.normalize():f} and {high.normalize():f} only; "
            f"stop {wanted.stop} and target {wanted.target} do not fit.",
            (("low", str(low)), ("high", str(high))),
        )
    limit = entry_limit(price, wanted.target, rules)
    if limit > min(price * rules.buy_price_max, rules.price_max):
        highest = min(price * rules.buy_price_max, rules.price_max).normalize()
        yield Refusal("PRICE_BOUNDS", f"The exchange takes no buy order above {highest:f}.", (("high", str(highest)),))
    if rules.stops_max < 1 or rules.orders_max < ORDERS_AN_ENTRY_NEEDS:
        text = f"The exchange takes {rules.orders_max} orders and {rules.stops_max} stops of {wanted.symbol} at once."
        yield Refusal("TOO_FEW_ORDERS", f"{text} An entry needs {ORDERS_AN_ENTRY_NEEDS} and one.")


def _too_many(state: State, at: datetime) -> Iterator[Refusal]:
    """Refusals over the number of orders; a buy counts with the stop and target it will need, now or a second ago."""
    limits, orders = state.limits, state.orders.values()
    brought = {o.waits_for for o in orders}
    bare = sum(o.live and o.purpose is Purpose.ENTRY and o.client_id not in brought for o in orders)
    to_come = (ORDERS_AN_ENTRY_NEEDS - 1) * bare
    live = sum(o.live for o in orders) + to_come
    if live + ORDERS_AN_ENTRY_NEEDS > limits.orders_open_max:
        yield Refusal(
            "ORDERS_OPEN",
            f"{live} orders are open or to come; an entry needs {ORDERS_AN_ENTRY_NEEDS} more, "
            f"{limits.orders_open_max} may be.",
            (("open", str(live)), ("limit", str(limits.orders_open_max))),
        )
    recent = sum(at - sent < RATE_WINDOW for sent in state.order_times) + to_come
    if recent + ORDERS_AN_ENTRY_NEEDS > limits.orders_per_min_max:
        yield Refusal(
            "ORDER_RATE",
            f"{recent} orders went out in the last minute or are to come; an entry needs {ORDERS_AN_ENTRY_NEEDS} more, "
            f"{limits.orders_per_min_max} may be.",
            (("last_minute", str(recent)), ("limit", str(limits.orders_per_min_max))),
        )


def _stale(state: State, symbol: str, at: datetime) -> Iterator[Refusal]:
    mark = state.marks.get(symbol)
    age = at - mark.bar.close_at if mark else None
    allowed = mark.bar.span * state.limits.stale_bars if mark else timedelta(0)
    if age is None or age > allowed:
        told = "never" if age is None else f"{age.total_seconds():.0f} s ago"
        yield Refusal(
            "STALE_DATA",
            f"The last closed bar of {symbol} came {told}; {allowed.total_seconds():.0f} s is the limit.",
            (("age_s", told), ("limit_s", f"{allowed.total_seconds():.0f}")),
        )


def _over(code: str, name: str, value: Decimal, limit: Decimal) -> Iterator[Refusal]:
    if value >= limit:
        yield Refusal(
            code,
            f"{name} is {value:.2%}; the limit is {limit:.2%}.",
            (("value", f"{value:.4f}"), ("limit", str(limit))),
        )


def _rooms(state: State, wanted: Wanted) -> Iterator[tuple[str, Decimal]]:
    """How much quote each exposure limit leaves for this entry."""
    whole, limits = usable_equity(state), state.limits
    held = {symbol: exposure(state, symbol) for symbol in sorted({*state.positions, wanted.symbol})}
    fullest = max(sum((held.get(s, ZERO) for s in sorted(bucket)), ZERO) for bucket in _buckets(state, wanted))
    yield "SYMBOL_EXPOSURE", whole * limits.symbol_exposure_max - held[wanted.symbol]
    yield "BUCKET_EXPOSURE", whole * limits.bucket_exposure_max - fullest
    yield "GROSS_EXPOSURE", whole * limits.gross_exposure_max - sum(held.values(), ZERO)
    yield "CASH", free_cash(state)


def _buckets(state: State, wanted: Wanted) -> Iterator[set[str]]:
    """Every bucket this entry would join: its own, and that of each held symbol, whoever names the other."""
    own = state.peers.get(wanted.symbol, ())
    yield {wanted.symbol, *own}
    for symbol in state.positions:
        others = state.peers.get(symbol, ())
        if wanted.symbol in others or symbol in own:
            yield {symbol, *others, wanted.symbol}


def _too_small(qty: Decimal, wanted: Wanted, instrument: Instrument) -> bool:
    """Whether ``qty`` or its stop order, after fees and with room for the price, is below the exchange's minimum."""
    kept = instrument.floor_qty(qty * (1 - instrument.taker_fee))
    stop_value = kept * wanted.stop * (1 - STOP_LIMIT_ROOM)
    return kept < instrument.qty_min or kept <= 0 or stop_value < instrument.notional_min


def _below_minimum(wanted: Wanted, instrument: Instrument) -> Refusal:
    value = wanted.qty * wanted.ref_price
    return Refusal(
        "BELOW_MINIMUM",
        f"{value:.2f} {instrument.quote} is too small to trade and protect: "
        f"the exchange wants at least {instrument.notional_min} in the stop order too.",
        (("value", f"{value:.2f}"), ("minimum", str(instrument.notional_min))),
    )


_LIMIT_NAMES = {
    "SYMBOL_EXPOSURE": "in one symbol",
    "BUCKET_EXPOSURE": "in symbols that move together",
    "GROSS_EXPOSURE": "in all positions",
    "CASH": "of free cash",
}


def _no_room(state: State, wanted: Wanted, code: str, room: Decimal) -> Refusal:
    asked = wanted.qty * wanted.ref_price
    return Refusal(
        code,
        f"{asked:.2f} {state.quote} wanted for {wanted.symbol}, only {max(room, ZERO):.2f} left {_LIMIT_NAMES[code]}.",
        (("wanted", f"{asked:.2f}"), ("room", f"{room:.2f}")),
    )


def at_price(wanted: Wanted, price: Decimal) -> Wanted:
    """The same wish at the price of now, for an approval that comes later."""
    return replace(wanted, ref_price=price)
