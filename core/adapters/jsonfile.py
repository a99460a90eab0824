"""One small value as one small file of JSON.

Rule 1: it is written as ``private_file`` writes: by this user alone, whole, on the disk.
Rule 2: what cannot be read, is of another shape, large, no plain file, or may have been put there by others counts as
        nothing.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from core.adapters import private_file

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
            foreign = found.st_mode & OTHERS_MAY_WRITE or private_file.put_by_others(path, found)
            if stat.S_ISREG(found.st_mode) and not foreign and found.st_size <= SIZE_MAX:
                return msgspec.json.decode(file.read(SIZE_MAX), type=kind)
    return None


def write(path: Path, value: object) -> None:
    """Keep a value (a msgspec Struct or a dataclass). Raises StoreUnusable."""
    private_file.write(path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")
