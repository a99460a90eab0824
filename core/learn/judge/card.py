"""The model card: what a model is, what was found out about it, and whether it may trade.

Rule 1: a card from a file is judged word by word and number by number; BadData on whatever is not one.
Rule 2: the card does not know its model's id, for the id is made of the card's hash too.
Rule 3: standard library and msgspec alone: whoever shows a card loads no numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from core.domain.errors import BadData
from core.domain.model import all_finite
from core.learn.judge import gate
from core.learn.judge.gate import Criterion
from core.learn.judge.judgement import Count, Judgement, Sentence, Word

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Making:
    """How the model was made: ``first`` and ``last`` are the days (ISO) of the rows it was finally trained on."""

    made_at: Word
    family: Word
    span: Word
    symbols: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=1000)]
    features: Count
    feature_version: Word
    rows: Count
    first: Word
    last: Word
    barriers: Sentence
    folds: Sentence
    seed: Count


@dataclass(frozen=True, slots=True)
class Card:
    """All a person needs to judge a model; ``criteria`` and ``verdict`` as they were when it was made."""

    making: Making
    judgement: Judgement
    criteria: tuple[Criterion, ...]
    verdict: Annotated[str, Meta(max_length=4000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT

    @property
    def promotable(self) -> bool:
        """Whether the gate let the model through."""
        return gate.promotable(self.criteria)


def made(making: Making, judgement: Judgement) -> Card:
    """The card of a model that was judged, with the gate's answer on it."""
    criteria = gate.gate(judgement)
    return Card(making, judgement, criteria, gate.verdict(judgement, criteria))


def to_json(card: Card) -> dict[str, object]:
    """The card as what JSON can hold; ``from_json`` gives the same one back."""
    said: dict[str, object] = msgspec.to_builtins(card)
    return said


def from_json(said: object) -> Card:
    """The card ``to_json`` wrote, also after its way through a file; BadData on whatever is not one."""
    try:
        card = msgspec.convert(said, Card, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BadData(f"this is no model card: {error}") from error
    if not all_finite(said):
        raise BadData("this is no model card: a number in it is not finite")
    return card
