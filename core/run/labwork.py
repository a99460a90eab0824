"""The lab's share of the assistant's day: when it wakes, what it does when, and what it lets go of at the end.

Rule 1: training by night runs where a day takes a day; in a demo that runs quicker only the owner trains.
Rule 2: whatever ends us, no training and no analyst's process is left behind.
"""

from __future__ import annotations

import asyncio

from core.lab_ports import Forecaster
from core.run.lab import Lab
from core.run.retrain import Retrain
from core.run.schedule import Job


class LabWork:
    """Lab, training and forecasting process as one part of the assistant; ``nightly`` where it trains by itself."""

    def __init__(self, lab: Lab, retrain: Retrain, forecaster: Forecaster, *, nightly: bool) -> None:
        self._lab = lab
        self._retrain = retrain
        self._forecaster = forecaster
        self._nightly = nightly

    async def wake(self) -> None:
        """Let the champion forecast, or tell why there is none."""
        await self._lab.wake()

    async def beat(self) -> None:
        """One lock-step beat: what was forecast is written down, whoever holds the place of champion is used."""
        await self._lab.look()

    def jobs(self) -> tuple[Job, ...]:
        """What runs when, for ``core.run.schedule``."""
        jobs = (Job("models", 60.0, 600.0, self._lab.look), Job("lab", 3600.0, 3 * 3600.0, self._lab.review))
        return (*jobs, Job("training", 60.0, 600.0, self._retrain.due)) if self._nightly else jobs

    async def run(self) -> None:
        """Stay until cancelled, then end what was started."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._retrain.close()
            await self._forecaster.close()
