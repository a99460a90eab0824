"""A server of the command line as its own process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bot.lived import environment


class Server:
    """A running server and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""

    def until(self, words: str) -> str:
        """Everything printed up to the line that holds ``words``."""
        assert self.process.stdout is not None
        while words not in self.printed:
            line = self.process.stdout.readline()
            assert line, f"it ended after {self.printed!r}"
            self.printed += line
        return self.printed

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Exit code, rest of stdout and stderr after a signal."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@contextmanager
def serving(*words: str, home: Path, **settings: str) -> Iterator[Server]:
    """The server, killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "bot", *words],
        env=environment(home, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()
