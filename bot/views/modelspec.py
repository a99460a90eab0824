"""What the picture of a model shows, as values that travel to the drawing process as JSON.

Rule 1: nothing here imports a drawing library.
Rule 2: a spec that cannot be drawn cannot be built.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from core.domain.errors import BadData

DOTS_MAX = 40


@dataclass(frozen=True, slots=True)
class Dot:
    """Forecasts of like height: what was ``said`` and what ``came``, 0..1, give or take ``error``, ``count`` times."""

    said: float
    came: float
    count: int
    error: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.said <= 1 and 0 <= self.came <= 1 and self.count >= 0 and 0 <= self.error <= 1):
            raise BadData("This part of a record cannot be drawn: a share lies outside 0..1")


@dataclass(frozen=True, slots=True)
class Series:
    """One record under a name: its dots from the lowest forecast to the highest."""

    name: str
    dots: tuple[Dot, ...]

    def __post_init__(self) -> None:
        if len(self.dots) > DOTS_MAX:
            raise BadData(f"A record has at most {DOTS_MAX} parts in a picture, not {len(self.dots)}")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One picture of a model: how often what it said came true, before it served and since."""

    title: str
    subtitle: str
    badge: str
    tested: Series
    live: Series
    notes: tuple[str, ...] = ()
    footer: str = ""


def to_json(spec: ModelSpec) -> bytes:
    """``spec`` as one line of JSON."""
    return msgspec.json.encode(spec)


def from_json(body: bytes) -> ModelSpec:
    """The spec that was written by ``to_json``. Raises BadData on anything else."""
    try:
        return msgspec.json.decode(body, type=ModelSpec)
    except msgspec.DecodeError as error:
        raise BadData(f"This is not a picture of a model: {error}") from None
