"""Makes our books follow the exchange's: trades first, then what became of each live order.

Rule 1: fills come from the exchange's trades only, each once, in the order of their ids.
Rule 2: an order is called ended only when the exchange shows its end and its trades are booked.
Rule 3: an entry in doubt is never sent again: it is found, or given up after the watch. An exit in doubt may be sent
        again once the exchange says it does not exist.
Rule 4: what was given up and yet stands on the exchange is adopted, for only what is known can be cancelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from core.decide.naming import intent_trace
from core.domain.events import Absent, Accepted, BalancesSeen, Canceled, Event, Filled
from core.domain.orders import FINAL_STATES, Order, OrderState, Purpose
from core.domain.state import State
from core.ports import Broker, Clock, OrderReport
from core.run.engine import Engine

# Binance may still accept a request this long after its timestamp (recvWindow 5 s + 10 s), and its read
# replicas were seen 36 s late; an entry in doubt is watched much longer than both together
ENTRY_WATCH = timedelta(minutes=10)
EXIT_WATCH = timedelta(seconds=60)
_IN_DOUBT = (OrderState.PLANNED, OrderState.MAYBE_SENT)
log = structlog.get_logger()


class Reconcile:
    """Asks the exchange about every live order and posts what it learns."""

    def __init__(self, engine: Engine, broker: Broker, clock: Clock) -> None:
        self._engine = engine
        self._broker = broker
        self._clock = clock
        # what was in doubt before this process began cannot be on its way any more
        self._left_behind = frozenset(o.client_id for o in engine.state.orders.values() if o.state in _IN_DOUBT)

    async def poll(self) -> None:
        """Book new trades and ends of every symbol that has an order which is live or may turn out to be."""
        for symbol in sorted({o.symbol for o in self._engine.state.orders.values() if _may_live(o)}):
            await self.symbol(symbol)

    async def start(self) -> None:
        """What a start needs: trades that happened while we were away, doubts resolved, balances compared."""
        state = self._engine.state
        for symbol in sorted({*state.last_trades, *(o.symbol for o in state.orders.values())}):
            await self.symbol(symbol)
        await self.balances()

    async def balances(self) -> None:
        """Show the machine what the exchange holds, unless a fill came or may have come while it was asked."""
        await self.poll()
        booked = self._engine.state.last_trades
        if self._filling():
            return
        balances = await self._broker.balances()
        await self.poll()
        # from here to the inbox nothing else gets in between
        if self._engine.state.last_trades is booked and self._engine.idle and not self._filling():
            await self._engine.post(BalancesSeen(self._clock.now(), "reconcile", balances))

    def _filling(self) -> bool:
        """Whether an order is live that is meant to fill now."""
        protective = (Purpose.STOP, Purpose.TARGET)
        return any(o.live and o.purpose not in protective for o in self._engine.state.orders.values())

    async def symbol(self, symbol: str) -> None:
        """Book new trades of one symbol, then what became of its orders."""
        asked = [o for o in self._engine.state.orders.values() if o.symbol == symbol and _may_live(o)]
        reports = await self._reports(symbol, asked)
        await self._trades(symbol)
        for order in asked:
            now = self._engine.state.orders.get(order.client_id)
            if now is None or not _may_live(now):
                continue
            event = self._learned(now, reports.get(order.client_id))
            if event:
                await self._engine.post(event)

    async def _reports(self, symbol: str, asked: Sequence[Order]) -> dict[str, OrderReport | None]:
        """What the exchange shows of each: one list of open orders, and a look at each live one not among them."""
        if not asked:
            return {}
        reports: dict[str, OrderReport | None] = {r.client_id: r for r in await self._broker.open_orders(symbol)}
        for order in asked:
            if order.live and order.client_id not in reports:
                reports[order.client_id] = await self._broker.find(symbol, order.client_id)
        return reports

    async def _trades(self, symbol: str) -> None:
        state: State = self._engine.state
        last = state.last_trades.get(symbol)
        if last is None and not any(o.symbol == symbol for o in state.orders.values()):
            return
        for fill in await self._broker.trades(symbol, "" if last is None else str(last)):
            await self._engine.post(Filled(fill.at, self._trace(symbol), fill))

    def _trace(self, symbol: str) -> str:
        """The trace of the bar that led to this position, so that its fills and its end are found with it."""
        position = self._engine.state.positions.get(symbol)
        return intent_trace(position.intent) if position else f"reconcile:{symbol}"

    def _learned(self, order: Order, report: OrderReport | None) -> Event | None:
        """The event that follows from what the exchange shows of ``order``, or None when nothing changed."""
        now = self._clock.now()
        trace = self._trace(order.symbol)
        if report is None:
            given_up = order.state in _IN_DOUBT and now - order.created_at >= self._watch(order)
            return Absent(now, trace, order.client_id) if given_up else None
        if report.state in FINAL_STATES and report.filled_qty == order.filled_qty:
            return Canceled(now, trace, order.client_id, expired=report.state is not OrderState.CANCELED)
        if order.state in (*_IN_DOUBT, OrderState.ABSENT):
            return Accepted(now, trace, order.client_id, report.exchange_id, report.list_id)
        return None

    def _watch(self, order: Order) -> timedelta:
        """How long an order in doubt is watched.

        A sale from before the start is given up at once: what is held stays unprotected no longer than needed, and
        a second sale is bounded by what is held.
        """
        if order.purpose is Purpose.ENTRY:
            return ENTRY_WATCH
        return timedelta(0) if order.client_id in self._left_behind else EXIT_WATCH


def _may_live(order: Order) -> bool:
    """Whether the exchange may still hold this order: it is live, or was given up because no read showed it."""
    return order.live or order.state is OrderState.ABSENT
