"""What one reconciliation compared, found and did, as a value.

Rule 1: it is made of the events that were posted meanwhile; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain import events as ev
from core.domain.orders import Order
from core.domain.state import State
from core.ports import OrderReport


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """``found`` and ``done`` are sentences; ``steady`` is whether balances could be compared; ``foreign`` are open
    orders that are not ours."""

    at: datetime
    why: str
    symbols: tuple[str, ...]
    orders: int
    trades: int
    assets: int
    steady: bool
    differing: tuple[str, ...]
    found: tuple[str, ...]
    foreign: tuple[OrderReport, ...]

    @property
    def clean(self) -> bool:
        """Whether books and exchange agree in everything that was compared."""
        return self.steady and not self.differing


class Notes:
    """Collects what is posted between two looks."""

    def __init__(self) -> None:
        self._events: list[ev.Event] = []

    def add(self, event: ev.Event) -> None:
        """Note one event."""
        self._events.append(event)

    def report(
        self,
        at: datetime,
        why: str,
        symbols: Sequence[str],
        state: State,
        foreign: tuple[OrderReport, ...],
        steady: bool,
    ) -> Reconciliation:
        """The whole as a value."""
        doubt = state.doubt.changes if state.doubt else ()
        return Reconciliation(
            at=at,
            why=why,
            symbols=tuple(symbols),
            orders=sum(order.live for order in state.orders.values()),
            trades=sum(isinstance(event, ev.Filled) for event in self._events),
            assets=len(state.balances),
            steady=steady,
            differing=tuple(f"{asset}: the exchange has {gap.normalize():+f}" for asset, gap in doubt),
            found=tuple(said for event in self._events if (said := _said(event))),
            foreign=foreign,
        )


def _said(event: ev.Event) -> str:
    """One sentence for an event that changed something, or nothing."""
    match event:
        case ev.Filled(fill=fill):
            return f"Booked trade {fill.trade_id}: {fill.side} {fill.qty} {fill.symbol} at {fill.price}."
        case ev.Canceled(client_id=name, expired=expired):
            return f"Order {name} had {'expired' if expired else 'been cancelled'}."
        case ev.Accepted(client_id=name):
            return f"Order {name} stands."
        case ev.Absent(client_id=name):
            return f"Order {name} never reached the exchange."
        case ev.OrdersFound(orders=orders):
            return f"Took over {_named(orders)}."
        case ev.StillHeld(client_id=name):
            return f"Order {name} is not there and its coins are: it is sent again or given up."
        case ev.StopRanPast(client_id=name):
            return f"Order {name} was triggered and does not sell: the rest is sold at market."
    return ""


def _named(orders: Sequence[Order]) -> str:
    return ", ".join(order.client_id for order in orders)
