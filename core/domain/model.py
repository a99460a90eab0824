"""What is known of a trained model: its manifest, and the model as it lies in the registry.

Rule 1: a manifest that contradicts itself cannot be built.
Rule 2: no number in it is NaN or infinite, however deep it lies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

from core.domain.errors import BadData

MAX_AGE = timedelta(days=45)
EARLY = timedelta(minutes=2)
SYMBOLS_MAX = 1000
FEATURES_MAX = 1000
QUANTILES_MIN = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``model.json`` says: how a model was made, from what, and what belongs to its raw answer.

    ``span`` is a bar length as `firstmate` names it (1h); ``features`` in the order of the model's columns;
    ``barriers`` the bet (stop_atrs, target_atrs, horizon); ``calibrator`` and ``bound`` as their own ``to_json`` wrote
    them; ``rows`` trained on, whose deciding bars closed from ``first_ms`` to ``last_ms``; ``quantiles`` of each
    feature in the training data, ascending, equally many for each: what live rows are compared with;
    ``expires_at`` None for MAX_AGE after ``created_at``.
    """

    created_at: datetime
    family: str
    span: str
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    feature_version: str
    barriers: Mapping[str, float]
    calibrator: Mapping[str, object]
    bound: Mapping[str, object]
    params: Mapping[str, object]
    seed: int
    rows: int
    first_ms: int
    last_ms: int
    quantiles: Mapping[str, tuple[float, ...]]
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        for fault, holds in self._faults():
            if holds:
                raise BadData(f"the manifest of a model {fault}")

    def _faults(self) -> tuple[tuple[str, bool], ...]:
        moments = (self.created_at, self.expires_at or self.created_at)
        lengths = {len(self.quantiles.get(name, ())) for name in self.features}
        return (
            ("names a moment without its zone", any(moment.tzinfo is None for moment in moments)),
            ("names no family or no bar length", not (self.family and self.span)),
            ("names no symbol, or too many", not 0 < len(self.symbols) <= SYMBOLS_MAX),
            ("names no feature, too many, or one twice", not _named_once(self.features)),
            ("was trained on no rows, or ends before it begins", self.rows < 1 or self.first_ms > self.last_ms),
            ("lacks the quantiles of a feature", len(lengths) != 1 or min(lengths) < QUANTILES_MIN),
            ("holds quantiles that do not ascend", any(list(q) != sorted(q) for q in self.quantiles.values())),
            ("holds a number that is not finite", not all_finite([getattr(self, f.name) for f in fields(self)])),
        )

    @property
    def ends_at(self) -> datetime:
        """When this model is too old to forecast."""
        return self.expires_at or self.created_at + MAX_AGE

    def too_old(self, now: datetime) -> bool:
        """Whether it forecasts no longer; EARLY before its end, for who uses it asks this only once a minute."""
        return now >= self.ends_at - EARLY


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was read whole and found sound: ``text`` is LightGBM's own format, ``card`` its judgement."""

    id: str
    folder: Path
    manifest: Manifest
    text: str
    card: Mapping[str, object]


def all_finite(value: object) -> bool:
    """Whether no float within nested mappings and sequences is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(all_finite, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return all(map(all_finite, value))
    return True


def _named_once(names: Sequence[str]) -> bool:
    return 0 < len(names) <= FEATURES_MAX and len(set(names)) == len(names) and all(names)
