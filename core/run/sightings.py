"""What reads have shown of our stops: when each was last seen to stand, and which one sells nothing any more.

Rule 1: only a read proves that a stop stands; one that waits for its entry or was triggered does not stand.
Rule 2: a stop sells within moments of its trigger; one that does not has been left behind by the market.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.domain.events import Unproven
from core.domain.orders import Order, Purpose
from core.domain.state import Position, State
from core.ports import OrderReport

SELLS_WITHIN = timedelta(seconds=5)


class Sightings:
    """Remembers by symbol when its stop was last shown standing, and since when a triggered one sells no more."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at
        self._shown_at: dict[str, datetime] = {}
        self._selling: dict[str, tuple[datetime, OrderReport]] = {}

    def noted(self, shown: Sequence[OrderReport], state: State, at: datetime) -> tuple[str, ...]:
        """The symbols whose stop this read of all open orders, asked for at ``at``, shows to stand."""
        stops = {o.client_id for o in state.orders.values() if o.purpose is Purpose.STOP}
        standing = {r.symbol for r in shown if r.client_id in stops and not (r.waiting or r.triggered)}
        guarded = sorted(s for s, p in state.positions.items() if s in standing and _ought_to_be_guarded(p))
        held = {symbol: then for symbol, then in self._shown_at.items() if symbol in state.positions}
        self._shown_at = {**held, **dict.fromkeys(guarded, at)}
        return tuple(guarded)

    def late(self, state: State, now: datetime) -> Unproven | None:
        """The stops that nothing has shown for longer than the promise to the owner allows."""
        patience = timedelta(seconds=state.config.told_after_s)
        seen = {p.symbol: self._seen_at(p) for p in state.positions.values() if _ought_to_be_guarded(p)}
        late = sorted(symbol for symbol, at in seen.items() if now - at >= patience)
        return Unproven(now, "guard", tuple(late), min(seen[symbol] for symbol in late)) if late else None

    def _seen_at(self, position: Position) -> datetime:
        """When this position's stop was last seen, or could first have been."""
        return max(self._shown_at.get(position.symbol, self._began_at), position.opened_at, self._began_at)

    def ran_past(self, order: Order, report: OrderReport, state: State, now: datetime) -> bool:
        """Whether this triggered stop has sold nothing for a while, and its position is not being left yet."""
        position = state.positions.get(order.symbol)
        if not report.triggered or position is None or position.leaving or order.purpose is not Purpose.STOP:
            return False
        first = self._selling.get(order.symbol)
        if first is None or (first[1].client_id, first[1].filled_qty) != (report.client_id, report.filled_qty):
            self._selling[order.symbol] = first = (now, report)
        return now - first[0] >= SELLS_WITHIN


def _ought_to_be_guarded(position: Position) -> bool:
    """Whether a stop should stand for this position, or would if its entry came through unheard.

    One whose pair was asked to go is watched by the machine itself.
    """
    return not position.bought_qty or position.cancel_at is None
