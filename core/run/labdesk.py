"""The bot's door to the lab: what may be asked of models, and the owner's commands about them.

Rule 1: a question changes nothing.
Rule 2: another champion raises the stakes, also one from before: it may have the full size where the present one is
        halved. It needs the proof that a looser limit needs, and a model that its gate let through, that fits what is
        done here and that a process can serve.
Rule 3: training is begun, and ended, by ``core.run.retrain`` alone; this only asks it to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from core.domain.errors import BadData
from core.domain.events import OwnerPromoted, OwnerTrained
from core.domain.model import Model
from core.domain.state import Decision
from core.lab_ports import ModelStore
from core.learn.drift import Drift
from core.learn.paired import Duel
from core.learn.record import Track
from core.ports import Clock
from core.run.engine import Engine
from core.run.labview import LabView, Seat, Why, seated
from core.run.reasons import Reasons
from core.run.retrain import Attempt, Retrain
from core.run.stepup import Proof
from core.run.wayback import Prove, put_back, way_back

if TYPE_CHECKING:
    from core.run.desk import Asked


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


class LabDesk:
    """Questions and commands about models; everything a handler may do with them.

    ``unfit`` says why a model cannot forecast here, "" where it can; ``guarded`` as in About.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        models: ModelStore,
        watching: Watching,
        reasons: Reasons,
        retrain: Retrain,
        prove: Prove,
        unfit: Callable[[Model], str],
        guarded: bool = False,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._models = models
        self._watching = watching
        self._reasons = reasons
        self._retrain = retrain
        self._prove = prove
        self._unfit = unfit
        self._guarded = guarded

    # what is asked

    async def view(self) -> LabView:
        """Everything about the models in use."""
        champion, nobody = await asyncio.to_thread(self._models.champion)
        challenger, _ = await asyncio.to_thread(self._models.challenger)
        newest = None if champion else await asyncio.to_thread(self._newest)
        before, _ = await asyncio.to_thread(self._models.way_back, self._unfit)
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
            before=before.id if before else "",
        )

    def _newest(self) -> Model | None:
        return next((one.model for one in self._models.list() if one.model), None)

    async def _seat(self, model: Model) -> Seat:
        return seated(model, await self._watching.track(model.id))

    async def why(self, decision: Decision) -> Why:
        """A decision with its model's reasons, asked for now where they were not before, and with its like."""
        return await self._reasons.why(decision)

    @property
    def running(self) -> Attempt | None:
        """The training under way."""
        return self._retrain.running

    @property
    def ran_s(self) -> float:
        """Seconds the training under way has lasted."""
        return self._retrain.ran_s

    @property
    def hopeless(self) -> str:
        """Why no training can come to anything as things are set, "" where one may."""
        return self._retrain.hopeless

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
        if fault := self._unfit(challenger):
            raise BadData(fault)
        return challenger

    async def promote(self, asked: Asked, made: str, proof: Proof) -> str:
        """Make the challenger champion. Raises BadData, NeedsOwner, also where the proof is too weak."""
        self._require(proof)
        model = await self.promotable(made)
        await self._prove(model.folder)
        await self._engine.post(OwnerPromoted(self._clock.now(), asked.trace, asked.update_id, made, proof.value))
        await asyncio.to_thread(self._models.promote, made)
        return f"{made} is champion and forecasts from the next bar on. The one before is kept for a way back."

    async def back(self) -> tuple[Model, Sequence[str]]:
        """The champion before that would be gone back to, and of each newer one why not. Raises NeedsOwner."""
        return await way_back(self._models, self._unfit, self._prove)

    async def go_back(self, asked: Asked, made: str, proof: Proof) -> str:
        """Give the place back to a champion before. Raises BadData, NeedsOwner, also where the proof is too weak."""
        self._require(proof)
        model, _ = await self.back()
        if model.id != made:
            raise BadData("That model is no longer the way back: /model shows what is.")
        await self._engine.post(OwnerPromoted(self._clock.now(), asked.trace, asked.update_id, made, proof.value))
        await put_back(self._models, made)
        return f"{made} is champion again and forecasts from the next bar on."

    def _require(self, proof: Proof) -> None:
        if self._guarded and proof is Proof.BUTTON:
            raise BadData(
                "That raises the stakes and needs a second proof. Nothing was changed: send the command again."
            )
