"""Training anew: every night, after a night that was missed, or when the owner asks; and what becomes of a candidate.

Rule 1: one training at a time, in a process of its own, ended after LIMIT_S; nothing of it runs in the bot's loop.
Rule 2: what was done last is read from the database and the registry: a restart trains neither twice nor never.
Rule 3: a night is one moment a local date, whatever the clocks do then; one less than GAP after a training is left out
for good.
Rule 4: a candidate that its gate let through takes the champion's place where nobody holds it who could forecast, else
the challenger's; a challenger keeps its place for as long as it takes to judge it, and LONGER. Whatever fails, the
champion stays.
Rule 5: by night nothing is trained that is hopeless before it is begun; that is told once, not each night. What the
owner asked for is trained, also where a restart cut it off.
Rule 6: a new champion is told by whoever puts it to use (core/run/lab.py), everything else here: one message each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
import structlog

from core.domain.errors import BadData, FirstmateError
from core.domain.market import SPANS
from core.domain.model import Model
from core.lab_ports import ModelStore
from core.learn.judge import card
from core.learn.paired import needed
from core.ports import Clock
from core.run.fitting import misfit
from core.run.wayback import Prove

AT = time(3, 10)
LIMIT_S = 1800.0
GAP = timedelta(hours=12)
LONGER = timedelta(days=14)
RETIRED_AFTER = timedelta(days=30)
TRIES_MAX = 2
NAME = "retrain"
LEFT_OUT = "hopeless"
log = structlog.get_logger()

Say = Callable[[str], Awaitable[object]]


class Trainer(Protocol):
    """The process that trains."""

    async def train(self) -> str:
        """Train one candidate and keep it in the registry; its id.

        Raises FirstmateError with the reason why there is none. Where this is cancelled, the process is ended first.
        """


class Memory(Protocol):
    """What survives a restart: a text a name."""

    async def recall(self, name: str) -> str:
        """What was remembered under this name, "" for nothing."""

    async def remember(self, name: str, said: str) -> None:
        """Keep a text under a name, in place of the one before."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A training: when it was begun, by the owner's word or not, the how-manieth in a row, and what became of it.

    ``ended`` is None while it runs, or where it was cut off together with us.
    """

    begun: datetime
    asked: bool = False
    tries: int = 1
    ended: datetime | None = None
    said: str = ""


def newest_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The newest AT of a local date that is not in the future, UTC; an hour that is left out is the one after it."""
    today = now.astimezone(zone).date()
    nights = (datetime.combine(today - timedelta(days=back), AT, zone).astimezone(UTC) for back in range(3))
    return next(night for night in nights if night <= now)


