"""Acts on committed effects: sends orders, cancels, and posts what came of it as events.

Rule 1: an effect reaches this queue only after its commit; one worker, first in first out.
Rule 2: nothing is ever sent twice from here: a doubt becomes Unknown and is left to reconcile; what was given up
        while it waited is not sent at all.
Rule 3: the engine never waits for this; this may wait for the engine.
Rule 4: a failure of our own ends this loudly; nobody waits for what will not be done any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater
from core.domain.events import Accepted, Cancel, CancelRefused, Event, Rejected, Submit, SubmitPair, Unknown
from core.domain.orders import Order, OrderState, Side
from core.ports import Broker, Clock, Committed, OrderReport
from core.run.engine import Engine

QUEUE_SIZE = 10_000
CANCEL_TRIES = 5
SALE_TRIES = 3
SALE_WAIT_MAX_S = 3.0
Action = Submit | SubmitPair | Cancel
log = structlog.get_logger()


def _symbol(action: Action) -> str:
    if isinstance(action, Submit):
        return action.order.symbol
    return action.stop.symbol if isinstance(action, SubmitPair) else action.symbol


class Executor:
    """Sends what the engine committed; ``follow`` then looks at the symbol's orders, so that fills come at once."""

    def __init__(self, engine: Engine, broker: Broker, clock: Clock, follow: Callable[[str], Awaitable[None]]) -> None:
        self._engine = engine
        self._broker = broker
        self._clock = clock
        self._follow = follow
        self._queue: asyncio.Queue[tuple[Action, str]] = asyncio.Queue(QUEUE_SIZE)
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
            while True:
                effect, trace = await self._queue.get()
                try:
                    with structlog.contextvars.bound_contextvars(trace=trace):
                        await self._act(effect, trace)
                        await self._look(effect)
                finally:
                    self._done()
        except Exception as failure:
            self._failure = failure
            raise
        finally:
            self._stopped = True
            while not self._queue.empty():
                self._queue.get_nowait()
                self._done()

    def _done(self) -> None:
        self._waiting -= 1
        self._queue.task_done()

    async def _act(self, effect: Action, trace: str) -> None:
        if isinstance(effect, Submit):
            await self._send((effect.order,), trace)
        elif isinstance(effect, SubmitPair):
            await self._send((effect.stop, effect.target), trace)
        else:
            await self._cancel(effect, trace)

    async def _look(self, effect: Action) -> None:
        """What came of it, as far as the exchange shows it already; the regular poll sees the rest."""
        try:
            await self._follow(_symbol(effect))
        except (RetryLater, OutcomeUnknown, NeedsOwner, BadData, Refused) as later:
            log.warning("look later", why=later.user_text)

    async def _send(self, orders: tuple[Order, ...], trace: str) -> None:
        """Send one order or a pair and post its outcome, one event an order."""
        if not all(self._planned(order) for order in orders):
            log.warning("not sent, it was given up meanwhile", orders=[o.client_id for o in orders])
            return
        events: list[Event]
        at = self._clock.now
        try:
            reports = await self._submit_patiently(orders)
            events = [Accepted(at(), trace, r.client_id, r.exchange_id, r.list_id) for r in reports]
        except OutcomeUnknown as doubt:
            events = [Unknown(at(), trace, o.client_id, doubt.user_text) for o in orders]
        except (Refused, RetryLater, NeedsOwner, BadData) as proof:
            code = getattr(proof, "code", type(proof).__name__)
            events = [Rejected(at(), trace, o.client_id, code, proof.user_text) for o in orders]
        log.info("sent", orders=[o.client_id for o in orders], outcome=[type(e).__name__ for e in events])
        for event in events:
            await self._engine.post(event)

    def _planned(self, order: Order) -> bool:
        now = self._engine.state.orders.get(order.client_id)
        return now is not None and now.state is OrderState.PLANNED

    async def _submit_patiently(self, orders: tuple[Order, ...]) -> Sequence[OrderReport]:
        """Send; what was proven not sent is tried again for a sale, for protection must not fail over a short wait."""
        for _ in range(SALE_TRIES - 1 if orders[0].side is Side.SELL else 0):
            try:
                return await self._submit(orders)
            except RetryLater as later:
                log.warning("not sent yet", orders=[o.client_id for o in orders], why=later.user_text)
                await asyncio.sleep(min(later.retry_after_s, SALE_WAIT_MAX_S))
        return await self._submit(orders)

    async def _submit(self, orders: tuple[Order, ...]) -> Sequence[OrderReport]:
        if len(orders) == 1:
            return [await self._broker.submit(orders[0])]
        return await self._broker.submit_pair(*orders)

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
            except FirstmateError as failure:
                log.error("cancel failed", client_id=effect.client_id, why=failure.user_text)
                return None
        return None
