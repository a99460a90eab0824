"""A table of jobs: run at once and again, missed and failed runs counted, a clock that steps survived."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from structlog.testing import capture_logs

from core.domain.errors import RetryLater
from core.run.schedule import Job, Schedule
from core.run.vitals import Vitals
from tests.run.shell import until

SOON_S = 10.0


class Beats:
    """A job that counts its runs; what it is told to do comes first."""

    def __init__(self, *faults: Exception) -> None:
        self.count = 0
        self._faults = list(faults)
        self._news = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._news:
            self.count += 1
            self._news.notify_all()
        if self._faults:
            raise self._faults.pop(0)

    async def reach(self, count: int) -> None:
        """Wait until it ran so often."""
        async with asyncio.timeout(SOON_S), self._news:
            await self._news.wait_for(lambda: self.count >= count)


@contextlib.contextmanager
def scheduled(*jobs: Job, wall=time.time):
    vitals = Vitals()
    schedule = Schedule(jobs, vitals, wall)
    schedule.start()
    try:
        yield schedule, vitals
    finally:
        schedule.stop()


def text(vitals: Vitals, name: str) -> str:
    return next(check.text for check in vitals.checks() if check.name == name)


async def test_every_job_runs_at_once_and_again():
    """Nothing waits for its first interval to pass."""
    rare, often = Beats(), Beats()
    with scheduled(Job("rare", 3600, 7200, rare), Job("often", 0.05, 10, often)):
        await asyncio.gather(rare.reach(1), often.reach(3))


async def test_a_failing_job_is_counted_and_keeps_others_running():
    """One job's trouble is told and is nobody else's."""
    bad, good = Beats(RetryLater("no network"), ZeroDivisionError("bug")), Beats()
    with capture_logs() as logs, scheduled(Job("bad", 0.05, 10, bad), Job("good", 0.05, 10, good)) as (_, vitals):
        await bad.reach(3)
        await good.reach(3)
        await until(lambda: text(vitals, "bad").endswith("2 failed"))
    assert {line["event"] for line in logs if line.get("job") == "bad"} == {"job failed"}


@pytest.mark.parametrize(
    ("fault", "told"), [(RetryLater("no network"), "no network"), (KeyError("x"), "KeyError: see the log")]
)
async def test_the_last_failure_is_what_health_shows(fault, told):
    """A failure of ours shows its sentence; a bug shows its name and leaves the rest to the log."""
    bad = Beats(fault)
    with capture_logs(), scheduled(Job("bad", 3600, 7200, bad)) as (_, vitals):
        await bad.reach(1)
        await until(lambda: text(vitals, "bad") == told)


async def test_a_job_that_overruns_is_counted_as_missed_and_never_runs_twice_at_once():
    """A slow run delays its next one; it does not pile up."""
    running, most = 0, 0
    release = asyncio.Event()

    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1

    with capture_logs() as logs, scheduled(Job("slow", 0.05, 10, slow)) as (_, vitals):
        await until(lambda: "missed" in text(vitals, "slow"))
        release.set()
        await until(lambda: running == 0)
    assert most == 1
    assert {"event": "job missed", "job": "slow", "log_level": "warning"} in logs


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
async def test_after_the_clock_stepped_every_job_runs_at_once(step_s):
    """An hour back or forth does not leave the jobs waiting for an hour that comes twice or never."""
    offset = 0.0
    job = Beats()
    with capture_logs() as logs, scheduled(Job("job", 3600, 7200, job), wall=lambda: time.time() + offset) as (one, _):
        await job.reach(1)
        assert not one.watch_clock()
        offset = step_s
        assert one.watch_clock()
        await job.reach(2)
        assert not one.watch_clock()
    (told,) = [line for line in logs if "the clock stepped" in line["event"]]
    assert told["seconds"] == pytest.approx(step_s, abs=1)


async def test_a_clock_that_drifts_a_little_is_left_alone():
    """A second of correction is no step."""
    offset = 0.0
    job = Beats()
    with scheduled(Job("job", 3600, 7200, job), wall=lambda: time.time() + offset) as (one, _):
        await job.reach(1)
        offset = 1.0
        assert not one.watch_clock()


async def test_after_a_stop_nothing_runs():
    """Stopped is stopped, and stopping twice does no harm."""
    job = Beats()
    with scheduled(Job("job", 0.05, 10, job)) as (one, _):
        await job.reach(2)
        one.stop()
        await asyncio.sleep(0)
        count = job.count
        await asyncio.sleep(0.2)
    assert job.count == count


async def test_every_job_is_expected_to_do_well():
    """A job that never ran is seen as silent, not as unknown."""
    with scheduled(Job("a", 3600, 7200, Beats()), Job("b", 3600, 7200, Beats())) as (_, vitals):
        assert [check.name for check in vitals.checks()] == ["a", "b"]


async def test_a_job_that_is_stopped_in_the_middle_is_no_failure(caplog):
    """Every stop hits some job half-way; a log full of tracebacks would look like a crash."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with scheduled(Job("endless", 3600, 7200, endless)) as (_, vitals):
        await asyncio.wait_for(begun.wait(), SOON_S)
    await asyncio.wait_for(ended.wait(), SOON_S)
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert "failed" not in text(vitals, "endless")
