"""A server that is all there is in this process, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine


async def until_stopped(server: Coroutine[None, None, None]) -> None:
    """Run ``server`` until it ends, fails, or a signal asks for the end; it is cancelled and awaited then."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server, name="server")
    asked = asyncio.create_task(stop.wait(), name="signals")
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    for task in (serving, asked):
        task.cancel()
    ended, _ = await asyncio.gather(serving, asked, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
