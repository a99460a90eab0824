"""Keeps the long-running parts alive together, or stops them together.

Rule 1: when one part ends, for whatever reason, all are stopped in reverse order and the reason is raised.
Rule 2: the watchdog is fed only while the engine takes events and no part is silent beyond its patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from core.domain.errors import FirstmateError

log = structlog.get_logger()
STOP_WITHIN_S = 10.0


async def run_together(parts: Mapping[str, Callable[[], Awaitable[None]]], stop: asyncio.Event) -> None:
    """Run every part until ``stop`` is set or one of them ends; then cancel the others and wait for them, bounded.

    Raises what a part raised, or FirstmateError naming the part that ended without a word.
    """
    tasks = {name: asyncio.ensure_future(part()) for name, part in parts.items()}
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({*tasks.values(), stopping}, return_when=asyncio.FIRST_COMPLETED)
        ended = [name for name, task in tasks.items() if task.done()]
    finally:
        stopping.cancel()
        for task in reversed(tasks.values()):
            task.cancel()
        await asyncio.wait(tasks.values(), timeout=STOP_WITHIN_S)
    for name in ended:
        failure = None if tasks[name].cancelled() else tasks[name].exception()
        if failure:
            raise failure
        if not stop.is_set():
            raise FirstmateError(f"The {name} ended unexpectedly.")
