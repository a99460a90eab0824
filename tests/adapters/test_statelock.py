"""One assistant a state folder, whatever happens to it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.adapters.statelock import hold, holder, prepare
from core.domain.errors import AlreadyRunning, StoreUnusable

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, os, pathlib
from core.adapters.statelock import hold
with hold(pathlib.Path(sys.argv[1])):
    if len(sys.argv) > 2 and os.fork() == 0:
        os.write(1, b"child %d\\n" % os.getpid())
        import time; time.sleep(60); os._exit(0)
    os.write(1, b"held\\n")
    sys.stdin.read()
"""


def holding(home: Path, *extra: str) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input closes."""
    command = [sys.executable, "-c", HOLD, str(home), *extra]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_instance_is_refused_and_told_who_has_it(tmp_path: Path):
    """Two assistants never trade out of one folder."""
    with holding(tmp_path) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(AlreadyRunning, match=f"process {other.pid}"), hold(tmp_path):
            pass
        assert holder(tmp_path) == other.pid
        other.communicate("")


def test_the_lock_is_free_again_after_a_kill(tmp_path: Path):
    """After kill -9 the next start needs no cleaning up."""
    with holding(tmp_path) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        other.wait()
        with hold(tmp_path):
            assert holder(tmp_path) == os.getpid()


def test_a_forked_child_does_not_keep_a_dead_parents_lock(tmp_path: Path):
    """A worker that outlives a killed assistant does not block its restart."""
    with holding(tmp_path, "fork") as other:
        assert other.stdout is not None
        lines = [other.stdout.readline().split(), other.stdout.readline().split()]
        child = next(int(line[1]) for line in lines if line[0] == "child")
        other.kill()
        other.wait()
        try:
            with hold(tmp_path):
                assert holder(tmp_path) == os.getpid()
        finally:
            os.kill(child, signal.SIGKILL)


def test_the_lock_ends_with_its_block(tmp_path: Path):
    """A clean stop frees the folder for the next start."""
    with hold(tmp_path):
        pass
    assert holder(tmp_path) is None
    with hold(tmp_path):
        pass


def test_asking_who_runs_changes_nothing(tmp_path: Path):
    """A read-only command leaves no trace in an empty folder."""
    assert holder(tmp_path) is None
    assert os.listdir(tmp_path) == []


def test_a_new_state_folder_is_for_its_owner_only(tmp_path: Path):
    """Nobody else on the machine reads the journal."""
    home = prepare(tmp_path / "a" / "b")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    """A file where the folder should be is told, not stumbled over."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be made"):
        prepare(tmp_path / "file" / "home")


def test_a_lock_that_is_a_link_is_refused_and_what_it_points_to_is_left_alone(tmp_path: Path):
    """Whoever may write the state folder must not make root write over another file."""
    other = tmp_path / "precious"
    other.write_text("not ours\n")
    home = prepare(tmp_path / "home")
    (home / "lock").symlink_to(other)
    with pytest.raises(StoreUnusable, match="lock"), hold(home):
        pass
    assert other.read_text() == "not ours\n"
