"""Parts that live and stop together, in reverse order, with the reason told."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from core.domain.errors import FirstmateError, RetryLater, StoreUnusable
from core.run import supervisor
from core.run.supervisor import run_together


class Part:
    """Runs until cancelled and notes its end; ``last_words`` are raised then, ``tidy_up`` steps come first."""

    def __init__(self, name: str, ended: list[str], tidy_up: int = 0, last_words: Exception | None = None) -> None:
        self.name = name
        self.ended = ended
        self.tidy_up = tidy_up
        self.last_words = last_words

    async def __call__(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(self.tidy_up):
                await asyncio.sleep(0)
            self.ended.append(self.name)
            if self.last_words:
                raise self.last_words


async def fails(error: Exception) -> None:
    raise error


async def ends() -> None:
    """Nothing more to do."""


async def test_a_stop_ends_every_part_and_returns():
    """Asked to stop, everything stops and nothing is raised."""
    ended, stop = [], asyncio.Event()
    together = asyncio.create_task(run_together({name: Part(name, ended) for name in "abc"}, stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(together, 5)
    assert ended == ["c", "b", "a"]


async def test_one_that_fails_stops_the_others_in_reverse_and_is_raised():
    """The reason of the end is told, and each part ends before those it stands on."""
    ended = []
    parts = {"engine": Part("engine", ended), "sender": Part("sender", ended, 5), "worker": Part("worker", ended, 10)}
    with pytest.raises(StoreUnusable, match="full"):
        await run_together({**parts, "bad": lambda: fails(StoreUnusable("full"))}, asyncio.Event())
    assert ended == ["worker", "sender", "engine"]


async def test_one_that_ends_without_a_word_is_named():
    """A part that simply ends is a failure, for nobody would do its work."""
    ended = []
    with pytest.raises(FirstmateError, match="The courier ended unexpectedly"):
        await run_together({"engine": Part("engine", ended), "courier": ends}, asyncio.Event())
    assert ended == ["engine"]


async def test_a_failure_while_stopping_does_not_hide_the_first_reason():
    """What went wrong first is raised; what went wrong on the way out is logged."""
    ended = []
    saves = Part("worker", ended, last_words=RetryLater("cannot save"))
    with capture_logs() as logs, pytest.raises(StoreUnusable):
        await run_together({"worker": saves, "bad": lambda: fails(StoreUnusable("full"))}, asyncio.Event())
    assert [(line["part"], line["why"]) for line in logs] == [("worker", "cannot save")]


async def test_a_failure_at_the_moment_of_a_stop_is_still_told():
    """A stop does not excuse a part that broke."""
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(StoreUnusable):
        await run_together({"bad": lambda: fails(StoreUnusable("full"))}, stop)


async def test_a_part_that_will_not_end_does_not_hold_up_the_stop(monkeypatch):
    """Stopping is bounded: what hangs is left behind."""
    monkeypatch.setattr(supervisor, "STOP_WITHIN_S", 0.05)
    ended, stop, release = [], asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    together = asyncio.create_task(run_together({"engine": Part("engine", ended), "stubborn": stubborn}, stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(together, 5)
    release.set()
    assert ended == ["engine"]


async def test_being_cancelled_itself_stops_every_part():
    """Ctrl-C twice still leaves nothing running."""
    ended = []
    together = asyncio.create_task(run_together({name: Part(name, ended) for name in "ab"}, asyncio.Event()))
    await asyncio.sleep(0)
    together.cancel()
    with pytest.raises(asyncio.CancelledError):
        await together
    assert ended == ["b", "a"]
