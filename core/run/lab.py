"""The life of models: who forecasts, how far it is trusted, who comes after it, and when it has to go.

Rule 1: the trust in the state names who really forecasts; a change is told once, with its reason, also when the
        process dies between the change and the telling.
Rule 2: drift warns, then halves the size, then gives the place back to the newest champion before that fits and can be
        served; without one the rule forecasts, on paper only. A graver level counts at once, a milder one after CALM.
Rule 3: a challenger that can be served takes over once it is not worse on the same bets, and leaves once clearly worse.
Rule 4: a champion that was out of sight for a while comes back as far trusted as it was.
Rule 5: what was done last comes from the database; what is asked of the registry is asked outside the loop.
Rule 6: who is too old goes in the minute of its end, whatever else cannot be done then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from core.domain.errors import BadData, FirstmateError, NeedsOwner
from core.domain.events import LabSpoke
from core.domain.market import to_ms
from core.domain.model import Model
from core.domain.state import Trust
from core.lab_ports import LabRecords, ModelStore
from core.learn.drift import Drift, Level
from core.learn.paired import Duel
from core.learn.record import Track
from core.ports import BarStore, Clock
from core.run.engine import Engine
from core.run.fitting import misfit
from core.run.judging import Judging
from core.run.lab_memory import Memory, recall, remember
from core.run.lab_trust import halved, trust_in, who
from core.run.shadow import Shadow
from core.run.silence import Silence
from core.run.wayback import Prove, go_back

if TYPE_CHECKING:
    from core.run.analysts import Batch

CALM = timedelta(days=3)
BETS_KEPT = timedelta(days=400)
ROWS_KEPT = timedelta(days=35)
TRACE = "lab"
T = TypeVar("T")
log = structlog.get_logger()


class Using(Protocol):
    """Who asks the models of each bar."""

    async def use(self, champion: Model | None, challenger: Model | None = None) -> None:
        """From the next bar on forecast by ``champion``, the rule where there is none."""


class Lab:
    """Models in use at one bar length, their record, and what follows from it."""

    def __init__(
        self,
        engine: Engine,
        models: ModelStore,
        records: LabRecords,
        analysts: Using,
        bars: BarStore,
        clock: Clock,
        span: timedelta,
        symbols: Collection[str],
        prove: Prove,
    ) -> None:
        self._engine = engine
        self._models = models
        self._records = records
        self._analysts = analysts
        self._clock = clock
        self._prove = prove
        self._misfit = partial(misfit, span=span, symbols=frozenset(symbols))
        self._shadow = Shadow(records, bars, span)
        self._judging = Judging(records, span)
        self._lock = asyncio.Lock()
        self._memory = Memory()
        self._stamp: tuple[int, ...] = ()
        self._champion: Model | None = None
        self._challenger: Model | None = None
        self._used: tuple[str, str] | None = None
        self._silence = Silence()
        self.drift = Drift()

    async def wake(self) -> None:
        """At a start: let the champion forecast, or tell why there is none."""
        self._memory = await recall(self._records)
        await self._adopt()

    def heard(self, batch: Batch) -> None:
        """Take note of one bar close."""
        self._shadow.heard(batch, self._challenger)
        self._silence.heard(batch.heard, self._now_ms())

    async def look(self) -> None:
        """Every minute: follow registry and age, write what was heard, tell where forecasts stopped or came back."""
        if self._models.stamp() != self._stamp or self._outlived():
            await self._adopt()
        await self._shadow.write()
        await self._tell_silence()

    async def review(self) -> None:
        """Every hour: settle, watch the champion, judge the challenger, forget what is old."""
        await self._adopt()
        await self._shadow.settle()
        await self._watch()
        await self._judge_challenger()
        now = self._clock.now()
        await self._records.tidy(to_ms(now - BETS_KEPT), to_ms(now - ROWS_KEPT))

    @property
    def silence(self) -> str:
        """Why the champion gave no forecast at the newest bar, or is not used; "" where it did, or before the look."""
        if self._champion:
            return self._silence.why
        return self._memory.nobody if self._models.stamp() == self._stamp else ""

    async def track(self, model_id: str) -> Track:
        """What came of all that a model ever said."""
        return await self._judging.track(model_id)

    async def compare(self, champion_id: str, challenger_id: str) -> Duel:
        """Two models on the bets that both forecast."""
        return await self._judging.compare(champion_id, challenger_id)

    # who forecasts

    async def _adopt(self) -> None:
        """Use who stands in the registry now."""
        async with self._lock:
            stamp = self._models.stamp()
            champion, nobody = _light(await _aside(self._models.champion))
            challenger, _ = _light(await _aside(self._models.challenger))
            if champion and (fault := self._misfit(champion)):
                champion, nobody = None, fault
            if challenger and (not champion or challenger.id == champion.id or self._misfit(challenger)):
                challenger = None
            champion, nobody = await self._use(champion, challenger, nobody)
            self._champion, self._challenger = champion, challenger if champion else None
            await self._tell_who(champion, nobody)
            self._stamp = stamp

    def _outlived(self) -> bool:
        return any(one is not None and self._models.too_old(one) for one in (self._champion, self._challenger))

    async def _use(self, champion: Model | None, challenger: Model | None, nobody: str) -> tuple[Model | None, str]:
        """Let them forecast; where that cannot be, the rule does, and why."""
        wanted = (champion.id if champion else "", challenger.id if challenger else "")
        if wanted == self._used:
            return champion, nobody
        try:
            await self._analysts.use(champion, challenger)
            self._used = wanted
        except FirstmateError as fault:
            log.warning("a model cannot be used", model=wanted[0], why=fault.user_text)
            await self._analysts.use(None, None)
            self._used = None
            return None, f"The model {wanted[0]} cannot be used: {fault.user_text}"
        return champion, nobody

    async def _tell_who(self, champion: Model | None, nobody: str) -> None:
        memory, state = self._memory, self._engine.state
        if champion and champion.id != memory.champion_id:
            memory = replace(memory, champion_id=champion.id, since_ms=self._now_ms(), level=0, why="", calm_ms=0)
        trust = trust_in(champion, memory)
        if trust != state.trust:
            text = f"{memory.announce} {who(champion, nobody)} {halved(trust)}".strip()
            await self._post(text, trust, urgent=memory.urgent)
        elif not champion and nobody != memory.nobody:
            await self._post(who(None, nobody), None)
        if not champion and memory.announce:  # it was sent away: should it ever come back, it begins anew
            memory = replace(memory, champion_id="", level=0, why="", calm_ms=0)
        await self._remember(replace(memory, announce="", urgent=False, nobody="" if champion else nobody))

    async def _tell_silence(self) -> None:
        async with self._lock:
            memory, said = self._silence.look(self._memory, self._now_ms(), awaited=self._champion is not None)
            if said:
                await self._post(said, None)
            await self._remember(memory)

    # how far the champion is trusted

    async def _watch(self) -> None:
        champion = self._champion
        if champion is None:
            self.drift = Drift()
            return
        drift = await self._judging.drift(champion, self._memory.since_ms, self._now_ms())
        async with self._lock:
            if self._champion is not champion:
                return
            self.drift = drift
            told = Level(self._memory.level)
            if drift.level > told:
                await self._graver(champion, drift)
            elif drift.level == told:
                await self._remember(replace(self._memory, calm_ms=0))
            else:
                await self._milder(champion, drift)
        if drift.level is Level.ROLLBACK:
            await self._adopt()

    async def _graver(self, champion: Model, drift: Drift) -> None:
        why = drift.sentences[0]
        memory = replace(self._memory, level=int(drift.level), why=why, calm_ms=0)
        if drift.level is Level.ROLLBACK:
            await self._roll_back(champion, why)
        elif drift.level is Level.REDUCE:
            await self._post(f"I trust my forecast less and halve new positions. {why}", trust_in(champion, memory))
            await self._remember(memory)
        else:
            await self._post(f"A warning about my forecast; nothing changes yet. {why}", None)
            await self._remember(memory)

    async def _milder(self, champion: Model, drift: Drift) -> None:
        """A milder level counts once it has lasted; the share comes back with it."""
        memory, now_ms = self._memory, self._now_ms()
        if not memory.calm_ms:
            await self._remember(replace(memory, calm_ms=now_ms))
        elif now_ms - memory.calm_ms >= CALM // timedelta(milliseconds=1):
            after = replace(memory, level=int(drift.level), why=" ".join(drift.sentences[:1]), calm_ms=0)
            trust = trust_in(champion, after)
            back = "New positions have their full size again." if trust != self._engine.state.trust else ""
            text = f"My forecast has been better for {CALM.days} days. {back} {after.why}"
            await self._post(" ".join(text.split()), trust)
            await self._remember(after)

    async def _roll_back(self, gone: Model, why: str) -> None:
        said = f"The model {gone.id} is no longer trusted and goes. {why}"
        await self._remember(replace(self._memory, announce=said, urgent=True))
        try:
            _, passed = await go_back(self._models, self._misfit, self._prove, instead_of=gone.id)
        except NeedsOwner as nobody:
            passed = (nobody.user_text,)
            await _aside(self._models.dismiss)
        except BadData as overtaken:
            passed = (overtaken.user_text,)
        if passed:
            log.warning("not every champion before can be gone back to", why=passed)
            await self._remember(replace(self._memory, announce=" ".join((said, *passed))))

    # who comes after it

    async def _judge_challenger(self) -> None:
        champion, challenger = self._champion, self._challenger
        if champion is None or challenger is None:
            return
        duel = await self._judging.compare(champion.id, challenger.id)
        unfit = await self._unproven(challenger) if duel.won else ""
        async with self._lock:
            if self._champion is not champion or self._challenger is not challenger:
                return
            if unfit and unfit != self._memory.unfit:
                await self._post(f"{duel.sentence} It does not take over yet. {unfit}", None)
                await self._remember(replace(self._memory, unfit=unfit))
            elif duel.won and not unfit:
                await self._remember(replace(self._memory, announce=duel.sentence, urgent=False, unfit=""))
                await _aside(lambda: self._models.promote(challenger.id))
            elif duel.lost:
                await _aside(lambda: self._models.set_challenger(None))
                await self._post(f"{duel.sentence} It is tried no longer.", None)
        if duel.won or duel.lost:
            await self._adopt()

    async def _unproven(self, challenger: Model) -> str:
        """Why no process can serve it, "" where one can: what everybody is asked who gets the champion's place."""
        try:
            await self._prove(challenger.folder)
        except BadData as fault:
            return fault.user_text
        return ""

    async def _post(self, text: str, trust: Trust | None, *, urgent: bool = False) -> None:
        await self._engine.post(LabSpoke(self._clock.now(), TRACE, text, trust, urgent))

    async def _remember(self, memory: Memory) -> None:
        if memory != self._memory:
            await remember(self._records, memory)
            self._memory = memory

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


async def _aside(ask: Callable[[], T]) -> T:
    """What the registry answers: it reads and proves whole files, which is no work for the loop."""
    return await asyncio.to_thread(ask)


def _light(found: tuple[Model | None, str]) -> tuple[Model | None, str]:
    """The same without the model's text, which is large and which only the process that serves it reads."""
    return (replace(found[0], text="") if found[0] else None), found[1]
