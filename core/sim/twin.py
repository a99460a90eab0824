"""The paper twin's account: a paper broker that begins with given balances and can be paid in and out.

Rule 1: what it began with is saved before its first order, so a restart goes on with it, whatever live holds by then.
Rule 2: money comes and goes between orders, never in the middle of one, and what open orders hold stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import msgspec

from core.decide.costs import Fills
from core.decide.venue import Balance, Venue
from core.domain.errors import StoreUnusable
from core.ports import Clock, MarketData
from core.sim.paper import Load, PaperBook, PaperBroker, Save


class TwinBroker(PaperBroker):
    """A paper broker with a cashier; build it with ``open_twin``."""

    async def transfer(self, asset: str, amount: Decimal) -> Decimal:
        """Pay ``amount`` of an asset in, or out where it is negative, at most what is free; what was moved."""
        async with self._one_at_a_time:
            venue = self._book.venue
            held = venue.balances.get(asset, Balance())
            moved = max(amount, -held.free)
            paid = {**venue.balances, asset: replace(held, free=held.free + moved)}
            await self._adopt(self._book, replace(venue, balances=paid), ())
            return moved


async def open_twin(
    market: MarketData,
    clock: Clock,
    span: timedelta,
    balances: Mapping[str, Decimal],
    *,
    save: Save,
    load: Load,
) -> TwinBroker:
    """The twin's account as it was left, or a new one with ``balances``. Raises StoreUnusable."""
    saved = await load()
    if saved is None:
        book = PaperBook(Venue(balances={asset: Balance(amount) for asset, amount in balances.items() if amount}))
        await save(msgspec.json.encode(book))
    else:
        book = _read(saved)
    return TwinBroker(book, market, clock, span, save, Fills())


def _read(saved: bytes) -> PaperBook:
    try:
        return msgspec.json.decode(saved, type=PaperBook)
    except msgspec.MsgspecError as fault:
        raise StoreUnusable(f"the paper twin's account cannot be read ({fault}): remove its folder") from fault
