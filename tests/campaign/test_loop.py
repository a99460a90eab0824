"""Virtual time: tests.campaign.loop."""

from __future__ import annotations

import asyncio
import time
from random import Random

import pytest

from tests.campaign.loop import Standstill, live


def test_an_hour_passes_at_once():
    """Nothing waits for the wall: time jumps to the next timer."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert live(1, main) == pytest.approx(3600, abs=0.001)
    assert time.perf_counter() - began < 60


def test_timers_of_one_moment_go_off_in_an_order_of_the_seed():
    """Who is first at the same moment differs from seed to seed, and never for one seed."""

    async def main() -> list[int]:
        order: list[int] = []

        async def nap(number: int) -> None:
            await asyncio.sleep(5)
            order.append(number)

        await asyncio.gather(*(nap(i) for i in range(8)))
        return order

    assert live(1, main) == live(1, main)
    assert len({tuple(live(seed, main)) for seed in range(6)}) > 1


def test_callbacks_keep_the_order_they_were_called_in():
    """What asyncio promises about ready callbacks holds."""

    async def main() -> list[int]:
        order: list[int] = []
        for i in range(20):
            asyncio.get_running_loop().call_soon(order.append, i)
        await asyncio.sleep(0)
        return order

    assert live(3, main) == list(range(20))


def test_a_thread_is_no_thread():
    """What would run in a thread runs in place, with its result and its error."""

    def fail() -> None:
        raise ValueError("in place")

    async def main() -> int:
        with pytest.raises(ValueError, match="in place"):
            await asyncio.to_thread(fail)
        return await asyncio.to_thread(Random(1).randrange, 10)

    assert live(1, main) == Random(1).randrange(10)


def test_a_timeout_is_as_long_as_it_says():
    """Limits on waiting are measured in the loop's own time."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert live(1, main) == pytest.approx(7, abs=0.001)


def test_who_waits_for_nothing_is_noticed():
    """A life that hangs fails instead of hanging the campaign."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Standstill):
        live(1, main)


def test_tasks_that_are_left_are_ended():
    """Nothing of a life goes on after it."""
    ended: list[bool] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(10**9)
        finally:
            ended.append(True)

    async def main() -> None:
        task = asyncio.ensure_future(forever())
        await asyncio.sleep(1)
        assert not task.done()

    live(1, main)
    assert ended == [True]
