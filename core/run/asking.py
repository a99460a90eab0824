"""Asking the models: one batch of rows in, what each symbol may say out.

Rule 1: without a champion the rule speaks; with one only the champion does, and where it gives no answer, nobody.
Rule 2: a row whose chance could pay, costs apart, is explained; the others are not, for that costs most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.forecast import MODEL, Contribution
from core.domain.frames import Answers
from core.domain.model import Model
from core.lab_ports import Forecaster, NoForecast
from core.learn.analyst import Said
from core.learn.rule import EVEN_ODDS
from core.learn.spoken import Curve, curve_of, spoken

EVERYTHING = -1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking: ``by_rule`` where no model is in use, else what the champion said of each symbol, the
    answers of both models, or why there are none."""

    by_rule: bool = False
    said: Mapping[str, Said] = field(default_factory=dict)
    answers: Answers | None = None
    failure: str = ""


class Asking:
    """The models in use and the process that knows them."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._champion: Model | None = None
        self._curve: Curve | None = None

    async def use(self, champion: Model | None, challenger: Model | None) -> None:
        """Ask these models from the next batch on."""
        self._champion = champion
        self._curve = curve_of(champion.manifest.calibrator) if champion else None
        folders = (champion.folder if champion else None, challenger.folder if challenger else None)
        await self._forecaster.use(*folders)

    async def about(self, rows: Mapping[str, Sequence[float]]) -> Heard:
        """What the champion says of the symbols of one bar close, given their rows."""
        model = self._champion
        if model is None:
            return Heard(by_rule=True)
        if not rows:
            return Heard()
        symbols, batch = list(rows), list(rows.values())
        try:
            answers = await self._forecaster.forecast(batch, explain_above=EVEN_ODDS)
        except NoForecast as silent:
            return Heard(failure=f"NO_ANSWER: {silent.user_text}")
        paying = [k for k, low in enumerate(answers.p_low) if low > EVEN_ODDS]
        reasons = dict(zip(paying, self._spoken(model, [batch[k] for k in paying], answers), strict=True))
        said = {symbol: _said(model, answers, k, reasons.get(k, ())) for k, symbol in enumerate(symbols)}
        return Heard(said=said, answers=answers)

    async def why(self, row: Sequence[float]) -> tuple[Contribution, ...]:
        """What speaks for and against in one row; empty without a champion. Raises NoForecast."""
        model = self._champion
        if model is None:
            return ()
        answers = await self._forecaster.forecast([row], explain_above=EVERYTHING)
        return self._spoken(model, [row], answers)[0]

    def _spoken(
        self, model: Model, rows: Sequence[Sequence[float]], answers: Answers
    ) -> list[tuple[Contribution, ...]]:
        """What speaks in each of the rows that were explained, in their order."""
        names = model.manifest.features
        return [
            spoken(names, row, shares, self._curve) for row, shares in zip(rows, answers.contributions, strict=True)
        ]


def _said(model: Model, answers: Answers, k: int, why: tuple[Contribution, ...]) -> Said:
    return Said(f"{MODEL}{model.id}", answers.p[k], answers.p_low[k], model.manifest.rows, why)
