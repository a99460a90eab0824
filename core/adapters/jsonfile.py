"""One small value as one small file of JSON.

Rule 1: nobody but this user may read or write it (0600), and it is whole and on the disk before ``write`` returns.
Rule 2: what cannot be read, is of another shape, large, no plain file, or could have been written by others counts as
        nothing.
Rule 3: what root writes belongs to whoever owns the folder, or a service could not read what its owner allowed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from core.domain.errors import StoreUnusable

T = TypeVar("T")
OTHERS_MAY_WRITE = 0o022
SIZE_MAX = 1 << 16


def read(path: Path, kind: type[T]) -> T | None:
    """The value in this file, or None."""
    with suppress(OSError, ValueError, RecursionError):
        # a pipe would keep us waiting for whoever writes to it
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode) and not found.st_mode & OTHERS_MAY_WRITE and found.st_size <= SIZE_MAX:
                return msgspec.json.decode(file.read(SIZE_MAX), type=kind)
    return None


def write(path: Path, value: object) -> None:
    """Keep a value (a msgspec Struct or a dataclass). Raises StoreUnusable."""
    try:
        _write(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
    except OSError as error:
        raise StoreUnusable(f"{path} cannot be written: {error.strerror}.") from error


def _write(path: Path, text: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        file.flush()
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(handle, folder.st_uid, folder.st_gid)
        os.fsync(handle)
    beside.replace(path)
    folder_handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder_handle)
    finally:
        os.close(folder_handle)
