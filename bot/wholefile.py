"""A file that somebody asked a command for: there is all of it, or what was there before.

Rule 1: it is written beside its place and moved there last; whoever reads meanwhile sees the old one.
Rule 2: whatever ends it before that leaves nothing; what is no plain file (a device, a pipe) is never replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from core.domain.errors import NeedsOwner


@contextmanager
def whole(path: Path, option: str) -> Iterator[TextIO]:
    """A text file (UTF-8) that takes its place at ``path`` once everything is in it.

    Raises NeedsOwner, which names the ``option`` the path came by, where that cannot be.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise NeedsOwner(f"{path} cannot be written (it is no plain file): name another file by {option}.")
    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            raise NeedsOwner(f"{path} cannot be written ({error.strerror}): name another file by {option}.") from None
        raise
