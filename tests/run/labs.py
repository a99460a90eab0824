"""What the lab needs around it, in memory: a shelf of models, a memory, a trainer, a record of forecasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.domain.errors import BadData, NeedsOwner, StoreUnusable
from core.domain.model import Manifest, Model
from core.lab_ports import NOBODY_BEFORE, Listed, LiveRow, Settled, Twofold
from core.learn.judge import card
from tests.learn.judge.judgements import GOOD, MAKING
from tests.run.forecasting import a_model

GOOD_CARD = card.to_json(card.made(MAKING, GOOD))
BAD_CARD = card.to_json(card.made(MAKING, replace(GOOD, faults=("the feature ret_1 knows the next bar",))))


@dataclass
class MovedClock:
    """A clock that moves when told to."""

    at: datetime = datetime(2024, 6, 1, 12, tzinfo=UTC)
    speed: float = 1.0

    def now(self) -> datetime:
        """Where it stands."""
        return self.at


@dataclass
class Notebook:
    """Texts by name."""

    said: dict[str, str] = field(default_factory=dict)
    full: bool = False

    async def recall(self, name: str) -> str:
        """What was kept."""
        return self.said.get(name, "")

    async def remember(self, name: str, said: str) -> None:
        """Keep it, or fail where there is no room."""
        if self.full:
            raise NeedsOwner("The disk is full.")
        self.said[name] = said


@dataclass
class Shelf:
    """A registry in memory: models by id, and who holds which place."""

    models: dict[str, Model] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=lambda: {"champion": "", "challenger": ""})
    before: list[str] = field(default_factory=list)
    retired: list[timedelta] = field(default_factory=list)

    def put(self, made: str, judged: Mapping[str, object] = GOOD_CARD, **changes: object) -> str:
        """A model on the shelf."""
        model = a_model(made, **changes)
        self.models[made] = replace(model, card=judged)
        return made

    def add(self, text: str, manifest: Manifest, judged: Mapping[str, object]) -> str:
        """Keep a model."""
        made = f"{len(self.models):012x}"
        self.models[made] = Model(made, Path("models") / made, manifest, text, judged)
        return made

    def list(self) -> Sequence[Listed]:
        """Newest first."""
        found = sorted(self.models.values(), key=lambda one: one.manifest.created_at, reverse=True)
        held = self.places
        return [Listed(m.id, m, "", m.id == held["champion"], m.id == held["challenger"]) for m in found]

    def load(self, made: str) -> Model:
        """The model, or BadData."""
        if made not in self.models:
            raise BadData(f"There is no model {made}.")
        return self.models[made]

    def champion(self) -> tuple[Model | None, str]:
        """Who forecasts."""
        return self._holder("champion", "There is no champion yet.")

    def challenger(self) -> tuple[Model | None, str]:
        """Who forecasts in shadow."""
        return self._holder("challenger", "There is no challenger.")

    def _holder(self, place: str, nobody: str) -> tuple[Model | None, str]:
        made = self.places[place]
        return (self.models[made], "") if made else (None, nobody)

    def too_old(self, model: Model) -> bool:
        """Nothing ages here."""
        return False

    def promote(self, made: str) -> None:
        """Make a model champion."""
        self.load(made)
        self.before.append(self.places["champion"])
        self.places["champion"] = made
        if self.places["challenger"] == made:
            self.places["challenger"] = ""

    def way_back(self, unfit: Callable[[Model], str]) -> tuple[Model | None, Sequence[str]]:
        """Who would be gone back to."""
        passed = list[str]()
        for made in reversed([one for one in self.before if one]):
            if not (fault := unfit(self.models[made])):
                return self.models[made], tuple(passed)
            passed.append(fault)
        return None, tuple(passed)

    def rollback(self, unfit: Callable[[Model], str]) -> tuple[str, Sequence[str]]:
        """Back to a champion before."""
        model, passed = self.way_back(unfit)
        if model is None:
            raise NeedsOwner(NOBODY_BEFORE)
        self.before = self.before[: self.before.index(model.id)]
        self.places["champion"] = model.id
        return model.id, passed

    def dismiss(self) -> None:
        """No champion."""
        self.places["champion"] = ""

    def set_challenger(self, made: str | None) -> None:
        """Name the challenger."""
        self.places["challenger"] = made or ""

    def retire(self, older: timedelta, keep: int = 5) -> Sequence[str]:
        """Note that old ones were to go."""
        self.retired.append(older)
        return ()

    def stamp(self) -> tuple[int, ...]:
        """Something else after each change."""
        return (hash(tuple(self.places.values())),)


@dataclass
class Coach:
    """Trains a model that is on the shelf already, at once or when ``done`` is set; ``fault`` is raised instead."""

    made: str = "new"
    fault: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    runs: int = 0
    ended: int = 0
    at_once: bool = True

    async def train(self) -> str:
        """The candidate; a process that is cancelled has ended when this returns."""
        self.runs += 1
        self.begun.set()
        try:
            if not self.at_once:
                await self.done.wait()
        finally:
            self.ended += 1
        if self.fault:
            raise self.fault
        return self.made


@dataclass
class Ledger(Notebook):
    """A record of forecasts: what was settled and the rows behind it, for any model."""

    bets: list[Settled] = field(default_factory=list)
    seen: list[LiveRow] = field(default_factory=list)
    both: list[Twofold] = field(default_factory=list)
    away: str = ""

    async def settled(
        self, model_id: str, since_ms: int, most: int, role: str = ""
    ) -> AsyncIterator[Sequence[Settled]]:
        """In the order they were made."""
        yield [bet for bet in self.bets if bet.open_ms >= since_ms][:most]

    async def twofold(self, model_id: str, other_id: str, since_ms: int, most: int) -> AsyncIterator[Sequence[Twofold]]:
        """In the order they were made."""
        yield [bet for bet in self.both if bet.open_ms >= since_ms][:most]

    async def rows(self, model_id: str, since_ms: int, most: int) -> Sequence[LiveRow]:
        """Oldest first, or StoreUnusable while it is ``away``."""
        if self.away:
            raise StoreUnusable(self.away)
        return [row for row in self.seen if row.open_ms >= since_ms][:most]
