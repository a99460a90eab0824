"""The record read in blocks and judged, while others get their turn."""

from __future__ import annotations

import asyncio
import random

import pytest

from core.domain.market import to_ms
from core.lab_ports import Bet, Ended, LiveRow, Said, Settled, Spoken
from core.learn.drift import Level
from core.run.judging import Judging
from tests.run.lab_world import HOUR, HOUR_MS, NOW, WIDTH, life, packed

NOW_MS = to_ms(NOW)
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def world(tmp_path):
    async with life(tmp_path) as one:
        yield one


def fair(k: int) -> float:
    return float(int((k + 1) * 0.4) - int(k * 0.4))


async def test_what_was_said_in_the_shadow_is_not_held_against_the_champion(world):
    """Drift looks at the reign; the track record at everything."""
    made = world.registry.load(world.add())
    await world.past(20, lambda k: 0.0, challenger=made.id)
    judging = Judging(world.records, HOUR)
    assert (await judging.drift(made, 0, NOW_MS)).numbers["settled"] == 0
    assert (await judging.track(made.id)).count == 960


async def test_drift_looks_at_the_last_four_weeks_of_the_reign_only(world):
    """What is long ago, or before it took its place, no longer counts."""
    made = world.registry.load(world.add())
    await world.past(60, fair, champion=made.id)
    judging = Judging(world.records, HOUR)
    assert (await judging.drift(made, 0, NOW_MS)).numbers["settled"] == 28 * 24 * 2
    since_ms = NOW_MS - (4 + 3) * DAY_MS
    assert (await judging.drift(made, since_ms, NOW_MS)).numbers["settled"] == 3 * 24 * 2


async def test_rows_of_another_width_are_passed_over(world):
    """What an older version wrote is not read as something else."""
    made = world.registry.load(world.add())
    bet = Bet("BTCUSDT", HOUR_MS, NOW_MS - 5 * DAY_MS, 0.06, 0.03, 96)
    await world.records.keep([Spoken(bet, (Said(made.id, "champion", 0.4, 0.3),), b"12345678")])
    assert (await Judging(world.records, HOUR).drift(made, 0, NOW_MS)).level is Level.NONE


async def test_each_feature_is_judged_in_a_turn_of_its_own(world):
    """Fifty symbols do not hold the loop."""
    made = world.registry.load(world.add())
    rng = random.Random(1)
    rows = [
        LiveRow(f"S{k % 50}", NOW_MS - (30 - k // 50) * HOUR_MS, packed([rng.random() for _ in range(WIDTH)]))
        for k in range(1500)
    ]

    class Rows:
        async def rows(self, model_id, since_ms, most):
            return rows[:most]

        async def settled(self, model_id, since_ms, most, role=""):
            for _ in range(25):
                yield [one_settled(k) for k in range(2000)]

    def one_settled(k: int) -> Settled:
        return Settled("S", k * HOUR_MS, (k + 1) * HOUR_MS, 0.4, 0.3, 0.4)

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await Judging(Rows(), HOUR).drift(made, 0, NOW_MS)
    task.cancel()
    assert turns >= 25 + WIDTH - 4


async def test_both_models_are_compared_on_the_bets_both_forecast(world):
    """A bar one of them did not see counts for none."""
    await world.past(20, fair, champion="a" * 12, challenger="b" * 12, p=0.41)
    lone = Bet("BTCUSDT", HOUR_MS, NOW_MS - 40 * DAY_MS, 0.06, 0.03, 96)
    await world.records.keep([Spoken(lone, (Said("a" * 12, "champion", 0.9, 0.8),), b"")])
    await world.records.settle([Ended(lone, NOW_MS, 0.0)])
    duel = await Judging(world.records, HOUR).compare("a" * 12, "b" * 12)
    assert duel.days == 19  # the last one is not over
    assert duel.count == 19 * 24 * 2
    assert duel.won
    back = await Judging(world.records, HOUR).compare("a" * 12, "b" * 12, NOW_MS - 10 * DAY_MS)
    assert back.days < 7
