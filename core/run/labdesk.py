"""The bot's door to the lab: what may be asked of models, and the owner's commands about them.

Rule 1: a question changes nothing; what explains a bar is had within WITHIN_S or said to be missing.
Rule 2: another champion raises the stakes: it needs the proof that a looser limit needs, and a model that its gate let
        through and that a process can serve.
Rule 3: training is begun, and ended, by ``core.run.retrain`` alone; this only asks it to.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import structlog

from core.domain.errors import BadData, FirstmateError
from core.domain.events import OwnerPromoted, OwnerTrained
from core.domain.forecast import MODEL, Contribution
from core.domain.market import from_ms, to_ms
from core.domain.model import Model
from core.domain.state import Decision
from core.lab_ports import LiveRow, ModelStore, Settled
from core.learn import cases
from core.learn.cases import Alike, Case
from core.learn.drift import Drift
from core.learn.paired import Duel
from core.learn.record import Track
from core.ports import Clock
from core.run.engine import Engine
from core.run.labview import LabView, Seat, Why, card_of, seated
from core.run.retrain import Attempt, Prove, Retrain
from core.run.stepup import Proof

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.run.analysts import Batch
    from core.run.desk import Asked

WITHIN_S = 5.0
CASES_MAX = 6_000
log = structlog.get_logger()


class Watching(Protocol):
    """What the life of models knows (``core.run.lab``)."""

    drift: Drift

    @property
    def silence(self) -> str:
        """Why the champion gave no forecast at the newest bar, or is not used; "" where it did, or before the look."""

    async def track(self, model_id: str) -> Track:
        """What came of all that a model ever said."""

    async def compare(self, champion_id: str, challenger_id: str) -> Duel:
        """Two models on the bets that both forecast."""


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


class LabDesk:
    """Questions and commands about models; everything a handler may do with them. ``guarded`` as in About."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        models: ModelStore,
        records: Recorded,
        watching: Watching,
        explaining: Explaining,
        retrain: Retrain,
        prove: Prove,
        guarded: bool = False,
        within_s: float = WITHIN_S,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._models = models
        self._records = records
        self._watching = watching
        self._explaining = explaining
        self._retrain = retrain
        self._prove = prove
        self._guarded = guarded
        self._within_s = within_s
        self._rows: dict[str, tuple[datetime, Sequence[float]]] = {}

    def heard(self, batch: Batch) -> None:
        """Keep the rows of the newest bar close: they are asked about before they are written down."""
        self._rows |= {symbol: (batch.open_at, row) for symbol, row in batch.rows.items()}

    # what is asked

    async def view(self) -> LabView:
        """Everything about the models in use."""
        champion, nobody = await asyncio.to_thread(self._models.champion)
        challenger, _ = await asyncio.to_thread(self._models.challenger)
        newest = None if champion else await asyncio.to_thread(self._newest)
        state = self._engine.state
        return LabView(
            trust=state.trust,
            real_money=state.config.real_money,
            champion=await self._seat(champion) if champion else None,
            nobody=nobody,
            challenger=await self._seat(challenger) if challenger else None,
            duel=await self._watching.compare(champion.id, challenger.id) if champion and challenger else None,
            drift=self._watching.drift,
            silence=self._watching.silence,
            newest=await self._seat(newest) if newest else None,
            running=self._retrain.running,
            last=await self._retrain.last(),
        )

    def _newest(self) -> Model | None:
        return next((one.model for one in self._models.list() if one.model), None)

    async def _seat(self, model: Model) -> Seat:
        return seated(model, await self._watching.track(model.id))

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
        if self._engine.state.trust.model_id != made:
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
                    found.append(Case(one.symbol, one.open_ms, one.ended_ms, own, one.outcome))
            await asyncio.sleep(0)
        return found

    @property
    def running(self) -> Attempt | None:
        """The training under way."""
        return self._retrain.running

    @property
    def ran_s(self) -> float:
        """Seconds the training under way has lasted."""
        return self._retrain.ran_s

    async def last(self) -> Attempt | None:
        """The newest training."""
        return await self._retrain.last()

    # what is commanded

    async def retrain(self, asked: Asked) -> str:
        """Begin a training, unless one runs."""
        await self._engine.post(OwnerTrained(self._clock.now(), asked.trace, asked.update_id))
        if not await self._retrain.start():
            return "A training runs already: /retrain shows how long."
        return "Training has begun, in a process of its own. I tell you what came of it; the champion stays meanwhile."

    async def stop(self, asked: Asked) -> str:
        """End the training."""
        await self._engine.post(OwnerTrained(self._clock.now(), asked.trace, asked.update_id, stop=True))
        if not await self._retrain.cancel():
            return "Nothing was stopped: no training runs, or it is through and its model is being given its place."
        return "The training was stopped. Nothing else changed."

    async def promotable(self, made: str) -> Model:
        """The challenger of this id, if it may become champion. Raises BadData where it may not, or is none."""
        challenger, _ = await asyncio.to_thread(self._models.challenger)
        if challenger is None or challenger.id != made:
            raise BadData("That model is no longer the challenger: /model shows who is.")
        found = card_of(challenger)
        if found is None or not found.promotable:
            raise BadData(f"The model {made} did not pass its gate, so it does not forecast.")
        return challenger

    async def promote(self, asked: Asked, made: str, proof: Proof) -> str:
        """Make the challenger champion. Raises BadData, NeedsOwner, also where the proof is too weak."""
        if self._guarded and proof is Proof.BUTTON:
            raise BadData(
                "That raises the stakes and needs a second proof. Nothing was changed: send the command again."
            )
        model = await self.promotable(made)
        await self._prove(model.folder)
        await self._engine.post(OwnerPromoted(self._clock.now(), asked.trace, asked.update_id, made, proof.value))
        await asyncio.to_thread(self._models.promote, made)
        return f"{made} is champion and forecasts from the next bar on. The one before is kept for a way back."


def _numbers(packed: bytes) -> Sequence[float]:
    return struct.unpack(f"<{len(packed) // 8}d", packed[: len(packed) // 8 * 8])
