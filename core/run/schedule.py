"""What runs when: one table of named jobs, driven by APScheduler.

Rule 1: a job asks the database and the clock what is due; the scheduler only wakes it, so a missed run is caught up.
Rule 2: runs that were missed, overran or failed are heard and counted, never silent.
Rule 3: after the wall clock steps, every job is armed anew: a monotonic clock notices, for the scheduler does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from core.domain.errors import FirstmateError
from core.run.vitals import Vitals

CLOCK_STEP_S = 5.0
WATCH_EVERY_S = 2.0
GRACE_S = 30
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """One named job: every ``every_s`` seconds of the wall; unwell when silent for ``patience_s``."""

    name: str
    every_s: float
    patience_s: float
    run: Callable[[], Awaitable[object]]


class Schedule:
    """Runs a table of jobs until stopped."""

    def __init__(self, jobs: Sequence[Job], vitals: Vitals, wall: Callable[[], float] = time.time) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._vitals = vitals
        self._wall = wall
        self._offset = wall() - time.monotonic()
        self._stopped = False
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for job in jobs:
            vitals.expect(job.name, job.patience_s)

    def start(self) -> None:
        """Arm every job; each runs at once and then at its interval."""
        self._arm()
        self._scheduler.start()

    def stop(self) -> None:
        """Run nothing more; a job in the middle of its run is cut off, which is no failure."""
        self._stopped = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def watch_clock(self) -> bool:
        """Arm everything anew if the wall clock stepped since the last look; whether it did."""
        offset = self._wall() - time.monotonic()
        stepped = abs(offset - self._offset) > CLOCK_STEP_S
        if stepped:
            log.warning("the clock stepped, all jobs are armed anew", seconds=round(offset - self._offset, 1))
            self._offset = offset
            self._arm()
        return stepped

    def _arm(self) -> None:
        now = datetime.now(UTC)
        for job in self._jobs.values():
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=job.every_s, start_date=now, timezone=UTC),
                args=[job.name],
                id=job.name,
                replace_existing=True,
                next_run_time=now,
                misfire_grace_time=GRACE_S,
                coalesce=True,
                max_instances=1,
            )

    async def _run(self, name: str) -> None:
        try:
            await self._jobs[name].run()
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        except FirstmateError as error:
            self._vitals.failed(name, error.user_text)
            log.warning("job failed", job=name, why=error.user_text)
        except Exception as error:
            self._vitals.failed(name, f"{type(error).__name__}: see the log")
            log.exception("job failed", job=name)
        else:
            self._vitals.well(name)

    def _missed(self, event: JobEvent) -> None:
        self._vitals.missed(event.job_id)
        log.warning("job missed", job=event.job_id)
