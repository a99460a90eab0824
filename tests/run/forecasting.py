"""A forecaster that thinks with a formula, and models to put in its hands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.domain.frames import Answers
from core.domain.model import Manifest, Model
from core.lab_ports import NoForecast
from core.learn import features
from core.run.asking import Asking

P, LOW = 0.6, 0.5


class Oracle:
    """Says ``P`` and ``LOW`` of every row unless told otherwise; ``silent`` is why it says nothing, ``broken`` what it
    fails with instead."""

    def __init__(self) -> None:
        self.p, self.low = P, LOW
        self.silent = ""
        self.broken: Exception | None = None
        self.used: tuple[Path | None, Path | None] = (None, None)
        self.asked: list[int] = []  # rows of each batch

    async def use(self, champion: Path | None, challenger: Path | None = None) -> None:
        self.used = (champion, challenger)

    async def forecast(self, rows: Sequence[Sequence[float]], explain_above: float = 1.0) -> Answers:
        if self.broken:
            raise self.broken
        if self.silent:
            raise NoForecast(self.silent)
        self.asked.append(len(rows))
        width = len(rows[0])
        assert all(len(row) == width for row in rows)
        shares = tuple((0.5, *[0.0] * (width - 1), -0.2) for _ in rows if self.low > explain_above)
        return Answers("abc", (self.p,) * len(rows), (self.low,) * len(rows), shares)

    async def close(self) -> None:
        """Nothing is held."""


def a_model(made: str = "abc", **changes: object) -> Model:
    """A model of hours that fits the features of now."""
    fields: dict[str, object] = {
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        "family": "boosting",
        "span": "1h",
        "symbols": ("BTCUSDT", "ETHUSDT", "LINKUSDT"),
        "features": features.MODEL_NAMES,
        "feature_version": features.version(),
        "barriers": {"stop_atrs": 3.0, "target_atrs": 6.0, "horizon": 96.0},
        "calibrator": {},
        "bound": {},
        "params": {},
        "seed": 1,
        "rows": 1000,
        "first_ms": 0,
        "last_ms": 1,
        "quantiles": dict.fromkeys(features.MODEL_NAMES, (0.0, 1.0)),
        **changes,
    }
    return Model(made, Path("models") / made, Manifest(**fields), "", {})  # type: ignore[arg-type]


def the_rule() -> Asking:
    """Nobody but the rule to ask."""
    return Asking(Oracle())
