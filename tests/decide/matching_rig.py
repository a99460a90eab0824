"""A venue with round numbers, and short words to trade on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.decide.costs import Fees, Fills, Terms
from core.decide.matching import on_bar, place
from core.decide.venue import Balance, Liquidity, Move, Moves, Placement, Rules, Venue, VenueOrder, VenueTrade
from core.domain.market import Bar, Instrument
from core.domain.orders import OrderKind, Side, Tif

D = Decimal
START = datetime(2024, 1, 1, tzinfo=UTC)
START_MS = 1_704_067_200_000
HOUR = timedelta(hours=1)
INSTRUMENT = Instrument("BTCUSDT", "BTC", "USDT", D("0.01"), D("0.001"), D("0.001"), D(5))
EVEN = Fills(volume_share=D("0.1"), half_spread=D(0), impact=D(0))
FREE = Fees(maker=D(0), taker=D(0))
TERMS = Terms(Rules(INSTRUMENT), FREE, EVEN)
QUOTE = Liquidity(D("99.99"), D("100.01"), D(1000), D("0.01"))


def with_rules(**changed: object) -> Terms:
    """Terms of an instrument whose rules differ in these."""
    return replace(TERMS, rules=replace(TERMS.rules, instrument=replace(INSTRUMENT, **changed)))


def venue(**held: str) -> Venue:
    """A venue that holds these assets, all free."""
    return Venue(balances={asset: Balance(D(amount)) for asset, amount in held.items()})


def ask(
    kind: str, side: str, qty: str, price: str = "", stop: str = "", name: str = "a", tif: str = "GTC"
) -> Placement:
    """An order as asked for."""
    return Placement(
        "BTCUSDT",
        Side(side),
        OrderKind(kind),
        name,
        qty=D(qty),
        price=D(price) if price else None,
        stop_price=D(stop) if stop else None,
        tif=Tif(tif),
    )


def bar(prices: str, volume: str = "1000", hour: int = 0) -> Bar:
    """The bar ``open high low close`` that opens ``hour`` hours after the start."""
    o, h, l, c = (D(text) for text in prices.split())  # noqa: E741
    return Bar("BTCUSDT", START + hour * HOUR, HOUR, o, h, l, c, D(volume))


def put(before: Venue, *asks: Placement, quote: Liquidity = QUOTE, terms: Terms = TERMS) -> Venue:
    """The venue after these orders."""
    for one in asks:
        before, _ = place(before, one, quote, terms, START_MS)
    return before


def play(before: Venue, *bars: Bar, terms: Terms = TERMS) -> tuple[Venue, list[VenueTrade]]:
    """The venue after these bars, and the trades they made."""
    made: list[VenueTrade] = []
    for one in bars:
        before, moves = on_bar(before, one, terms)
        made += trades(moves)
    return before, made


def trades(moves: Moves) -> list[VenueTrade]:
    """Trades among what moved."""
    return [m.trade for m in moves if isinstance(m, Move) and m.trade is not None]


def ended(after: Venue, name: str) -> VenueOrder:
    """The finished order of that name."""
    return next(o for o in reversed(after.finished) if o.client_id == name)


def totals(after: Venue) -> Mapping[str, Decimal]:
    """What is held in all."""
    return after.totals()
