"""The lab put together: registry, record, training and the bot's door to them, for one mode.

Rule 1: models lie beside the databases of their mode; what was learned on play markets never forecasts real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from core.adapters.bars import SqliteBars
from core.adapters.forecaster import prove
from core.adapters.lab_records import SqliteLabRecords
from core.adapters.models import FOLDER, Registry
from core.adapters.statefolder import Stores
from core.adapters.trainer import ProcessTrainer, what_to_train
from core.domain.events import LabSpoke
from core.lab_ports import Forecaster
from core.learn.model_files import ours
from core.run.analysts import Analysts, Batch
from core.run.asking import Asking
from core.run.assistant import Parts
from core.run.fitting import misfit
from core.run.hopeless import hopeless
from core.run.lab import TRACE, Lab
from core.run.labdesk import LabDesk
from core.run.labwork import LabWork
from core.run.reasons import Reasons
from core.run.retrain import Retrain
from core.settings import HISTORY_BARS_MAX, Settings


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What the assistant runs of the lab, and what the bot asks of it."""

    work: LabWork
    desk: LabDesk


def laboratory(
    settings: Settings, kept: Stores, parts: Parts, analysts: Analysts, asking: Asking, forecaster: Forecaster
) -> Laboratory:
    """The lab of the mode whose databases ``kept`` are, for the assistant made of ``parts``."""
    engine, clock, about = parts.engine, parts.clock, parts.about
    records = SqliteLabRecords(kept.main)
    models = Registry(kept.main.path.parent / FOLDER, ours())

    async def say(text: str) -> None:
        await engine.post(LabSpoke(clock.now(), TRACE, text))

    what = what_to_train(settings.home, about.mode, settings.symbols, settings.timeframe, settings.history_bars)
    lab = Lab(engine, models, records, analysts, SqliteBars(kept.bars), clock, about.span, about.symbols, prove)
    retrain = Retrain(
        ProcessTrainer(what),
        models,
        records,
        clock,
        lambda: parts.desk.zone,
        prove,
        say,
        hopeless=hopeless(about.span, settings.history_bars, HISTORY_BARS_MAX),
    )
    reasons = Reasons(models, records, asking, lambda: engine.state.trust.model_id)
    unfit = partial(misfit, span=about.span, symbols=frozenset(about.symbols))
    desk = LabDesk(engine, clock, models, lab, reasons, retrain, prove, unfit, about.guarded)

    def heard(batch: Batch) -> None:
        lab.heard(batch)
        reasons.heard(batch)

    analysts.listen(heard)
    return Laboratory(LabWork(lab, retrain, forecaster, nightly=clock.speed == 1.0), desk)
