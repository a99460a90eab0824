"""A few hundred lives in every test run: no order lost or doubled, every position protected or told, money exact."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.campaign.__main__ import lived, table, trace_hash
from tests.campaign.life import Result, live_once
from tests.campaign.plan import plan_of

ROOT = Path(__file__).resolve().parents[2]
LIVES, EACH = 256, 16


@pytest.mark.parametrize("first", range(1, 1 + LIVES, EACH))
def test_no_life_ends_with_anything_lost_doubled_unprotected_or_wrong(first: int):
    """Whatever is killed, cut, late or lied about, the exchange's own account finds nothing to blame."""
    bad = {r.seed: r.violations for r in lived(range(first, first + EACH), 1) if r.violations}
    assert bad == {}, f"live them again: ./run campaign --seed {next(iter(bad))} -v"


@pytest.mark.parametrize("first", [1, 17, 33])
def test_what_is_bought_without_faults_is_protected_within_two_seconds(first: int):
    """Where nothing fails, a fill is followed by a live stop at once, and books and exchange agree to the last unit."""
    results = [live_once(seed, faults=False) for seed in range(first, first + EACH, 4)]
    assert [r.violations for r in results] == [[]] * len(results)
    waits = sorted(seconds for r in results for seconds in r.protected_s)
    assert len(waits) >= 3 * len(results)
    assert waits[int(len(waits) * 0.99)] <= 2.0


def test_the_same_seeds_give_the_same_trace_whatever_python_hashes():
    """A failing seed replays exactly: the hash over all traces does not depend on the process."""
    here = trace_hash(live_once(seed) for seed in (7, 8))
    for hash_seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.campaign", "--seeds", "2", "--from", "7", "--jobs", "2"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.split()[-1] == here, done.stderr[-500:]


def test_about_half_of_the_lives_are_killed_and_a_sixth_of_the_calls_fail():
    """The campaign is as rough as it claims."""
    plans = [plan_of(seed) for seed in range(1, 1001)]
    assert 0.45 < sum(bool(p.kills) for p in plans) / 1000 < 0.55
    assert 0.13 < sum(p.faults.share for p in plans) / 1000 < 0.17
    assert max(p.faults.lag_s for p in plans) > 39
    assert sum(p.telegram for p in plans) == 125
    assert Counter(p.fee_in for p in plans).keys() == {"own", "BNB", "BNB runs out"}


def test_the_table_names_what_was_violated_and_ends_with_the_hash():
    """Who reads only the last lines reads what matters."""
    results = [Result(1, "aa", [("doubled", "x"), ("doubled", "y")]), Result(2, "bb", faults=Counter({"LOST": 3}))]
    lines = table(results, 1.0).splitlines()
    assert lines[-3].split() == ["violations", "doubled", "in", "1"]
    assert lines[-2].split() == ["seeds", "1"]
    assert lines[-1].split() == ["traces", trace_hash(results)]
    assert trace_hash(results) == trace_hash(reversed(results)) != trace_hash(results[:1])
