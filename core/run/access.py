"""What the exchange's key may do, looked at before live begins and every hour after.

Rule 1: a right too much, a right too few and a right nobody can tell are all the same: nothing is traded with that key.
Rule 2: an exchange that cannot be reached says nothing about a key: that is tried again, not taken for a lost one.
"""

from __future__ import annotations

from core.domain.errors import FirstmateError, NeedsOwner, OutcomeUnknown, RetryLater
from core.domain.events import AccessLost
from core.ports import Account, Clock
from core.run.engine import Engine
from core.run.golive import rights_fault

EVERY_S = 3600.0
PATIENCE_S = 4 * EVERY_S


class Access:
    """Asks an account what its key may do."""

    def __init__(self, account: Account, engine: Engine, clock: Clock) -> None:
        self._account = account
        self._engine = engine
        self._clock = clock

    async def admit(self) -> None:
        """Pass when the key may do what is needed, nothing else. Raises NeedsOwner, or RetryLater for the network."""
        fault = await self._fault()
        if fault:
            raise NeedsOwner(fault)

    async def watch(self) -> None:
        """Tell the machine when the key is no longer as it must be. Raises RetryLater for the network."""
        fault = await self._fault()
        if fault:
            await self._engine.post(AccessLost(self._clock.now(), "access", fault))

    async def _fault(self) -> str:
        try:
            return rights_fault(await self._account.rights())
        except (RetryLater, OutcomeUnknown):
            raise
        except FirstmateError as error:
            return rights_fault(error.user_text.rstrip("."))
