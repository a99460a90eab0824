"""What the lab needs from the world, as protocols: a forecaster, a registry of models, a record of what they said.

Rule 1: implemented in ``core.adapters``; the shell and the tests' fakes know only these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from core.domain.errors import FirstmateError
from core.domain.frames import Answers
from core.domain.model import Manifest, Model

NOBODY_BEFORE = "There is no champion before this one to go back to."


class NoForecast(FirstmateError):
    """Nobody answered what can be trusted; ``user_text`` says why. Nothing older stands in for it."""


class Forecaster(Protocol):
    """Who turns rows of features into probabilities; one batch at a time."""

    async def use(self, champion: Path | None, challenger: Path | None = None) -> None:
        """From the next batch on ask the models in these folders; no champion means no forecast."""

    async def forecast(self, rows: Sequence[Sequence[float]], explain_above: float = 1.0) -> Answers:
        """What the models say of ``rows``, with contributions for those whose lower bound is over ``explain_above``.

        Raises NoForecast, within bounded time.
        """

    async def close(self) -> None:
        """Let everything go that forecasting held."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One model of a registry; where it cannot be used there is a ``fault`` in its place."""

    id: str
    model: Model | None
    fault: str
    champion: bool
    challenger: bool


class ModelStore(Protocol):
    """Trained models, which one forecasts (champion), and which one in its shadow (challenger)."""

    def add(self, text: str, manifest: Manifest, card: Mapping[str, object]) -> str:
        """Keep a model whole or not at all; its id, the same for the same content. Raises BadData."""

    def list(self) -> Sequence[Listed]:
        """Every model, newest first."""

    def load(self, made: str) -> Model:
        """The model of this id, proven whole. Raises BadData."""

    def champion(self) -> tuple[Model | None, str]:
        """The champion and "", or None and why there is none."""

    def challenger(self) -> tuple[Model | None, str]:
        """The challenger and "", or None and why there is none."""

    def too_old(self, model: Model) -> bool:
        """Whether a model forecasts no longer; cheap."""

    def promote(self, made: str) -> None:
        """Make a model champion. Raises BadData, NeedsOwner; the champion then stays."""

    def way_back(self, unfit: Callable[[Model], str]) -> tuple[Model | None, Sequence[str]]:
        """The newest champion before that is sound and of which ``unfit`` says nothing, None where there is none; and
        of each that was passed over why."""

    def rollback(self, unfit: Callable[[Model], str]) -> tuple[str, Sequence[str]]:
        """Give the place back along ``way_back``; the id of who gets it, and of each that was passed over why.

        Raises NeedsOwner where there is none; the champion then stays.
        """

    def dismiss(self) -> None:
        """Leave the champion's place empty; nobody goes back to whoever held it."""

    def set_challenger(self, made: str | None) -> None:
        """Name the challenger, or none. Raises BadData, NeedsOwner."""

    def retire(self, older: timedelta, keep: int = 5) -> Sequence[str]:
        """Remove models nobody needs any more; their ids."""

    def stamp(self) -> tuple[int, ...]:
        """Something else after each change of champion or challenger, by whoever made it; cheap."""


@dataclass(frozen=True, slots=True)
class Bet:
    """A bet that was forecast: decided on the bar that opened at ``open_ms``, entered at the next open.

    ``win`` and ``loss`` are fractions of the entry price; it lasts ``horizon`` bars of ``span_ms`` at most.
    """

    symbol: str
    span_ms: int
    open_ms: int
    win: float
    loss: float
    horizon: int


class Said(NamedTuple):
    """What one model said of a bet as "champion" or "challenger": chance and lower bound, 0..1."""

    model_id: str
    role: str
    p: float
    p_low: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A bet with all that was said of it, and the row of features it was said of, little-endian float64."""

    bet: Bet
    said: tuple[Said, ...]
    row: bytes


class Ended(NamedTuple):
    """A bet, the open time of the bar in which it ended, and the part of a win it was worth, 0..1."""

    bet: Bet
    ended_ms: int
    outcome: float


class Settled(NamedTuple):
    """A forecast of one model and what came of it."""

    symbol: str
    open_ms: int
    ended_ms: int
    p: float
    p_low: float
    outcome: float


class Twofold(NamedTuple):
    """One settled bet that two models forecast: the chances they gave it, and what came of it."""

    open_ms: int
    p: float
    other_p: float
    outcome: float


class LiveRow(NamedTuple):
    """The features behind one forecast, little-endian float64."""

    symbol: str
    open_ms: int
    x: bytes


class LabRecords(Protocol):
    """What models forecast and what became of it. Long answers are thinned evenly over time down to ``most``."""

    async def keep(self, spoken: Sequence[Spoken]) -> int:
        """Keep forecasts; each model's word on a bet once, the first one. How many bets were new."""

    async def waiting(self) -> Sequence[tuple[str, int, int]]:
        """Symbol, bar length in ms and first open time of the bets that are not settled."""

    async def unsettled(self, symbol: str, span_ms: int, after_ms: int, limit: int) -> Sequence[Bet]:
        """Up to ``limit`` bets not settled yet, on bars that opened later than ``after_ms``, oldest first."""

    async def settle(self, ends: Sequence[Ended]) -> None:
        """Keep what became of bets that were not settled yet."""

    def settled(self, model_id: str, since_ms: int, most: int, role: str = "") -> AsyncIterator[Sequence[Settled]]:
        """A model's settled forecasts (as ``role`` only, where named), in the order they were made, in blocks."""

    def twofold(self, model_id: str, other_id: str, since_ms: int, most: int) -> AsyncIterator[Sequence[Twofold]]:
        """The settled bets both models forecast, in the order they were made, in blocks."""

    async def rows(self, model_id: str, since_ms: int, most: int) -> Sequence[LiveRow]:
        """The features a model was asked about, oldest first."""

    async def recall(self, name: str) -> str:
        """What was remembered under this name, "" for nothing."""

    async def remember(self, name: str, said: str) -> None:
        """Keep a text under a name, in place of the one before."""

    async def tidy(self, before_ms: int, rows_before_ms: int) -> int:
        """Forget bets decided before ``before_ms``, and features older than ``rows_before_ms``; how many bets."""
