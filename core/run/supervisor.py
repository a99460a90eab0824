"""Keeps the long-running parts alive together, or stops them together.

Rule 1: when one part ends, for whatever reason, all are stopped in reverse order, each before those it stands on,
        and the reason is raised.
Rule 2: the watchdog is fed only while the engine takes events and no part is silent beyond its patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from core.domain.errors import FirstmateError

log = structlog.get_logger()
STOP_WITHIN_S = 10.0
LAST_CHANCE_S = 0.1


async def run_together(parts: Mapping[str, Callable[[], Awaitable[None]]], stop: asyncio.Event) -> None:
    """Run every part until ``stop`` is set or one of them ends; then stop the others, bounded.

    Raises what a part raised, or FirstmateError naming the part that ended without a word.
    """
    tasks = {name: asyncio.ensure_future(part()) for name, part in parts.items()}
    stopping = asyncio.ensure_future(stop.wait())
    ended: list[str] = []
    try:
        await asyncio.wait({*tasks.values(), stopping}, return_when=asyncio.FIRST_COMPLETED)
        ended = [name for name, task in tasks.items() if task.done()]
    finally:
        stopping.cancel()
        await _stop(tasks)
        _tell_late_failures(tasks, ended)
    for name in ended:
        failure = _failure(tasks[name])
        if failure:
            raise failure
        if not stop.is_set():
            raise FirstmateError(f"The {name} ended unexpectedly.")


async def _stop(tasks: Mapping[str, asyncio.Future[None]]) -> None:
    """Cancel the last part first and the next one once it has ended, all within STOP_WITHIN_S seconds."""
    now = asyncio.get_running_loop().time
    until = now() + STOP_WITHIN_S
    try:
        for task in reversed(list(tasks.values())):
            task.cancel()
            await asyncio.wait([task], timeout=max(LAST_CHANCE_S, until - now()))
    finally:
        for task in tasks.values():
            task.cancel()


def _tell_late_failures(tasks: Mapping[str, asyncio.Future[None]], known: Sequence[str]) -> None:
    for name, task in tasks.items():
        failure = _failure(task) if task.done() and name not in known else None
        if failure:
            log.error("a part failed while it was stopped", part=name, why=str(failure))


def _failure(task: asyncio.Future[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()
