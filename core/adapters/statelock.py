"""One assistant a state folder: the folder itself, and the lock its running assistant holds.

Rule 1: the kernel owns the lock (flock): it ends with the process, however that ends; nothing stale is ever cleaned up.
Rule 2: the pid in the file is for the sentence a second instance gets, never for a decision.
Rule 3: the lock is never a link: who opens it writes to it, root too.
Rule 4: a forked child gives its copy up at once, so a surviving worker cannot keep a dead assistant's lock.
Commands that only read take no lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.domain.errors import AlreadyRunning, StoreUnusable

FILE_NAME = "lock"
ATTEMPTS, PAUSE_S = 5, 0.05  # somebody asking for the holder has the lock for an instant

_held: set[int] = set()


def _forget_in_child() -> None:
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def prepare(home: Path) -> Path:
    """The state folder, made (only for this user, 0700) where it was missing; StoreUnusable when it cannot be used."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(
            f"The state folder {home} cannot be made ({error.strerror}): make room for it, or give another by --state."
        ) from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise StoreUnusable(
            f"The state folder {home} cannot be written: check whose it is, or give another by --state."
        )
    return home


@contextmanager
def hold(home: Path) -> Iterator[None]:
    """The state folder is ours within the block; AlreadyRunning names the process that has it."""
    path = prepare(home) / FILE_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreUnusable(f"The lock {path} cannot be opened: {error.strerror}.") from error
    _held.add(handle)
    try:
        _take(handle, home)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def holder(home: Path) -> int | None:
    """Pid of the assistant running on this folder, or None; takes nothing and changes nothing."""
    try:
        handle = os.open(home / FILE_NAME, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(handle)
    finally:
        os.close(handle)
    return None


def _take(handle: int, home: Path) -> None:
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)
            continue
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        return
    raise AlreadyRunning(
        f"Another firstmate (process {_pid(handle) or 'unknown'}) is running on {home}:"
        " stop it first, or give this one another folder by --state."
    )


def _pid(handle: int) -> int | None:
    text = os.pread(handle, 20, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else None
