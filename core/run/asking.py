"""Asking the models: one batch of rows in, what each symbol may say out.

Rule 1: without a champion the rule speaks; with one only the champion does, and where it gives no answer, nobody.
Rule 2: whatever goes wrong is no forecast; it never keeps the bars themselves from being posted.
Rule 3: of a symbol the champion never learned from it is not asked: what it would say is a guess.
Rule 4: a row whose chance could pay, costs apart, is explained; the others are not, for that costs most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from core.domain.forecast import MODEL, Contribution
from core.domain.frames import Answers
from core.domain.model import Model
from core.lab_ports import Forecaster, NoForecast
from core.learn.analyst import Said
from core.learn.rule import EVEN_ODDS
from core.learn.spoken import Curve, curve_of, spoken

EVERYTHING = -1.0
BROKEN = "NO_ANSWER: No forecast: asking the model failed in a way nobody foresaw; the log has it."
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking: ``by_rule`` where no model is in use, else what the champion said of each symbol it was
    asked about, the answers of both models in the same order, or why there are none; ``unlearned``: why a symbol was
    not asked about."""

    by_rule: bool = False
    said: Mapping[str, Said] = field(default_factory=dict)
    unlearned: Mapping[str, str] = field(default_factory=dict)
    answers: Answers | None = None
    failure: str = ""


class Asking:
    """The models in use and the process that knows them."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        self._champion: tuple[Model, Curve | None] | None = None

    async def use(self, champion: Model | None, challenger: Model | None) -> None:
        """Ask these models from the next batch on."""
        self._champion = (champion, curve_of(champion.manifest.calibrator)) if champion else None
        folders = (champion.folder if champion else None, challenger.folder if challenger else None)
        await self._forecaster.use(*folders)

    async def about(self, rows: Mapping[str, Sequence[float]]) -> Heard:
        """What the champion says of the symbols of one bar close, given their rows."""
        if self._champion is None:
            return Heard(by_rule=True)
        model, curve = self._champion
        learned = {symbol: row for symbol, row in rows.items() if symbol in model.manifest.symbols}
        unlearned = {symbol: _unlearned(model, symbol) for symbol in rows if symbol not in learned}
        heard = await self._answered(model, curve, learned) if learned else Heard()
        return replace(heard, unlearned=unlearned)

    async def _answered(self, model: Model, curve: Curve | None, rows: Mapping[str, Sequence[float]]) -> Heard:
        try:
            return await self._heard(model, curve, rows)
        except NoForecast as silent:
            return Heard(failure=f"NO_ANSWER: {silent.user_text}")
        except Exception:
            log.exception("asking a model failed")
            return Heard(failure=BROKEN)

    async def _heard(self, model: Model, curve: Curve | None, rows: Mapping[str, Sequence[float]]) -> Heard:
        symbols, batch = list(rows), list(rows.values())
        answers = await self._forecaster.forecast(batch, explain_above=EVEN_ODDS)
        paying = [k for k, low in enumerate(answers.p_low) if low > EVEN_ODDS]
        reasons = dict(zip(paying, _spoken(model, curve, [batch[k] for k in paying], answers), strict=True))
        said = {symbol: _said(model, answers, k, reasons.get(k, ())) for k, symbol in enumerate(symbols)}
        return Heard(said=said, answers=answers)

    async def why(self, row: Sequence[float]) -> tuple[Contribution, ...]:
        """What speaks for and against in one row; empty without a champion. Raises NoForecast."""
        if self._champion is None:
            return ()
        model, curve = self._champion
        answers = await self._forecaster.forecast([row], explain_above=EVERYTHING)
        return _spoken(model, curve, [row], answers)[0]


def _unlearned(model: Model, symbol: str) -> str:
    return f"NOT_LEARNED: The model {model.id} was not trained on {symbol}: train anew, with it among the symbols."


def _spoken(
    model: Model, curve: Curve | None, rows: Sequence[Sequence[float]], answers: Answers
) -> list[tuple[Contribution, ...]]:
    """What speaks in each of the rows that were explained, in their order."""
    names = model.manifest.features
    return [spoken(names, row, shares, curve) for row, shares in zip(rows, answers.contributions, strict=True)]


def _said(model: Model, answers: Answers, k: int, why: tuple[Contribution, ...]) -> Said:
    return Said(f"{MODEL}{model.id}", answers.p[k], answers.p_low[k], model.manifest.rows, why)
