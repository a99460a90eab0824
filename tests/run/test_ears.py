"""What the stream says is looked up at once; after each connection everything is compared; nothing piles up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from core.domain.errors import BadData, NeedsOwner, RetryLater
from core.domain.orders import Purpose
from core.run.ears import Ears
from tests.run.shell import Shell, running, shell, until


class HandStream:
    """A stream that says what the test says."""

    def __init__(self) -> None:
        self.heard: Callable[[str], None] | None = None
        self.connected: Callable[[], None] | None = None
        self.broken: asyncio.Future[None] | None = None

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        self.heard, self.connected = heard, connected
        self.broken = asyncio.get_running_loop().create_future()
        await self.broken

    def say(self, symbol: str) -> None:
        assert self.heard
        self.heard(symbol)


class Looks:
    """A reconcile that notes what it was asked to look at; ``held`` keeps it looking, ``trouble`` is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self.trouble: Exception | None = None

    async def symbol(self, symbol: str) -> None:
        await self._look(symbol)

    async def full(self, why: str) -> None:
        await self._look(f"all: {why}")

    async def _look(self, what: str) -> None:
        self.asked.append(what)
        await self.held.wait()
        if self.trouble:
            raise self.trouble


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[HandStream, Looks, list[asyncio.Task[None]]]]:
    """Ears over a stream and a reconcile that a test drives by hand."""
    stream, looks = HandStream(), Looks()
    async with running(Ears(stream, looks).run) as tasks:  # type: ignore[arg-type]
        await until(lambda: stream.heard is not None)
        yield stream, looks, tasks


async def test_what_was_heard_of_is_looked_at():
    """A word about a symbol is a look at that symbol, and at nothing else."""
    async with listening() as (stream, looks, _):
        stream.say("BTCUSDT")
        await until(lambda: looks.asked == ["BTCUSDT"])


async def test_after_every_connection_everything_is_compared():
    """A stream loses what happened while it was away."""
    async with listening() as (stream, looks, _):
        for times in (1, 2):
            assert stream.connected
            stream.connected()
            await until(lambda times=times: looks.asked == ["all: stream"] * times)


async def test_a_word_about_the_account_compares_everything():
    """Balances that moved belong to no symbol."""
    async with listening() as (stream, looks, _):
        stream.say("")
        await until(lambda: looks.asked == ["all: stream"])


async def test_however_much_is_said_a_symbol_is_looked_at_once_more():
    """A thousand words while a look is under way are one more look at each symbol: nothing piles up."""
    async with listening() as (stream, looks, _):
        looks.held.clear()
        stream.say("BTCUSDT")
        await until(lambda: looks.asked == ["BTCUSDT"])
        for _ in range(1000):
            stream.say("BTCUSDT")
            stream.say("ETHUSDT")
        looks.held.set()
        await until(lambda: len(looks.asked) == 3)
        await asyncio.sleep(0)
        assert looks.asked == ["BTCUSDT", "BTCUSDT", "ETHUSDT"]


async def test_what_is_heard_during_a_look_is_not_lost():
    """A fill that comes while its symbol is being read is read after it."""
    async with listening() as (stream, looks, _):
        looks.held.clear()
        stream.say("BTCUSDT")
        await until(lambda: looks.asked == ["BTCUSDT"])
        stream.say("BTCUSDT")
        looks.held.set()
        await until(lambda: looks.asked == ["BTCUSDT"] * 2)


@pytest.mark.parametrize("trouble", [RetryLater("busy"), BadData("no sense"), NeedsOwner("the key is gone")])
async def test_a_look_that_fails_does_not_end_the_listening(trouble):
    """The regular looks come anyway; the next word is heard."""
    async with listening() as (stream, looks, tasks):
        looks.trouble = trouble
        stream.say("BTCUSDT")
        await until(lambda: looks.asked == ["BTCUSDT"])
        looks.trouble = None
        stream.say("ETHUSDT")
        await until(lambda: looks.asked == ["BTCUSDT", "ETHUSDT"])
        assert not tasks[0].done()


async def test_a_stream_that_ends_for_good_is_heard_of():
    """Whoever keeps the parts alive learns that nobody listens any more."""
    async with listening() as (stream, _, tasks):
        assert stream.broken
        stream.broken.set_exception(RuntimeError("the stream is gone"))
        with pytest.raises(ExceptionGroup, match="unhandled"):
            await asyncio.wait_for(asyncio.shield(tasks[0]), 5)


async def test_a_fill_heard_of_is_booked_without_waiting_for_the_guard():
    """The stop's fill is a closed trade as soon as the stream tells of it."""
    stream = HandStream()
    async with shell() as one, running(Ears(stream, one.reconcile).run):
        await until(lambda: stream.heard is not None)
        await one.open(lists=True)
        await one.look(0)
        one.exchange.hit(stop(one))
        stream.say("BTCUSDT")
        await until(lambda: not one.state.positions)


def stop(one: Shell) -> str:
    return one.order(Purpose.STOP).client_id
