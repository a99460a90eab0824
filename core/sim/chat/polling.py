"""getUpdates as Telegram does it: long polling, offsets that acknowledge, one poller at a time.

Rule 1: an offset confirms every update below it; a negative one keeps only the last so many.
Rule 2: a second getUpdates ends the waiting one with 409 and takes its place.
Rule 3: an update stays queued until a later offset confirms it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from core.sim.chat import room as events
from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.room import Acting, Event
from core.sim.chat.values import ApiError

LIMIT_MAX = 100
TIMEOUT_MAX_S = 50
CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


class Poller:
    """The one place where the bot's long poll waits."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._waiting: asyncio.Future[bool] | None = None
        self._closed = False
        chat.listeners.append(self._heard)

    def _heard(self, event: Event | Acting) -> None:
        if isinstance(event, events.Queued):
            self._wake(stay=True)

    def _wake(self, *, stay: bool) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(stay)

    def close(self) -> None:
        """Send a waiting poll home with nothing."""
        self._closed = True
        self._wake(stay=True)

    async def get_updates(self, call: Call) -> list[dict[str, Any]]:
        """Up to ``limit`` (1-100) oldest waiting updates; waits up to ``timeout`` s (0-50) for the first."""
        self._wake(stay=False)
        self._acknowledge(call.integer("offset"))
        self._remember_kinds(call)
        deadline = asyncio.get_running_loop().time() + min(max(call.integer("timeout"), 0), TIMEOUT_MAX_S)
        while not self._chat.room.pending and not self._closed:
            if not await self._wait(deadline):
                break
        limit = min(max(call.integer("limit", LIMIT_MAX), 1), LIMIT_MAX)
        waiting = list(self._chat.room.pending.values())[:limit]
        return [{"update_id": update.update_id, update.kind: update.payload} for update in waiting]

    async def _wait(self, deadline: float) -> bool:
        """True when something arrived, False when time is up. Raises ApiError 409 when another poll took over."""
        mine = asyncio.get_running_loop().create_future()
        self._waiting = mine
        try:
            async with asyncio.timeout_at(deadline):
                stay: bool = await mine
        except TimeoutError:
            return False
        finally:
            if self._waiting is mine:
                self._waiting = None
        if not stay:
            raise ApiError(409, CONFLICT)
        return True

    def _acknowledge(self, offset: int) -> None:
        pending = sorted(self._chat.room.pending)
        if offset < 0 and pending:
            offset = pending[max(0, len(pending) + offset)]
        if pending and offset > pending[0]:
            self._chat.record(events.Acked(offset))

    def _remember_kinds(self, call: Call) -> None:
        given = call.json("allowed_updates", "allowed_updates")
        if not isinstance(given, list):
            return
        kinds = tuple(str(kind) for kind in given)
        if kinds != self._chat.room.kinds:
            self._chat.record(events.KindsWanted(kinds))
