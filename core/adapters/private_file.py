"""Small files that only this user may read: written whole or not at all.

Rule 1: a write is on the disk, under its name, before it returns (fsync of file and folder); a reader sees the old or
        the new.
Rule 2: a file that others may read, that is a link, or that is too large is refused, never read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from core.domain.errors import NeedsOwner, StoreUnusable

BYTES_MAX = 1 << 20


def write(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` (0600). Raises StoreUnusable; the file is then as it was."""
    beside = path.with_name(f"{path.name}.part")
    try:
        _write_beside(beside, data)
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreUnusable(f"{path} cannot be written: {error.strerror}.") from error


def create(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` where nothing is yet (0600). Raises NeedsOwner where something is, StoreUnusable."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise NeedsOwner(f"{path} is there already: name a new file.") from None
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be written: {error.strerror}.") from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, *, shared: bool = False) -> bytes | None:
    """What stands at ``path``, at most 1 MiB; None where nothing is. Raises StoreUnusable when it must not be read.

    ``shared`` is for a copy that travels: others may read it, for a passphrase of its own seals it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        said = "it is a link; put the file itself there" if error.errno == errno.ELOOP else error.strerror
        raise StoreUnusable(f"{path} cannot be read: {said}.") from error
    with os.fdopen(handle, "rb") as file:
        _require_fit(path, os.fstat(file.fileno()), 0 if shared else 0o077)
        return file.read(BYTES_MAX)


def put_by_others(path: Path, seen: os.stat_result) -> bool:
    """Whether somebody may have put this file there who is neither we, nor root, nor whose folder it lies in."""
    return seen.st_uid not in (0, os.geteuid(), path.parent.stat().st_uid)


def _write_beside(beside: Path, data: bytes) -> None:
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _require_fit(path: Path, seen: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISREG(seen.st_mode):
        raise StoreUnusable(f"{path} is not a file: move it away.")
    if seen.st_mode & forbidden:
        raise StoreUnusable(
            f"{path} may be read or written by others: `chmod 600 {path}`, and change the keys it holds."
        )
    if seen.st_size > BYTES_MAX:
        raise StoreUnusable(f"{path} is larger than any vault: move it away.")
