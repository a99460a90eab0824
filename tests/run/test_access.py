"""What the key may do: nothing starts with a wrong key, and a key that turns wrong halts trading."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.domain.errors import BadData, FirstmateError, NeedsOwner, Refused, RetryLater
from core.domain.events import AccessLost
from core.domain.state import State, TradingState
from core.ports import Rights
from core.run.access import Access
from core.run.engine import Engine
from tests.run.fakes import HandClock, MemoryJournal
from tests.run.samples import opening


@dataclass
class KeyRing:
    """An account whose answers about its key are laid out beforehand; the last one stays."""

    answers: list[Rights | FirstmateError] = field(default_factory=list)

    async def rights(self) -> Rights:
        """The next answer."""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, FirstmateError):
            raise answer
        return answer


WELL = Rights((), ())
WRONG = Rights(("enableWithdrawals", "enableFutures"), ("ipRestrict",))
UNKNOWN = [BadData("the answer names no rights"), NeedsOwner("the key is not known"), Refused("no", "-1100")]


@asynccontextmanager
async def watched(*answers: Rights | FirstmateError) -> AsyncIterator[tuple[Access, Engine]]:
    """An engine at work with the watch over its key."""
    engine = Engine(MemoryJournal(), State())
    running = asyncio.ensure_future(engine.run())
    for event in opening("BTCUSDT"):
        await engine.post(event)
    try:
        yield Access(KeyRing(list(answers)), engine, HandClock()), engine
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_good_key_is_admitted_and_changes_nothing():
    """No event is written for what is as it must be."""
    async with watched(WELL) as (access, engine):
        seq = engine.state.seq
        await access.admit()
        await access.watch()
        assert (engine.state.seq, engine.state.trading.state) == (seq, TradingState.ACTIVE)


async def test_a_key_with_wrong_rights_is_not_admitted_and_each_is_named():
    """One line, every right, every box."""
    async with watched(WRONG) as (access, _):
        with pytest.raises(NeedsOwner) as refused:
            await access.admit()
        line = refused.value.user_text
        assert "\n" not in line
        assert all(name in line for name in ("enableWithdrawals", "enableFutures", "ipRestrict"))


@pytest.mark.parametrize("answer", UNKNOWN)
async def test_rights_nobody_can_tell_are_not_good_enough(answer: FirstmateError):
    """Unknown is refused at the start and halts later."""
    async with watched(answer) as (access, engine):
        with pytest.raises(NeedsOwner, match="not known"):
            await access.admit()
        await access.watch()
        assert engine.state.trading.state is TradingState.HALTED


async def test_a_key_that_turns_wrong_halts_trading():
    """The owner ticked a box too much at the exchange: nothing more is bought with that key."""
    async with watched(WELL, WRONG) as (access, engine):
        await access.watch()
        assert engine.state.trading.state is TradingState.ACTIVE
        await access.watch()
        assert engine.state.trading.state is TradingState.HALTED
        assert "enableWithdrawals" in engine.state.trading.reason


async def test_an_exchange_that_cannot_be_reached_takes_no_key_away():
    """A cut line is tried again; it neither admits nor halts."""
    async with watched(RetryLater("no network")) as (access, engine):
        for asked in (access.admit, access.watch):
            with pytest.raises(RetryLater):
                await asked()
        assert engine.state.trading.state is TradingState.ACTIVE


async def test_the_event_of_a_lost_key_carries_the_line():
    """The journal says why trading stopped."""
    async with watched(WRONG) as (access, engine):
        heard: list[AccessLost] = []
        engine.listen(lambda line: heard.append(line.event) if isinstance(line.event, AccessLost) else None)
        await access.watch()
        assert len(heard) == 1
        assert "untick “Enable Withdrawals”" in heard[0].text
