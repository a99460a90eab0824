"""Why a bar was forecast as it was: what spoke, and what became of bars like it.

Rule 1: what explains a bar is had within WITHIN_S or said to be missing; the rest of the answer is no worse for it.
Rule 2: a model's reasons are asked of that model alone; one that is no longer in use explains nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import structlog

from core.domain.errors import BadData, FirstmateError
from core.domain.forecast import MODEL, Contribution
from core.domain.market import from_ms, to_ms
from core.domain.state import Decision
from core.lab_ports import LiveRow, ModelStore, Settled
from core.learn import cases
from core.learn.cases import Alike, Case
from core.run.labview import Why

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.run.analysts import Batch

WITHIN_S = 5.0
CASES_MAX = 6_000
log = structlog.get_logger()


class Explaining(Protocol):
    """Who can say what spoke in a row (``core.run.asking``)."""

    async def why(self, row: Sequence[float]) -> tuple[Contribution, ...]:
        """What speaks for and against in one row, by the champion in use. Raises NoForecast."""


class Recorded(Protocol):
    """What was forecast, and what became of it."""

    def settled(self, model_id: str, since_ms: int, most: int, role: str = "") -> AsyncIterator[Sequence[Settled]]:
        """A model's settled forecasts in the order they were made, in blocks."""

    async def rows(self, model_id: str, since_ms: int, most: int) -> Sequence[LiveRow]:
        """The features a model was asked about, oldest first."""


class Reasons:
    """What spoke in a forecast, and its like; ``in_use`` is the id of the model that forecasts now."""

    def __init__(
        self,
        models: ModelStore,
        records: Recorded,
        explaining: Explaining,
        in_use: Callable[[], str],
        within_s: float = WITHIN_S,
    ) -> None:
        self._models = models
        self._records = records
        self._explaining = explaining
        self._in_use = in_use
        self._within_s = within_s
        self._rows: dict[str, tuple[datetime, Sequence[float]]] = {}

    def heard(self, batch: Batch) -> None:
        """Keep the rows of the newest bar close: they are asked about before they are written down."""
        self._rows |= {symbol: (batch.open_at, row) for symbol, row in batch.rows.items()}

    async def why(self, decision: Decision) -> Why:
        """A decision with its model's reasons, asked for now where they were not before, and with its like."""
        forecast = decision.forecast
        if forecast is None or not forecast.model_id.startswith(MODEL):
            return Why(decision)
        made = forecast.model_id.removeprefix(MODEL)
        try:
            async with asyncio.timeout(self._within_s):
                row = await self._row(made, decision)
                decision, note = await self._explained(made, decision, row)
                seen = await self._alike(made, decision, row) if row else None
        except TimeoutError:
            return Why(decision, f"What spoke could not be had within {self._within_s:.0f} s.")
        except FirstmateError as away:  # the rest of the card is no worse for it
            return Why(decision, f"What spoke cannot be looked up. {away.user_text}")
        return Why(decision, note, seen, from_ms(seen.since_ms) if seen else None)

    async def _row(self, made: str, decision: Decision) -> Sequence[float] | None:
        """The features a forecast was made of, None where they are not kept any more."""
        known = self._rows.get(decision.symbol)
        if known and known[0] == decision.bar_open_at:
            return known[1]
        open_ms = to_ms(decision.bar_open_at)
        kept = await self._records.rows(made, open_ms, CASES_MAX)
        return next((_numbers(one.x) for one in kept if (one.symbol, one.open_ms) == (decision.symbol, open_ms)), None)

    async def _explained(self, made: str, decision: Decision, row: Sequence[float] | None) -> tuple[Decision, str]:
        forecast = decision.forecast
        if forecast is None or forecast.contributions:
            return decision, ""
        if self._in_use() != made:
            return decision, f"What spoke cannot be told: the model {made} is no longer in use."
        if row is None:
            return decision, "What spoke cannot be told: the features of this bar are not kept any more."
        try:
            spoke = await self._explaining.why(row)
        except FirstmateError as silent:
            return decision, f"What spoke cannot be told now. {silent.user_text}"
        return replace(decision, forecast=replace(forecast, contributions=spoke)), ""

    async def _alike(self, made: str, decision: Decision, row: Sequence[float]) -> Alike | None:
        """What became of bars that looked like this one to a model; None where the model is gone."""
        try:
            model = await asyncio.to_thread(self._models.load, made)
        except BadData as gone:
            log.info("no similar cases", why=gone.user_text)
            return None
        names = model.manifest.features
        if len(names) != len(row):
            return None
        spoke = decision.forecast.contributions if decision.forecast else ()
        weights = cases.weights_of(names, {one.name: one.effect for one in spoke})
        told = [k for k, weight in enumerate(weights) if weight]
        past = await self._cases(made, len(names), told)
        quantiles = [model.manifest.quantiles[names[k]] for k in told]
        here, heavy = [row[k] for k in told], [weights[k] for k in told]
        return await asyncio.to_thread(cases.alike, here, to_ms(decision.bar_open_at), past, quantiles, heavy)

    async def _cases(self, made: str, width: int, told: Sequence[int]) -> list[Case]:
        """The settled bets of a model whose features are still kept, with the features numbered ``told``."""
        rows = await self._records.rows(made, 0, CASES_MAX)
        kept = {(one.symbol, one.open_ms): one.x for one in rows if len(one.x) == 8 * width}
        since, found = rows[0].open_ms if rows else 0, []
        async for block in self._records.settled(made, since, CASES_MAX):
            for one in block:
                if packed := kept.get((one.symbol, one.open_ms)):
                    numbers = _numbers(packed)
                    own = [numbers[k] for k in told]
                    found.append(Case(one.symbol, one.open_ms, one.ended_ms, own, one.outcome, one.p))
            await asyncio.sleep(0)
        return found


def _numbers(packed: bytes) -> Sequence[float]:
    return struct.unpack(f"<{len(packed) // 8}d", packed[: len(packed) // 8 * 8])
