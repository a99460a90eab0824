"""What the exchange's key may do, looked at before live begins and every hour after.

Rule 1: a right too much, a right too few, one that ended and one nobody can tell are all the same: nothing is traded
        with that key.
Rule 2: an exchange that cannot be reached says nothing about a key: before live nothing starts until it speaks, later
        it is asked again, and trading halts when it has not said for PATIENCE_S what the key may do.
"""

from __future__ import annotations

from datetime import timedelta

from core.decide.step import step
from core.domain.errors import FirstmateError, NeedsOwner, OutcomeUnknown, RetryLater
from core.domain.events import AccessLost, KeyExpires
from core.ports import Account, Clock, Rights
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
        self._known_at = clock.now()

    async def admit(self) -> None:
        """Pass when the key may do what is needed, nothing else. Raises NeedsOwner, or RetryLater for the network."""
        fault = rights_fault(await self._rights(), self._clock.now())
        if fault:
            raise NeedsOwner(fault)

    async def watch(self) -> None:
        """Tell the machine when the key is no longer as it must be, or soon will not be. Raises RetryLater."""
        try:
            found = await self._rights()
        except (RetryLater, OutcomeUnknown) as unreached:
            if self._clock.now() - self._known_at >= timedelta(seconds=PATIENCE_S):
                await self._lost(rights_fault(unreached.user_text.rstrip("."), self._clock.now()))
            raise
        fault = rights_fault(found, self._clock.now())
        if fault:
            await self._lost(fault)
        elif isinstance(found, Rights) and found.expires_at:
            await self._warn(KeyExpires(self._clock.now(), "access", found.expires_at))

    async def _rights(self) -> Rights | str:
        """What the key may do, or why the exchange does not say. Raises RetryLater where it cannot be reached."""
        try:
            found: Rights | str = await self._account.rights()
        except (RetryLater, OutcomeUnknown):
            raise
        except FirstmateError as error:
            found = error.user_text.rstrip(".")
        self._known_at = self._clock.now()
        return found

    async def _lost(self, fault: str) -> None:
        await self._engine.post(AccessLost(self._clock.now(), "access", fault))

    async def _warn(self, event: KeyExpires) -> None:
        if step(self._engine.state, event)[1]:  # asked of the pure machine first: the journal keeps no empty warnings
            await self._engine.post(event)
