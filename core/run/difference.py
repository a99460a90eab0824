"""What live trading cost against paper: the trades of both sides paired by intent, and the sum of it in a few figures.

Rule 1: pure; both sides name a decision alike, so an intent is the pair, whatever became of it on either side.
Rule 2: slippage is in basis points of the twin's price, positive where live was worse: bought dearer or sold cheaper.
Rule 3: two exits are compared only where both sides left for the same reason; a stop against a target is no slippage.
Rule 4: what only one side traded is missed by the other; it has a profit and no slippage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from core.domain.market import ZERO
from core.domain.orders import Fill, Purpose
from core.domain.state import Trade

BASIS_POINTS = 10_000
LIVE, TWIN = "live", "twin"


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision on both sides: average prices (quote per base), slippage in basis points, delays in milliseconds
    from the decision to the first fill, profit in quote.

    None is what a side did not do or has not done yet; ``missed`` names the side that never bought, else empty.
    """

    symbol: str
    intent: str
    at: datetime
    live_entry: Decimal | None = None
    twin_entry: Decimal | None = None
    live_exit: Decimal | None = None
    twin_exit: Decimal | None = None
    entry_slippage_bps: Decimal | None = None
    exit_slippage_bps: Decimal | None = None
    live_delay_ms: int | None = None
    twin_delay_ms: int | None = None
    live_profit: Decimal | None = None
    twin_profit: Decimal | None = None
    live_why: str = ""
    twin_why: str = ""
    missed: str = ""


@dataclass(frozen=True, slots=True)
class Slippage:
    """Mean and worst of ``count`` comparisons, basis points."""

    count: int
    mean_bps: Decimal
    worst_bps: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """All differences in a few figures: ``count`` decisions traded by both sides, the delays as medians,
    and how many each side missed.
    """

    count: int
    entry: Slippage | None
    exit: Slippage | None
    live_delay_ms: int | None
    twin_delay_ms: int | None
    missed_live: int
    missed_twin: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences since the twin began, newest first, their summary, and what stops the twin if anything does."""

    since: datetime | None
    rows: tuple[Difference, ...]
    summary: Summary
    trouble: str = ""


def differences(
    live_trades: Iterable[Trade], twin_trades: Iterable[Trade], live_fills: Iterable[Fill], twin_fills: Iterable[Fill]
) -> tuple[Difference, ...]:
    """One row a decision that either side traded, newest first; positions that are still open are among them."""
    live = _side(live_trades, live_fills)
    twin = _side(twin_trades, twin_fills)
    rows = [_difference(intent, live.get(intent), twin.get(intent)) for intent in {*live, *twin}]
    return tuple(sorted(rows, key=lambda row: (row.at, row.intent), reverse=True))


def summary(rows: Sequence[Difference]) -> Summary:
    """The figures of all rows together."""
    return Summary(
        count=sum(not row.missed for row in rows),
        entry=_slippage([row.entry_slippage_bps for row in rows]),
        exit=_slippage([row.exit_slippage_bps for row in rows]),
        live_delay_ms=_median([row.live_delay_ms for row in rows]),
        twin_delay_ms=_median([row.twin_delay_ms for row in rows]),
        missed_live=sum(row.missed == LIVE for row in rows),
        missed_twin=sum(row.missed == TWIN for row in rows),
    )


def entry_intent(client_id: str) -> str:
    """Intent of the entry order that bears this client id, empty where it is another kind of order."""
    _, _, named = client_id.partition("-")
    intent, _, mark = named.rpartition("-")
    return intent if mark[:1] == Purpose.ENTRY.value and mark[1:].isdigit() else ""


@dataclass(frozen=True, slots=True)
class _Traded:
    """What one side did with one decision: its trade once it is closed, and the fills of its entry."""

    symbol: str
    trade: Trade | None
    bought: tuple[Fill, ...]

    @property
    def entry_price(self) -> Decimal | None:
        if self.trade:
            return self.trade.entry_price
        qty = sum((fill.qty for fill in self.bought), ZERO)
        return sum((fill.quote_qty for fill in self.bought), ZERO) / qty if qty else None

    @property
    def first_at(self) -> datetime | None:
        return min((fill.at for fill in self.bought), default=None)

    @property
    def began_at(self) -> datetime:
        """When it was decided, else when it was first filled."""
        return self.trade.opened_at if self.trade else min(fill.at for fill in self.bought)


def _side(trades: Iterable[Trade], fills: Iterable[Fill]) -> dict[str, _Traded]:
    bought: dict[str, tuple[Fill, ...]] = {}
    for fill in fills:
        if intent := entry_intent(fill.client_id):
            bought[intent] = (*bought.get(intent, ()), fill)
    closed: Mapping[str, Trade] = {trade.intent: trade for trade in trades}
    side = {intent: _Traded(own[0].symbol, closed.get(intent), own) for intent, own in bought.items()}
    return {**{name: _Traded(trade.symbol, trade, ()) for name, trade in closed.items()}, **side}


def _difference(intent: str, live: _Traded | None, twin: _Traded | None) -> Difference:
    sides = [side for side in (live, twin) if side]
    decided_at = next((side.trade.opened_at for side in sides if side.trade), None)
    ours, theirs = live.trade if live else None, twin.trade if twin else None
    live_entry, twin_entry = live.entry_price if live else None, twin.entry_price if twin else None
    same_way = ours and theirs and ours.why == theirs.why
    return Difference(
        symbol=sides[0].symbol,
        intent=intent,
        at=min(side.began_at for side in sides),
        live_entry=live_entry,
        twin_entry=twin_entry,
        live_exit=ours.exit_price if ours else None,
        twin_exit=theirs.exit_price if theirs else None,
        entry_slippage_bps=_dearer(live_entry, twin_entry),
        exit_slippage_bps=_cheaper(ours.exit_price, theirs.exit_price) if ours and theirs and same_way else None,
        live_delay_ms=_delay(decided_at, live),
        twin_delay_ms=_delay(decided_at, twin),
        live_profit=ours.profit if ours else None,
        twin_profit=theirs.profit if theirs else None,
        live_why=ours.why if ours else "",
        twin_why=theirs.why if theirs else "",
        missed=TWIN if twin is None else LIVE if live is None else "",
    )


def _dearer(live: Decimal | None, twin: Decimal | None) -> Decimal | None:
    """By how much live bought dearer, basis points of the twin's price."""
    return (live - twin) / twin * BASIS_POINTS if live is not None and twin else None


def _cheaper(live: Decimal, twin: Decimal) -> Decimal | None:
    """By how much live sold cheaper, basis points of the twin's price."""
    return (twin - live) / twin * BASIS_POINTS if twin else None


def _delay(decided_at: datetime | None, side: _Traded | None) -> int | None:
    """Milliseconds from the decision to this side's first fill, >= 0; None where either is not known."""
    if decided_at is None or side is None or side.first_at is None:
        return None
    return max(0, (side.first_at - decided_at) // timedelta(milliseconds=1))


def _slippage(values: Sequence[Decimal | None]) -> Slippage | None:
    known = [value for value in values if value is not None]
    return Slippage(len(known), sum(known, ZERO) / len(known), max(known)) if known else None


def _median(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(median(known)) if known else None
