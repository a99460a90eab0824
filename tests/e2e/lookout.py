"""A lookout in a child process: every address it asks for is written down, and only this computer's let by.

Rule 1: it sits below everything, at the interpreter's own audit events, and comes in by PYTHONPATH before any import.
Rule 2: an address beyond this computer is written down and then refused: no test of ours ever leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCE = """
import os, socket, sys

RECORD = os.open({record!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
LOCAL = ("127.", "::1", "localhost", "0.0.0.0")
# a resolver written in C would ask for names past the interpreter
sys.modules["aiodns"] = None


def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if address is None or getattr(args[0], "family", None) == socket.AF_UNIX:
            return
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = args[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else str(host)
    os.write(RECORD, f"{{event}} {{host}}\\n".encode())
    if not host.startswith(LOCAL) and host != "None":
        raise OSError(101, "kept on this computer by a test")


sys.addaudithook(watch)
"""


@dataclass(frozen=True, slots=True)
class Lookout:
    """What one child process asked of the network."""

    folder: Path

    @property
    def lines(self) -> list[str]:
        """``event host``, oldest first."""
        path = self.folder / "record"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    @property
    def hosts(self) -> set[str]:
        """Every host asked for by name or connected to."""
        return {line.partition(" ")[2] for line in self.lines}

    @property
    def beyond(self) -> set[str]:
        """Those of them that are not this computer."""
        return {host for host in self.hosts if not host.startswith(("127.", "::1", "localhost", "0.0.0.0", "None"))}

    def watched(self, env: dict[str, str]) -> dict[str, str]:
        """``env`` for a child that is watched from its first line on."""
        return {**env, "PYTHONPATH": f"{self.folder}:{env['PYTHONPATH']}"}


def post(folder: Path) -> Lookout:
    """A lookout whose notes are kept in ``folder``."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(SOURCE.format(record=str(folder / "record")), encoding="utf-8")
    return Lookout(folder)
