"""The real program as a child process: its own state folder, a clean environment, and an end that is always made.

Rule 1: what a test needs to know it reads where a user could: stdout, stderr, the exit code, the files left behind.
Rule 2: every child is ended in ``finally``; a pause (SIGSTOP) never outlives the look it was made for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 120.0
SLICE_S = 0.0004
MISSED_MAX = 5


def clean_env(home: Path, /, **settings: str) -> dict[str, str]:
    """An environment without any setting but these, in which the user's home is ``home``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FIRSTMATE_", "XDG_", "PYTHON", "NOTIFY_"))}
    named = {f"FIRSTMATE_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **named}


class Program:
    """One run of ``firstmate``; stdout and stderr go to files named after ``name`` in ``folder``."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        name: str = "run",
        env: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.words = words
        self.out_path = folder / f"{name}.out"
        self.err_path = folder / f"{name}.err"
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "bot", *words],
                cwd=folder,
                env=env if env is not None else clean_env(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.child.pid

    @property
    def out(self) -> str:
        """Everything said on stdout so far."""
        return self.out_path.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """Everything said on stderr so far."""
        return self.err_path.read_text(encoding="utf-8")

    @property
    def complaints(self) -> list[str]:
        """The lines of stderr but a few of a busy machine, which misses a look now and then: many are no accident."""
        lines = self.err.splitlines()
        missed = [line for line in lines if '"event": "job missed"' in line]
        return lines if len(missed) > MISSED_MAX else [line for line in lines if line not in missed]

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.child.poll() is None

    def end(self, timeout_s: float = WAIT_S) -> int:
        """Wait for its own end; the exit code."""
        return self.child.wait(timeout_s)

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = WAIT_S) -> int:
        """Send a signal and wait; the exit code."""
        self.child.send_signal(number)
        return self.child.wait(timeout_s)

    def wait_until(self, look: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait until ``look`` is true; a program that ended before, or a wait too long, fails with what it said."""
        until = time.monotonic() + timeout_s
        while not look():
            assert self.alive, f"ended with {self.child.returncode} before {what}:\n{self.out}\n{self.err}"
            assert time.monotonic() < until, f"no {what} within {timeout_s} s:\n{self.out}\n{self.err}"
            time.sleep(0.02)

    def kill_when(self, look: Callable[[], bool], timeout_s: float = WAIT_S) -> bool:
        """Let it run in the smallest slices and ``kill -9`` it where ``look`` is true; False when it ended before."""
        until = time.monotonic() + timeout_s
        while self.alive:
            assert time.monotonic() < until, f"neither the moment nor the end came:\n{self.out[-2000:]}\n{self.err}"
            time.sleep(SLICE_S)
            try:
                if not self._stands_still():
                    return False
                if look():
                    self.kill()
                    return True
            finally:
                self.child.send_signal(signal.SIGCONT)
        return False

    def _stands_still(self) -> bool:
        """Stop it and wait until it is: what is looked at must stand still, up to the kill. False where it ended."""
        self.child.send_signal(signal.SIGSTOP)
        if self.child.returncode is not None:  # sending looked first: it is gone, and there is nobody to wait for
            return False
        found = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        return found is not None and found.si_code == os.CLD_STOPPED

    def kill(self) -> None:
        """``kill -9``, if it still runs."""
        if self.alive:
            self.child.kill()
            self.child.wait(WAIT_S)


@contextlib.contextmanager
def running(folder: Path, *words: str, name: str = "run", env: dict[str, str] | None = None) -> Iterator[Program]:
    """A program that has ended when the block is left."""
    program = Program(folder, *words, name=name, env=env)
    try:
        yield program
    finally:
        program.kill()


def run(folder: Path, *words: str, name: str = "run", env: dict[str, str] | None = None) -> Program:
    """A program that has ended by itself."""
    with running(folder, *words, name=name, env=env) as program:
        program.end()
    return program


class Reader:
    """A database that may be in use, or not there yet; nothing is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._con: sqlite3.Connection | None = None

    def rows(self, sql: str, *params: object) -> list[tuple[object, ...]]:
        """Rows of a query on what is committed now; none while there is no such table."""
        try:
            if self._con is None:
                self._con = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5.0)
            return self._con.execute(sql, params).fetchall()
        except sqlite3.OperationalError:
            self.close()
            return []

    def close(self) -> None:
        """Let go of it; the next question opens it anew."""
        if self._con is not None:
            self._con.close()
            self._con = None


def rows(path: Path, sql: str, *params: object) -> list[tuple[object, ...]]:
    """Rows of one query, as ``Reader.rows``."""
    reader = Reader(path)
    try:
        return reader.rows(sql, *params)
    finally:
        reader.close()
