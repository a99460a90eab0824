"""Reading from an exchange that fails now and then and shows old truths.

Rule 1: a read changes nothing, so it may be tried again at once; not where the exchange asks to be left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.domain.errors import RetryLater

TRIES = 3
PAUSE_MAX_S = 1.0
T = TypeVar("T")


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What a read brings; one that failed is tried twice more unless the exchange asks for a longer pause."""
    for _ in range(TRIES - 1):
        try:
            return await read()
        except RetryLater as later:
            if later.retry_after_s > PAUSE_MAX_S:
                raise
            await asyncio.sleep(PAUSE_MAX_S / 4)
    return await read()
