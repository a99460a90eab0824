"""Open orders that the state does not know: ours to be taken over, or somebody else's to be left alone.

Rule 1: an order with our mark is taken over once every read has shown it for longer than any read lags: an order that
        ended a moment ago is still shown by an old read, and is not to come back to life.
Rule 2: without our mark it is foreign.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.decide.naming import parse_client_id
from core.decide.transfers import READ_LAG_MAX
from core.domain.orders import Order, Purpose
from core.domain.state import State
from core.ports import OrderReport


def is_ours(report: OrderReport, state: State) -> bool:
    """Whether an order carries the mark of this installation."""
    return parse_client_id(state.install, report.client_id) is not None


class Strangers:
    """Remembers since when each unknown order of ours has been shown."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def sure(self, shown: Sequence[OrderReport], state: State, now: datetime) -> dict[str, tuple[Order, ...]]:
        """By symbol, the unknown orders of ours that are surely there."""
        unknown = [r for r in shown if r.client_id not in state.orders and is_ours(r, state)]
        self._since = {r.client_id: self._since.get(r.client_id, now) for r in unknown}
        sure = [r for r in unknown if now - self._since[r.client_id] >= READ_LAG_MAX]
        symbols = sorted({r.symbol for r in sure})
        return {symbol: tuple(_order_of(r, state, now) for r in sure if r.symbol == symbol) for symbol in symbols}


def _order_of(report: OrderReport, state: State, now: datetime) -> Order:
    parsed = parse_client_id(state.install, report.client_id)
    return Order(
        client_id=report.client_id,
        symbol=report.symbol,
        side=report.side,
        kind=report.kind,
        purpose=parsed[1] if parsed else Purpose.EXIT,
        qty=report.qty,
        created_at=now,
        price=report.price,
        stop_price=report.stop_price,
        state=report.state,
        exchange_id=report.exchange_id,
        list_id=report.list_id,
        filled_qty=report.filled_qty,
        trail_bips=report.trail_bips,
    )
