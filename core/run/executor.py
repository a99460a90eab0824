"""Acts on committed effects: sends orders, cancels, and posts what came of it as events.

Rule 1: an effect reaches this queue only after its commit; one symbol's actions run one after another, those of
        different symbols beside each other, so that one slow cancel holds up no other symbol's stop.
Rule 2: nothing is ever sent twice from here by itself: a doubt becomes Unknown and is left to reconcile; what was
        given up while it waited, and an entry past its time, is not sent at all.
Rule 3: the engine never waits for this; this may wait for the engine.
Rule 4: a failure of our own ends this loudly; nobody waits for what will not be done any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog

from core.domain.effects import Cancel, Submit, SubmitBracket, SubmitPair
from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater
from core.domain.events import Accepted, AccessLost, Canceled, CancelRefused, Event, Rejected, Unknown
from core.domain.orders import FINAL_STATES, Order, OrderState, Side
from core.domain.state import TradingState
from core.ports import Broker, Clock, Committed, OrderReport
from core.run.engine import Engine

QUEUE_SIZE = 10_000
CANCEL_TRIES = 5
SEND_TRIES = 3
SEND_WAIT_MAX_S = 3.0
Action = Submit | SubmitPair | SubmitBracket | Cancel
Queued = tuple[Action, str]
log = structlog.get_logger()


def orders_in(action: Action) -> tuple[Order, ...]:
    """The orders an action sends, the one that is told of first in front."""
    match action:
        case Submit(order=order):
            return (order,)
        case SubmitPair(stop=stop, target=target):
            return stop, target
        case SubmitBracket(entry=entry, stop=stop, target=target):
            return entry, stop, target
    return ()


def symbol_of(action: Action) -> str:
    """The symbol an action is about."""
    return action.symbol if isinstance(action, Cancel) else orders_in(action)[0].symbol


def _said(at: datetime, trace: str, report: OrderReport) -> Event:
    """What the answer proves: the order is there, or it came and went without a trade."""
    if report.state in FINAL_STATES and report.state is not OrderState.FILLED and not report.filled_qty:
        return Canceled(at, trace, report.client_id, expired=report.state is not OrderState.CANCELED)
    return Accepted(at, trace, report.client_id, report.exchange_id, report.list_id)


class Executor:
    """Sends what the engine committed; ``follow`` then looks at the symbol's orders, so that fills come at once.

    With ``one_lane`` all symbols share one lane: a world that takes turns stays the same in every run.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        clock: Clock,
        follow: Callable[[str], Awaitable[None]],
        *,
        one_lane: bool = False,
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._clock = clock
        self._follow = follow
        self._one_lane = one_lane
        self._queue: asyncio.Queue[Queued] = asyncio.Queue(QUEUE_SIZE)
        self._lanes: dict[str, deque[Queued]] = {}
        self._waiting = 0
        self._stopped = False
        self._failure: BaseException | None = None
        engine.listen(self._hear)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or under way."""
        return not self._waiting

    async def settled(self) -> None:
        """Wait until everything queued so far is through. Raises FirstmateError once this has stopped."""
        await self._queue.join()
        if self._stopped:
            raise FirstmateError("The executor has stopped.") from self._failure

    def _hear(self, committed: Committed) -> None:
        for effect in committed.effects:
            if isinstance(effect, Action) and not self._stopped:
                self._queue.put_nowait((effect, committed.event.trace))
                self._waiting += 1

    async def run(self) -> None:
        """Work the queue until cancelled; what still waits then is in the journal, for the next start to judge."""
        try:
            async with asyncio.TaskGroup() as workers:
                while True:
                    queued = await self._queue.get()
                    name = "" if self._one_lane else symbol_of(queued[0])
                    lane = self._lanes.get(name)
                    if lane is None:
                        lane = self._lanes[name] = deque()
                        workers.create_task(self._work(name, lane), name=f"lane {name}")
                    lane.append(queued)
        except BaseExceptionGroup as group:
            self._failure = group.exceptions[0]
            raise self._failure from None
        finally:
            self._stopped = True
            self._abandon()

    async def _work(self, name: str, lane: deque[Queued]) -> None:
        """One lane, for as long as there is something in it."""
        try:
            while lane:
                action, trace = lane.popleft()
                try:
                    with structlog.contextvars.bound_contextvars(trace=trace):
                        await self._act(action, trace)
                        await self._look(action)
                finally:
                    self._done()
        finally:
            del self._lanes[name]
            for _ in lane:
                self._done()

    def _abandon(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
            self._done()

    def _done(self) -> None:
        self._waiting -= 1
        self._queue.task_done()

    async def _act(self, action: Action, trace: str) -> None:
        if isinstance(action, Cancel):
            await self._cancel(action, trace)
        elif all(self._may_be_sent(order) for order in orders_in(action)):
            await self._send(action, trace)
        else:
            log.warning("not sent, it was given up meanwhile", orders=[o.client_id for o in orders_in(action)])

    async def _look(self, action: Action) -> None:
        """What came of it, as far as the exchange shows it already; the regular looks see the rest."""
        try:
            await self._follow(symbol_of(action))
        except (RetryLater, OutcomeUnknown, NeedsOwner, BadData, Refused) as later:
            log.warning("look later", why=later.user_text)

    def _may_be_sent(self, order: Order) -> bool:
        """Whether the state still wants this order: never sent, or a pair in doubt that is asked for again."""
        now = self._engine.state.orders.get(order.client_id)
        again = order.asked_at is not None
        return now is not None and (now.state is OrderState.PLANNED or (again and now.state is OrderState.MAYBE_SENT))

    async def _send(self, action: Action, trace: str) -> None:
        """Send one order or a list and post its outcome, one event an order."""
        orders = orders_in(action)
        at = self._clock.now
        events: list[Event]
        try:
            reports = await self._submit_patiently(action)
            events = [_said(at(), trace, report) for report in reports]
        except OutcomeUnknown as doubt:
            events = [Unknown(at(), trace, o.client_id, doubt.user_text) for o in orders]
        except (Refused, RetryLater, NeedsOwner, BadData) as proof:
            events = self._refused(orders, trace, proof)
        log.info("sent", orders=[o.client_id for o in orders], outcome=[type(e).__name__ for e in events])
        for event in events:
            await self._engine.post(event)

    def _refused(self, orders: Sequence[Order], trace: str, proof: FirstmateError) -> list[Event]:
        """A refusal proves nothing about an earlier sending of the same order that may still come true."""
        now = self._clock.now()
        if orders[0].asked_at:
            return [Unknown(now, trace, o.client_id, proof.user_text) for o in orders]
        code = getattr(proof, "code", type(proof).__name__)
        events: list[Event] = [Rejected(now, trace, o.client_id, code, proof.user_text) for o in orders]
        if isinstance(proof, NeedsOwner):
            events.append(AccessLost(now, trace, proof.user_text))
        return events

    async def _submit_patiently(self, action: Action) -> Sequence[OrderReport]:
        """Send; what was proven not sent is tried again, an entry only while it may still be sent."""
        order = orders_in(action)[0]
        for _ in range(SEND_TRIES - 1):
            self._check_time(order)
            try:
                return await self._submit(action)
            except RetryLater as later:
                log.warning("not sent yet", client_id=order.client_id, why=later.user_text)
                await asyncio.sleep(min(later.retry_after_s, SEND_WAIT_MAX_S))
        self._check_time(order)
        return await self._submit(action)

    def _check_time(self, order: Order) -> None:
        """Raises Refused for an entry whose moment has passed, or that was called off while it waited."""
        if order.side is not Side.BUY:
            return
        if order.send_by and self._clock.now() > order.send_by:
            raise Refused("it could not be sent in time", "TOO_LATE")
        state = self._engine.state
        position = state.positions.get(order.symbol)
        if position is None or position.leaving or state.trading.state is TradingState.HALTED:
            raise Refused("it was called off", "CALLED_OFF")

    async def _submit(self, action: Action) -> Sequence[OrderReport]:
        if isinstance(action, SubmitBracket):
            return await self._broker.submit_bracket(action.entry, action.stop, action.target)
        if isinstance(action, SubmitPair):
            return await self._broker.submit_pair(action.stop, action.target)
        return [await self._broker.submit(orders_in(action)[0])]

    async def _cancel(self, effect: Cancel, trace: str) -> None:
        """Cancel, safe to repeat; what the exchange then says of the order comes through reconcile."""
        for attempt in range(CANCEL_TRIES):
            try:
                return await self._broker.cancel(effect.symbol, effect.client_id)
            except Refused as gone:
                await self._engine.post(CancelRefused(self._clock.now(), trace, effect.client_id, gone.user_text))
                return None
            except (OutcomeUnknown, RetryLater) as later:
                wait_s = getattr(later, "retry_after_s", 1.0)
                log.warning("cancel again", client_id=effect.client_id, attempt=attempt, why=later.user_text)
                await asyncio.sleep(min(wait_s, 30.0))
            except NeedsOwner as lost:
                await self._engine.post(AccessLost(self._clock.now(), trace, lost.user_text))
                return None
            except FirstmateError as failure:
                log.error("cancel failed", client_id=effect.client_id, why=failure.user_text)
                return None
        return None
