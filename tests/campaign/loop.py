"""An event loop whose time is virtual: it jumps to the next timer as soon as nothing is ready.

Rule 1: no sockets, no threads, no wall: what would run in an executor runs at once, in place.
Rule 2: ready callbacks keep the order asyncio promises; of timers due at the same moment a seed decides which is first.
Rule 3: a loop that waits for nothing at all would hang for ever, so it fails.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from random import Random
from typing import Any

TIE_S = 1e-5


class Standstill(Exception):
    """Nothing is ready, no timer runs, and somebody still waits."""


class _Nap:
    """Stands where a selector stands; its sleep is a jump of the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Standstill("nobody will ever wake anybody up")
        self._loop.jump()
        return []

    def close(self) -> None:
        """Nothing is held."""


class VirtualLoop(asyncio.BaseEventLoop):
    """``time()`` is seconds since the life began."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seconds = 0.0
        self._ties = Random(f"ties {seed}")
        self._clock_resolution = 1e-9
        self._selector = _Nap(self)

    def time(self) -> float:
        return self._seconds

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when + self._ties.random() * TIE_S, callback, *args, context=context)

    def jump(self) -> None:
        """Move on to the next timer, if none is due yet and nothing is ready."""
        if not self._ready and self._scheduled:
            self._seconds = max(self._seconds, self._scheduled[0].when())

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def close(self) -> None:
        self._scheduled.clear()
        heapq.heapify(self._scheduled)
        super().close()


def live(seed: int, main: Callable[[], Any]) -> Any:
    """What the coroutine of ``main`` returns, run to its end in virtual time; then every task left is dropped."""
    loop = VirtualLoop(seed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main())
    finally:
        for _ in range(20):
            left = asyncio.all_tasks(loop)
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        asyncio.set_event_loop(None)
        loop.close()
