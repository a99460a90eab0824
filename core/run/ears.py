"""Listens to the exchange's own stream about our orders, and looks at once where it heard something.

Rule 1: the stream proves nothing: what it says is looked up; without it everything still works, only later.
Rule 2: after each (re)connection everything is compared, for a stream loses what happened while it was away.
Rule 3: bounded: what was heard is a set of symbols, however much was said.
"""

from __future__ import annotations

import asyncio

import structlog

from core.domain.errors import FirstmateError
from core.ports import Stream
from core.run.reconcile import Reconcile

log = structlog.get_logger()


class Ears:
    """Runs for as long as the assistant does."""

    def __init__(self, stream: Stream, reconcile: Reconcile) -> None:
        self._stream = stream
        self._reconcile = reconcile
        self._heard: set[str] = set()
        self._all = False
        self._something = asyncio.Event()

    async def run(self) -> None:
        """Listen and look until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._stream.listen(self._hear, self._connected), name="stream")
            both.create_task(self._look(), name="ears")

    def _hear(self, symbol: str) -> None:
        if symbol:
            self._heard.add(symbol)
        else:
            self._all = True
        self._something.set()

    def _connected(self) -> None:
        self._all = True
        self._something.set()

    async def _look(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            everything, symbols = self._all, sorted(self._heard)
            self._all, self._heard = False, set()
            try:
                if everything:
                    await self._reconcile.full("stream")
                else:
                    for symbol in symbols:
                        await self._reconcile.symbol(symbol)
            except FirstmateError as later:  # the regular looks come anyway
                log.info("heard, but could not look", why=later.user_text)
