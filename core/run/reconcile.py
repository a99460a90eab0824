"""Makes our books follow the exchange's: trades first, then what became of each live order, then the balances.

Rule 1: fills come from the exchange's trades only, each once, in the order of their ids.
Rule 2: an order is called ended only when the exchange shows its end and its trades are booked.
Rule 3: an entry in doubt is never sent again: it is found, or given up after the watch. A sale in doubt may be sent
        again once the balance was read again; the machine decides.
Rule 4: what carries our mark and is not known is taken over; what is somebody else's is shown and never touched.
Rule 5: reads may be old: nothing is believed from one read that an older truth could explain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from core.decide.exits import PROTECTIVE, placed
from core.decide.guarding import ASK_AGAIN, FENCE, IN_DOUBT
from core.decide.naming import intent_trace
from core.decide.step import step
from core.decide.transfers import READ_LAG_MAX
from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater
from core.domain.events import (
    Absent,
    Accepted,
    AccessLost,
    BalancesSeen,
    Canceled,
    Event,
    Filled,
    OrdersFound,
    Proven,
    StillHeld,
    StopRanPast,
    TradesBegan,
)
from core.domain.orders import FINAL_STATES, Order, OrderState, Purpose, Side
from core.ports import Broker, Clock, OrderReport
from core.run.engine import Engine
from core.run.reads import patiently
from core.run.reconciliation import Notes, Reconciliation
from core.run.sightings import Sightings
from core.run.strangers import Strangers, is_ours

# Binance may still accept a request this long after its timestamp (recvWindow 5 s + 10 s), and its read
# replicas were seen 36 s late; an entry in doubt is watched much longer than both together
ENTRY_WATCH = timedelta(minutes=10)
log = structlog.get_logger()
Reports = dict[str, OrderReport | None]


class Reconcile:
    """Asks the exchange about every live order and posts what it learns."""

    def __init__(self, engine: Engine, broker: Broker, clock: Clock) -> None:
        self._engine = engine
        self._broker = broker
        self._clock = clock
        self._notes = Notes()
        self._strangers = Strangers()
        self._whole = asyncio.Lock()  # two at once would mix what they found
        self._sightings = Sightings(clock.now())

    # what runs when ------------------------------------------------------------------------------------------------

    async def poll(self) -> None:
        """Book new trades and ends of every symbol that has an order which is live or may turn out to be."""
        for symbol in sorted({o.symbol for o in self._engine.state.orders.values() if _may_live(o)}):
            await self.symbol(symbol)

    async def guard(self) -> None:
        """Prove by one read of all open orders that what protects us stands; look closely at what surprises."""
        state = self._engine.state
        if not (state.positions or any(_may_live(o) for o in state.orders.values())):
            return
        shown = await self._all_open()
        for symbol in sorted({o.symbol for o in self._engine.state.orders.values() if self._surprising(o, shown)}):
            await self.symbol(symbol, shown)

    async def watch(self) -> None:
        """Tell of positions whose stop nothing has shown for too long; asks nobody."""
        late = self._sightings.late(self._engine.state, self._clock.now())
        if late:
            await self._post_if_it_matters(late)

    async def full(self, why: str) -> Reconciliation:
        """Everything compared: open orders, trades from the last known id, balances; what was found and done.

        What is held comes first, and one symbol that cannot be read does not keep the others waiting: its error is
        raised at the end.
        """
        async with self._whole:
            return await self._full(why)

    async def _full(self, why: str) -> Reconciliation:
        self._notes = Notes()
        shown = await self._all_open()
        state = self._engine.state
        held = {*state.positions, *(o.symbol for o in state.orders.values())}
        symbols = [*sorted(held), *sorted(state.instruments.keys() - held)]
        failures: list[FirstmateError] = []
        for symbol in symbols:
            try:
                await self._begin(symbol)
                await self.symbol(symbol, shown)
            except (RetryLater, OutcomeUnknown) as failure:
                failures.append(failure)
            except (BadData, Refused) as failure:  # a symbol that is gone must not stop the others
                log.warning("a symbol cannot be read", symbol=symbol, why=failure.user_text)
                if symbol in held:
                    failures.append(failure)
        if failures:
            raise failures[0]
        compared = await self.balances()
        foreign = tuple(r for r in shown if not is_ours(r, state))
        return self._notes.report(self._clock.now(), why, symbols, self._engine.state, foreign, compared)

    async def symbol(self, symbol: str, shown: Sequence[OrderReport] | None = None) -> None:
        """Book new trades of one symbol, then what became of its orders; ``shown`` is a read of open orders."""
        asked = [o for o in self._engine.state.orders.values() if o.symbol == symbol and _may_live(o)]
        reports = await self._reports(symbol, asked, shown)
        await self._trades(symbol)
        for order in asked:
            now = self._engine.state.orders.get(order.client_id)
            event = self._learned(now, reports.get(order.client_id)) if now and _may_live(now) else None
            if event:
                await self._post(event)
        await self._doubtful_sales(symbol, reports)

    async def balances(self) -> bool:
        """Show the machine what the exchange holds, unless a fill came or may have come meanwhile; whether it did."""
        booked = self._engine.state.last_trades
        if self._filling():
            return False
        balances = await patiently(self._broker.balances)
        await self.poll()
        # from here to the inbox nothing else gets in between
        steady = self._engine.state.last_trades is booked and self._engine.idle and not self._filling()
        if steady:
            await self._post_if_it_matters(BalancesSeen(self._clock.now(), "reconcile", balances))
        return steady

    # reads ---------------------------------------------------------------------------------------------------------

    async def _all_open(self) -> Sequence[OrderReport]:
        """Open orders of all symbols, unknown ones of ours taken over once they are surely there."""
        asked_at = self._clock.now()
        try:
            shown = await patiently(self._broker.open_orders)
        except NeedsOwner as lost:
            await self._post_if_it_matters(AccessLost(self._clock.now(), "reconcile", lost.user_text))
            raise
        await self._prove(shown, asked_at)
        await self._adopt(shown)
        return shown

    async def _prove(self, shown: Sequence[OrderReport], at: datetime) -> None:
        """Note which stops this read showed; where the owner was told otherwise, tell that they stand."""
        guarded = self._sightings.noted(shown, self._engine.state, at)
        if guarded:
            await self._post_if_it_matters(Proven(self._clock.now(), "guard", guarded))

    async def _adopt(self, shown: Sequence[OrderReport]) -> None:
        """Take over what has our mark, is not known and surely there."""
        now = self._clock.now()
        for symbol, orders in self._strangers.sure(shown, self._engine.state, now).items():
            await self._post(OrdersFound(now, f"reconcile:{symbol}", symbol, orders))

    def _surprising(self, order: Order, shown: Sequence[OrderReport]) -> bool:
        """Whether the read shows anything else than what is known of this order."""
        if not _may_live(order):
            return False
        report = next((r for r in shown if r.client_id == order.client_id), None)
        if not order.live:
            return report is not None
        expected = order.state in (OrderState.OPEN, OrderState.PARTIAL)
        if report is None or not expected or report.filled_qty != order.filled_qty:
            return True
        return self._sightings.ran_past(order, report, self._engine.state, self._clock.now())

    async def _reports(self, symbol: str, asked: Sequence[Order], shown: Sequence[OrderReport] | None) -> Reports:
        """What the exchange shows of each: a list of open orders, and a look at each live one not among them."""
        if not asked:
            return {}
        listed = await patiently(partial(self._broker.open_orders, symbol)) if shown is None else shown
        reports: Reports = {r.client_id: r for r in listed if r.symbol == symbol}
        for order in asked:
            if order.client_id not in reports and order.live:
                reports[order.client_id] = await patiently(partial(self._broker.find, symbol, order.client_id))
        return reports

    async def _begin(self, symbol: str) -> None:
        """Trades before the first look are in the adopted balances: the count starts after the newest of them."""
        if symbol not in self._engine.state.last_trades:
            newest = await patiently(partial(self._broker.newest_trade_id, symbol))
            await self._post(TradesBegan(self._clock.now(), f"reconcile:{symbol}", symbol, newest))

    async def _trades(self, symbol: str) -> None:
        last = self._engine.state.last_trades.get(symbol)
        if last is None:
            return
        read = partial(self._broker.trades, symbol, str(last) if last >= 0 else "")
        for fill in await patiently(read):
            await self._post(Filled(self._clock.now(), self._trace(symbol), fill))

    def _trace(self, symbol: str) -> str:
        """The trace of the bar that led to this position, so that its fills and its end are found with it."""
        position = self._engine.state.positions.get(symbol)
        return intent_trace(position.intent) if position else f"reconcile:{symbol}"

    # what follows --------------------------------------------------------------------------------------------------

    def _learned(self, order: Order, report: OrderReport | None) -> Event | None:
        """The event that follows from what the exchange shows of ``order``, or None when nothing changed."""
        now = self._clock.now()
        trace = self._trace(order.symbol)
        if report is None:
            given_up = order.purpose is Purpose.ENTRY and order.state in IN_DOUBT and now >= _watched_until(order)
            return Absent(now, trace, order.client_id) if given_up else None
        if report.state in FINAL_STATES and report.filled_qty == order.filled_qty:
            return Canceled(now, trace, order.client_id, expired=report.state is not OrderState.CANCELED)
        if order.state in (*IN_DOUBT, OrderState.ABSENT, OrderState.REJECTED):
            return Accepted(now, trace, order.client_id, report.exchange_id, report.list_id)
        past = self._sightings.ran_past(order, report, self._engine.state, now)
        return StopRanPast(now, trace, order.client_id) if past else None

    async def _doubtful_sales(self, symbol: str, reports: Reports) -> None:
        """Where no read shows a sale in doubt, read the balance again and let the machine decide."""
        now = self._clock.now()
        orders = [o for o in self._engine.state.orders.values() if o.symbol == symbol and o.side is Side.SELL]
        doubtful = [o for o in orders if o.state in IN_DOUBT and reports.get(o.client_id, o) is None]
        alone = [o for o in doubtful if placed(self._engine.state, o)]  # the others wait for the watch over their entry
        ripe = [o for o in alone if now - (o.asked_at or o.created_at) >= ASK_AGAIN]
        if not ripe:
            return
        held = await patiently(self._broker.balances)
        total = held.get(self._engine.state.instruments[symbol].base)
        for order in ripe:
            event = StillHeld(self._clock.now(), self._trace(symbol), order.client_id, total or order.qty * 0)
            await self._post_if_it_matters(event)

    def _filling(self) -> bool:
        """Whether an order is live that is meant to fill now."""
        now = self._clock.now()
        doubtful = (o for o in self._engine.state.orders.values() if o.live and o.purpose not in PROTECTIVE)
        # what executed longer ago than any read lags would be among the trades by now
        return any(o.state not in IN_DOUBT or now - o.created_at < READ_LAG_MAX for o in doubtful)

    async def _post(self, event: Event) -> None:
        self._notes.add(event)
        await self._engine.post(event)

    async def _post_if_it_matters(self, event: Event) -> None:
        """Post what changes anything; asked of the pure machine first: the journal keeps no empty looks."""
        before = self._engine.state
        after, effects = step(before, event)
        if effects or after.with_(seq=before.seq) != before:
            await self._post(event)


def _watched_until(order: Order) -> datetime:
    """When an entry in doubt may be given up: past its watch, and past the last moment it could be accepted."""
    return max(order.created_at + ENTRY_WATCH, (order.send_by or order.created_at) + FENCE)


def _may_live(order: Order) -> bool:
    """Whether the exchange may still hold this order: it is live, or was given up, or called refused by mistake."""
    return order.live or order.state in (OrderState.ABSENT, OrderState.REJECTED)
