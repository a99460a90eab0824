"""A scripted run, killed before a write to the disk: wherever that is, it ends as if nobody had killed it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.blackbox import writes

KINDS = ("pwrite64", "fdatasync", "write")
CANNOT = writes.cannot_trace()


@pytest.mark.skipif(bool(CANNOT), reason=CANNOT)
@pytest.mark.parametrize("call", KINDS)
def test_a_kill_before_a_write_changes_no_trade_and_no_sum(tmp_path: Path, call: str):
    """One write of each kind, of the about 1,100 in the run; `--writes` of the long form takes them all."""
    script = writes.Script(tmp_path)
    points = [point for point in script.points() if point.call == call]
    point = Random(call).choice(points)
    found = script.killed_at(point)
    assert found.killed, f"the run ended before {point}"
    assert not found.wrong, f"{point}: {found.wrong}"
