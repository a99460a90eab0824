"""A person at a terminal: a command on a pseudo-terminal, read as it speaks, typed to when it asks."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_S = 60.0


class Terminal:
    """One command; ``shown`` is everything on the screen so far."""

    def __init__(self, folder: Path, env: dict[str, str], *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "bot", *words], env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> str:
        """Read until ``text`` is on the screen; the screen."""
        until = time.monotonic() + WAIT_S
        while text not in self.shown:
            assert self._read(until), f"no {text!r} on the screen:\n{self.shown}"
        return self.shown

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, text.encode() + b"\n")

    def end(self) -> int:
        """Read to the end; the exit code."""
        until = time.monotonic() + WAIT_S
        while self._read(until):
            pass
        return self.child.wait(WAIT_S)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, until - time.monotonic()))
        part = b""
        if ready:
            with contextlib.suppress(OSError):  # Linux says EIO when the other side is closed
                part = os.read(self._ours, 65_536)
        self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        return bool(part)

    def close(self) -> None:
        """Take the screen away, and the command with it."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(WAIT_S)
        os.close(self._ours)


@contextlib.contextmanager
def terminal(folder: Path, env: dict[str, str], *words: str) -> Iterator[Terminal]:
    """A command at a terminal that has ended when the block is left."""
    one = Terminal(folder, env, *words)
    try:
        yield one
    finally:
        one.close()
