"""What the key may do: nothing starts with a wrong key, and a key that turns wrong halts trading."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from core.domain.effects import Tell
from core.domain.errors import BadData, FirstmateError, NeedsOwner, Refused, RetryLater
from core.domain.events import AccessLost, KeyExpires
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
async def watched(
    *answers: Rights | FirstmateError, clock: HandClock | None = None
) -> AsyncIterator[tuple[Access, Engine]]:
    """An engine at work with the watch over its key."""
    engine = Engine(MemoryJournal(), State())
    running = asyncio.ensure_future(engine.run())
    for event in opening("BTCUSDT"):
        await engine.post(event)
    try:
        yield Access(KeyRing(list(answers)), engine, clock or HandClock()), engine
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


async def test_an_exchange_that_does_not_say_for_four_hours_halts_trading():
    """A door that stays shut must not be a way around the question."""
    clock = HandClock()
    async with watched(RetryLater("no network"), clock=clock) as (access, engine):
        for hour in range(4):
            clock.at += timedelta(hours=hour and 1)
            with pytest.raises(RetryLater):
                await access.watch()
            assert engine.state.trading.state is TradingState.ACTIVE, hour
        clock.at += timedelta(hours=1)
        with pytest.raises(RetryLater):
            await access.watch()
        assert engine.state.trading.state is TradingState.HALTED
        assert "not known: no network" in engine.state.trading.reason


async def test_an_answer_in_between_starts_the_four_hours_anew():
    """Only silence without an end counts."""
    clock = HandClock()
    async with watched(RetryLater("cut"), WELL, RetryLater("cut"), clock=clock) as (access, engine):
        for _ in range(3):
            clock.at += timedelta(hours=2)
            with contextlib.suppress(RetryLater):
                await access.watch()
        assert engine.state.trading.state is TradingState.ACTIVE


async def test_a_right_to_trade_that_will_end_is_told_once_a_day_and_never_as_an_empty_line():
    """The hourly look writes to the journal only what it has to say."""
    clock = HandClock()
    ending = Rights((), (), clock.now() + timedelta(days=10))
    async with watched(ending, clock=clock) as (access, engine):
        told: list[Tell] = []
        events: list[KeyExpires] = []
        engine.listen(lambda line: told.extend(e for e in line.effects if isinstance(e, Tell)))
        engine.listen(lambda line: events.append(line.event) if isinstance(line.event, KeyExpires) else None)
        for _ in range(25):
            await access.watch()
            clock.at += timedelta(hours=1)
        assert len(told) == len(events) == 2
        assert "right to trade ends" in told[0].text
        assert engine.state.trading.state is TradingState.ACTIVE


async def test_a_right_to_trade_that_ended_is_neither_admitted_nor_kept():
    """At the very moment it ends, the key is no key any more."""
    clock = HandClock()
    ending = Rights((), (), clock.now() + timedelta(hours=1))
    async with watched(ending, clock=clock) as (access, engine):
        await access.admit()
        clock.at += timedelta(hours=1)
        with pytest.raises(NeedsOwner, match="ended on"):
            await access.admit()
        await access.watch()
        assert engine.state.trading.state is TradingState.HALTED
