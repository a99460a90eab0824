"""The append-only log behind a room: one event a line, in a file only one process may write.

Rule 1: an event is on its way to the disk before anybody hears of it; ``kill -9`` loses none.
Rule 2: a last line without its line end was cut off by a kill and never happened; any other damage stops the start.
Rule 3: at start, and every 10,000 lines, the log is rewritten to what the room still remembers.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from core.sim.chat import room
from core.sim.chat.room import Event

LINES_MAX = 10_000
KINDS = {
    kind.__name__: kind
    for kind in (
        room.Posted,
        room.Edited,
        room.Deleted,
        room.Queued,
        room.Acked,
        room.Answered,
        room.CommandsSet,
        room.KindsWanted,
        room.FileKept,
        room.Counted,
        room.PressOpened,
    )
}


class Journal:
    """Events on disk, or nowhere when ``path`` is None; files live in a folder beside the log."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.lines = 0  # since the last rewrite
        self._file: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def folder(self) -> Path | None:
        """Where uploaded files are kept."""
        return self.path.with_name(f"{self.path.stem}_files") if self.path else None

    def open(self) -> list[Event]:
        """Every event of the log, oldest first. Raises ValueError with the fix for a damaged or shared log."""
        if self.path is None:
            return []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock(self.path.with_suffix(".lock"))
        return self._read() if self.path.exists() else []

    def _take_lock(self, path: Path) -> None:
        self._lock = path.open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ValueError(f"{self.path} is in use by another chat server: stop it or choose another file") from None

    def _read(self) -> list[Event]:
        assert self.path is not None
        whole = self.path.read_bytes().split(b"\n")[:-1]
        return [self._event(line, number) for number, line in enumerate(whole, 1) if line]

    def _event(self, line: bytes, number: int) -> Event:
        try:
            name, body = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
            event = msgspec.json.decode(body, type=KINDS[name], dec_hook=self._dec_hook)
        except (msgspec.MsgspecError, KeyError) as error:
            raise ValueError(
                f"{self.path} line {number} is damaged ({error}): move the file away to start afresh"
            ) from None
        return cast(Event, event)

    def _dec_hook(self, kind: type, value: Any) -> Any:
        assert kind is Path
        assert self.folder is not None
        return self.folder / Path(str(value)).name

    def append(self, event: Event) -> None:
        """Write one event through to the operating system."""
        self.lines += 1
        if self.path is None:
            return
        if self._file is None:
            raise RuntimeError(f"{self.path} is closed: start the chat before anybody writes")
        line, size = _line(event), self._file.tell()
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError:
            self._file.truncate(size)  # half a line in the middle of the log would spoil the next start
            raise

    def rewrite(self, events: Iterable[Event]) -> None:
        """Replace the log by ``events`` in one step."""
        self.lines = 0
        if self.path is None:
            return
        fresh = self.path.with_suffix(".new")
        lines = [_line(event) for event in events]
        with fresh.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)
        if self._file is not None:
            self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        """Let go of the log; writing it again needs a new ``open``."""
        for file in (self._file, self._lock):
            if file is not None:
                file.close()
        self._file = self._lock = None


def _line(event: Event) -> bytes:
    body = msgspec.json.encode(event, enc_hook=lambda value: value.name)
    return b'["%s",%s]\n' % (type(event).__name__.encode(), body)
