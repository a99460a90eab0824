"""What is known of models, as values for the bot: what a card found, both places, the reasons of a decision.

Rule 1: nothing here asks anybody; a card that cannot be read is None, and no number stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from core.domain.errors import BadData
from core.domain.market import from_ms
from core.domain.model import Model
from core.domain.state import Decision, Trust
from core.learn.cases import Alike, Case
from core.learn.drift import Drift, Level
from core.learn.judge import card
from core.learn.judge.card import Card
from core.learn.paired import Duel
from core.learn.record import Track
from core.run.retrain import Attempt

__all__ = [
    "Alike",
    "Attempt",
    "Case",
    "Drift",
    "Duel",
    "LabView",
    "Level",
    "Seat",
    "Track",
    "Why",
    "Worth",
    "card_of",
    "seated",
]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bin:
    """Out-of-fold forecasts of like height: mean ``said`` and ``came``, 0..1, standard ``error``, and how many."""

    said: float
    came: float
    error: float
    count: int


@dataclass(frozen=True, slots=True)
class Worth:
    """What a model's card found, out of fold: the numbers a person asks for first.

    ``beats``: its gate let it through; ``missed``: the criteria it failed, of ``criteria``, and the first's sentence;
    ``error``: expected calibration error, ``floor`` what noise alone would make; ``held``: share of cases in which the
    lower bound, made of half of the quarters, held in the others, ``expected`` that of a right one at least; ``bets``,
    ``per_bet``, ``total``: what trusting it would have earned after costs.
    """

    beats: bool
    criteria: int
    missed: tuple[str, ...]
    sentence: str
    error: float
    floor: float
    expected: float
    held: float
    bets: int
    per_bet: float
    total: float
    first: str
    last: str
    table: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Seat:
    """A model in its place: what it is, what it is worth (None where its card cannot be read), and its live record."""

    id: str
    made_at: datetime
    ends_at: datetime
    family: str
    span: str
    symbols: int
    rows: int
    first: datetime
    last: datetime
    worth: Worth | None
    track: Track


@dataclass(frozen=True, slots=True)
class LabView:
    """Everything /model shows. ``nobody`` is why there is no champion; ``newest`` the newest model without a place;
    ``silence`` why the champion gave no forecast at the newest bar, or why it is not in use; ``before`` the
    champion before whom the place can be given back to."""

    trust: Trust
    real_money: bool
    champion: Seat | None
    nobody: str
    challenger: Seat | None
    duel: Duel | None
    drift: Drift
    newest: Seat | None
    running: Attempt | None
    last: Attempt | None
    silence: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """A decision with all its reasons; ``note`` says why there are none, ``alike`` what became of similar past bars."""

    decision: Decision
    note: str = ""
    alike: Alike | None = None
    since: datetime | None = None


def seated(model: Model, track: Track) -> Seat:
    """A model in its place, with its live record."""
    made, found = model.manifest, card_of(model)
    return Seat(
        id=model.id,
        made_at=made.created_at,
        ends_at=made.ends_at,
        family=made.family,
        span=made.span,
        symbols=len(made.symbols),
        rows=made.rows,
        first=from_ms(made.first_ms),
        last=from_ms(made.last_ms),
        worth=_worth(found) if found else None,
        track=track,
    )


def card_of(model: Model) -> Card | None:
    """The card of a model, None where it cannot be read."""
    try:
        return card.from_json(model.card)
    except BadData as error:
        log.info("a card cannot be read", model=model.id, why=error.user_text)
        return None


def _worth(found: Card) -> Worth:
    said, missed = found.judgement, [one for one in found.criteria if not one.passed]
    return Worth(
        beats=found.promotable,
        criteria=len(found.criteria),
        missed=tuple(one.name for one in missed),
        sentence=missed[0].sentence if missed else "",
        error=said.calibration.error,
        floor=said.calibration.floor,
        expected=said.bound_halves.expected,
        held=said.bound_halves.share,
        bets=said.by_trust.bets,
        per_bet=said.by_trust.per_bet,
        total=said.by_trust.total,
        first=said.first,
        last=said.last,
        table=tuple(Bin(one.forecast, one.outcome, one.error, one.rows) for one in said.calibration.table),
    )
