"""The record of models read in blocks and judged, while others get their turn.

Rule 1: nothing here is remembered: a judgement is what the database says now.
Rule 2: between two blocks of rows, and between two features, the loop is free.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from datetime import timedelta

from core.domain.model import Model
from core.lab_ports import LabRecords, LiveRow
from core.learn import drift
from core.learn.drift import Drift, Grid, Shift
from core.learn.paired import Duel, Paired
from core.learn.record import Tally, Track
from core.learn.rule import HORIZON
from core.run.shadow import CHAMPION

WINDOW = timedelta(days=28)
SETTLED_MAX = 50_000
ROWS_MAX = 1_500


class Judging:
    """What can be said of models whose bars last ``span``."""

    def __init__(self, records: LabRecords, span: timedelta) -> None:
        self._records = records
        self._longest_ms = HORIZON * span // timedelta(milliseconds=1)

    async def track(self, model_id: str) -> Track:
        """All that is settled of what a model ever said."""
        return (await self._tally(model_id, 0, "")).track(model_id)

    async def compare(self, champion_id: str, challenger_id: str, since_ms: int = 0) -> Duel:
        """Both on the bets that both forecast from ``since_ms`` on."""
        paired = Paired(self._longest_ms)
        async for block in self._records.twofold(champion_id, challenger_id, since_ms, SETTLED_MAX):
            paired.add(block)
            await asyncio.sleep(0)
        return paired.duel(champion_id, challenger_id)

    async def drift(self, model: Model, since_ms: int, now_ms: int) -> Drift:
        """How far a champion's last four weeks, but none before ``since_ms``, are from its training and its card."""
        window_ms = WINDOW // timedelta(milliseconds=1)
        tally = await self._tally(model.id, max(since_ms, now_ms - window_ms - self._longest_ms), CHAMPION)
        rows = await self._records.rows(model.id, max(since_ms, now_ms - window_ms), ROWS_MAX)
        return drift.together(
            drift.of_outcomes(tally, drift.brier_on(model.card)),
            drift.of_features(await _shifts(model, rows), _days(rows)),
        )

    async def _tally(self, model_id: str, since_ms: int, role: str) -> Tally:
        tally = Tally()
        async for block in self._records.settled(model_id, since_ms, SETTLED_MAX, role):
            tally.add(block)
            await asyncio.sleep(0)
        return tally


def _days(rows: Sequence[LiveRow]) -> float:
    """Days the rows cover, >= 0."""
    return (rows[-1].open_ms - rows[0].open_ms) / (timedelta(days=1) // timedelta(milliseconds=1)) if rows else 0.0


async def _shifts(model: Model, rows: Sequence[LiveRow]) -> list[Shift]:
    """Each feature that can drift, live beside training."""
    names = model.manifest.features
    packed = struct.Struct(f"<{len(names)}d")
    kept = [row for row in rows if len(row.x) == packed.size]
    if not kept:
        return []
    grid = Grid([row.symbol for row in kept], [row.open_ms for row in kept])
    numbers = [packed.unpack(row.x) for row in kept]
    shifts = []
    for k, name in enumerate(names):
        if drift.watched(name):
            shifts.append(drift.shift(name, model.manifest.quantiles[name], [row[k] for row in numbers], grid))
            await asyncio.sleep(0)
    return shifts
