"""The quick clock of the black box: a process on it waits less and believes it waited long, and all of them agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.blackbox import fast

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import asyncio, time
from tests.blackbox import fast
import os
fast.apply(fast.read(os.environ[fast.VARIABLE]))
from core.adapters.clock import WallClock
from core.run.schedule import Job, Schedule
from core.run.vitals import Vitals

async def main():
    runs = []
    async def run():
        runs.append(WallClock().now().timestamp())
    schedule = Schedule([Job("often", 60.0, 600.0, run)], Vitals())
    schedule.start()
    begun = asyncio.get_running_loop().time(), time.time(), time.monotonic(), WallClock().now().timestamp()
    await asyncio.sleep(600.0)
    ended = asyncio.get_running_loop().time(), time.time(), time.monotonic(), WallClock().now().timestamp()
    schedule.stop()
    print(min(b - a for a, b in zip(begun, ended)), len(runs))

asyncio.run(main())
"""


def test_a_pace_survives_its_text():
    """What one process hands to the next is the same moment, to the last bit."""
    pace = fast.Pace(40.0, 1234.5678901234567, 1763700000.1234567)
    assert fast.read(str(pace)) == pace


def test_a_process_at_a_pace_waits_all_its_time_by_each_of_its_clocks_and_runs_its_jobs():
    """Ten minutes by every clock of the program, with a job a minute, in the two seconds that this takes."""
    env = {**os.environ, fast.VARIABLE: str(fast.begun(300.0)), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    passed, runs = done.stdout.split()[-2:]
    assert float(passed) >= 599.0
    assert int(runs) >= 3
