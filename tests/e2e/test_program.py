"""What the other tests rely on when they kill a program at a moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e import program as under_test
from tests.e2e.program import running


@pytest.mark.parametrize("always", [True, False])
def test_a_program_that_ends_in_a_slice_was_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    """It is gone before it can be stopped: there is no moment any more, whatever could be seen of what it left."""
    with running(tmp_path, "--version") as program:
        ended = os.WEXITED | os.WNOWAIT
        monkeypatch.setattr(under_test.time, "sleep", lambda _: os.waitid(os.P_PID, program.pid, ended))
        assert program.kill_when(lambda: always) is False
        assert program.child.returncode == 0