class Retrain:
    """Trains when it is due or asked for, gives the candidate its place, and ``say``s what became of it.

    ``zone`` is the owner's; ``prove`` passes where a model in a folder can be served, else raises BadData; ``hopeless``
    is why no training can come to anything, "" where one may.
    """

    def __init__(
        self,
        trainer: Trainer,
        models: ModelStore,
        memory: Memory,
        clock: Clock,
        zone: Callable[[], ZoneInfo],
        prove: Prove,
        say: Say,
        limit_s: float = LIMIT_S,
        hopeless: str = "",
    ) -> None:
        self.hopeless = hopeless
        self._trainer = trainer
        self._models = models
        self._memory = memory
        self._clock = clock
        self._zone = zone
        self._prove = prove
        self._say = say
        self._limit_s = limit_s
        self._task: asyncio.Task[None] | None = None
        self._now: Attempt | None = None
        self._since = 0.0
        self._stopped = False
        self._trained = False
        self._crowned = False

    @property
    def running(self) -> Attempt | None:
        """The training under way."""
        return self._now

    @property
    def ran_s(self) -> float:
        """Seconds of the wall that the training under way has lasted, 0 without one."""
        return asyncio.get_running_loop().time() - self._since if self._now else 0.0

    async def last(self) -> Attempt | None:
        """The newest training, under way or not, as the database has it; None before the first look."""
        said = await self._memory.recall(NAME)
        try:
            return msgspec.json.decode(said, type=Attempt) if said else None
        except msgspec.DecodeError as error:
            log.warning("what is remembered of the last training cannot be read", why=str(error))
            return None

    async def due(self) -> None:
        """Begin what is due; to be called every minute or so."""
        if self._now:
            return
        now, last = self._clock.now(), await self.last()
        cut_off = last is not None and last.ended is None and last.tries < TRIES_MAX
        if self.hopeless and not (last and last.asked and cut_off):
            await self._leave_out()
        elif last is None or last.begun > now:  # a first look, or a clock that went back: nights count from here
            await self._keep(Attempt(now - GAP, ended=now))  # it is no training that a night would be left out for
        elif cut_off:
            await self._begin(replace(last, begun=now, tries=last.tries + 1))
        elif self._missed(last.begun, now) and self._missed(await asyncio.to_thread(self._made_last, now), now):
            await self._begin(Attempt(now))

    async def _leave_out(self) -> None:
        if await self._memory.recall(LEFT_OUT) != self.hopeless:
            await self._say(self.hopeless)
            await self._memory.remember(LEFT_OUT, self.hopeless)

    def _missed(self, begun: datetime, now: datetime) -> bool:
        return newest_night(now, self._zone()) - begun >= GAP

    def _made_last(self, now: datetime) -> datetime:
        """When the newest model was made, by whomever; one of the future was made by a wrong clock."""
        made = [one.model.manifest.created_at for one in self._models.list() if one.model]
        return max((at for at in made if at <= now), default=datetime(1970, 1, 1, tzinfo=UTC))

    async def start(self) -> bool:
        """Begin now, asked by the owner; False where one is under way."""
        if self._now:
            return False
        return await self._begin(Attempt(self._clock.now(), asked=True))

    async def cancel(self) -> bool:
        """End the training; False where there is none, or where it is through and only gets its place."""
        if self._task is None or self._trained:
            return False
        self._stopped = True
        await self._ended(self._task)
        return True

    async def close(self) -> None:
        """End the training without a word; a start after this takes it up anew."""
        if self._task:
            await self._ended(self._task)

    async def _ended(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    async def _begin(self, attempt: Attempt) -> bool:
        self._now = attempt  # before anything is awaited: never two
        self._stopped = self._trained = self._crowned = False
        self._since = asyncio.get_running_loop().time()
        try:
            await self._keep(attempt)
        except BaseException:
            self._now = None
            raise
        log.info("training begins", asked=attempt.asked, tries=attempt.tries)
        self._task = asyncio.create_task(self._run(attempt), name="training")
        return True

    async def _keep(self, attempt: Attempt) -> None:
        await self._memory.remember(NAME, msgspec.json.encode(attempt).decode())

    async def _run(self, attempt: Attempt) -> None:
        try:
            said = await self._outcome()
            log.info("training ended", said=said)
            await self._keep(replace(attempt, ended=self._clock.now(), said=said))
            if not self._crowned:
                await self._say(said)
        except FirstmateError as error:
            log.error("what became of a training could not be kept or told", why=error.user_text)
        finally:
            self._now = self._task = None

    async def _outcome(self) -> str:
        """What became of the training, in words for the owner."""
        try:
            async with asyncio.timeout(self._limit_s):
                made = await self._trainer.train()
            self._trained = True
            return await self._placed(made)
        except asyncio.CancelledError:
            if not self._stopped:
                raise  # we are ending: it counts as cut off
            return f"Training was stopped, as you asked. {await self._stays()}"
        except TimeoutError:
            return f"Training was ended: it took more than {self._limit_s / 60:.0f} minutes. {await self._stays()}"
        except FirstmateError as error:
            return f"No new model: {error.user_text} {await self._stays()}"
        except Exception:
            log.exception("training failed")
            return f"Training failed, and it is logged. {await self._stays()}"

    async def _placed(self, made: str) -> str:
        """Give a new model the place it has earned; what that is, in words."""
        model = await asyncio.to_thread(self._models.load, made)
        refused = _refused(model)
        if refused:
            return f"{refused} {await self._stays()}"
        await self._prove(model.folder)
        said = await asyncio.to_thread(self._place, model)
        await asyncio.to_thread(self._models.retire, RETIRED_AFTER)
        return said

    def _place(self, model: Model) -> str:
        champion, challenger = (_beside(model, one) for one in (self._models.champion(), self._models.challenger()))
        head = f"The new model {model.id} passed its gate"
        if champion is None:
            self._models.promote(model.id)
            self._crowned = True
            return f"{head} and is champion."
        if model.id in (champion.id, challenger.id if challenger else ""):
            return f"Trained again, and it came out as the model {model.id} that is in its place already."
        if challenger and self._clock.now() - challenger.manifest.created_at < trial(challenger):
            return (
                f"{head} and is kept. The challenger {challenger.id} is still on trial, so it has no place yet; "
                f"{champion.id} stays champion."
            )
        self._models.set_challenger(model.id)
        return f"{head} and is challenger: it forecasts in the shadow of {champion.id}, which stays champion."

    async def _stays(self) -> str:
        champion, why = await asyncio.to_thread(self._models.champion)
        return f"{champion.id} stays champion." if champion else f"Nothing else changed. {why}"


def _beside(new: Model, found: tuple[Model | None, str]) -> Model | None:
    """Whoever holds a place, None where it cannot forecast the bars that ``new`` was made for."""
    holder, made = found[0], new.manifest
    span = SPANS.get(made.span)
    return None if holder and span and misfit(holder, span, made.symbols) else holder


def trial(challenger: Model) -> timedelta:
    """How long a challenger is not replaced: a new one every night would mean that none is ever judged."""
    return needed(SPANS.get(challenger.manifest.span, timedelta(hours=1))) + LONGER


def _refused(model: Model) -> str:
    """Why the gate did not let a model through, in words; empty where it did."""
    try:
        criteria = card.from_json(model.card).criteria
    except BadData as error:
        return f"The new model {model.id} has no card that can be read, so it gets no place: {error.user_text}."
    missed = [one for one in criteria if not one.passed]
    if criteria and not missed:
        return ""
    more = f" It fails {len(missed)} of {len(criteria)} criteria: {', '.join(one.name for one in missed)}."
    first = f" {missed[0].sentence}" if missed else ""
    return f"The new model {model.id} did not pass its gate.{first}{more if missed else ''}"
