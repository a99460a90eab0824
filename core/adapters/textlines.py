"""Lines of a text file that may be packed (.gz, .zip), from a stranger: bounded in every direction.

Rule 1: memory stays constant; a line, the whole text, and what unpacking may blow it up to all have a limit.
Rule 2: whatever is wrong is BadData with file, line and fix; no library's own error leaves this file.
Rule 3: nothing is ever unpacked to the disk; a member that names a place or a link there is refused all the same.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from core.adapters.redaction import printable
from core.domain.errors import BadData

Progress = Callable[[int, int], None]

PIECE = 1 << 16
LINE_MAX = 1_000
TEXT_MAX = 1 << 32
# price tables pack 3 to 20 times; what unpacks to more than this is made to fill a disk
RATIO_MAX = 100
RATIO_FROM = 1 << 24
# of an archive's own table: room for one name and a comment, not for millions of them
TABLE_MAX = 1 << 18

_AGAIN = "fetch the file again"
# what the two libraries raise on bytes that somebody changed
_DAMAGED = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    LookupError,
)


def lines(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a UTF-8 text; ``progress`` hears (bytes read, bytes in all)."""
    number = 0
    try:
        for raw in _split(_pieces(path, progress), path):
            number += 1
            yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BadData(f"{path.name}:{number}: not UTF-8 text: save it as plain CSV") from error
    except EOFError as error:
        raise BadData(f"{path.name}:{number + 1}: the packed data breaks off: {_AGAIN}") from error
    except _DAMAGED as error:
        why = printable(str(error))[:100]
        raise BadData(f"{path.name}:{number + 1}: the packed data is damaged ({why}): {_AGAIN}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the path and its rights") from error


def _split(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    rest = b""
    number = 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            _bound_line(path, number, line)
            yield line.rstrip(b"\r")
        _bound_line(path, number + 1, rest)
    if rest:
        yield rest.rstrip(b"\r")


def _bound_line(path: Path, number: int, line: bytes) -> None:
    if len(line) > LINE_MAX:
        raise BadData(f"{path.name}:{number}: a line of over {LINE_MAX} bytes: this is no price table")


def _pieces(path: Path, progress: Progress | None) -> Iterator[bytes]:
    with ExitStack() as stack:
        packed = stack.enter_context(_opened(path))
        size = os.fstat(packed.fileno()).st_size
        text = stack.enter_context(_unpacked(packed, path))
        total = 0
        while piece := text.read(PIECE):
            total += len(piece)
            _bound(path, total, size)
            yield piece
            if progress:
                progress(packed.tell(), size)


def _opened(path: Path) -> IO[bytes]:
    """The file, unless it is a pipe or a device, which may have no end. Raises BadData."""
    # a pipe would keep us waiting for whoever writes to it
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise BadData(f"{path.name}: is no plain file: save it as one")
    return _Sips(io.FileIO(handle))


class _Sips(io.BufferedReader):
    """A file that is read in pieces only: whoever wants a large part of it at once is reading a forged table."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, all of the rest where none is given. Raises BadZipFile for too many."""
        whole = size is None or size < 0
        wanted = os.fstat(self.fileno()).st_size - self.tell() if whole else size
        if wanted is not None and wanted > TABLE_MAX:
            raise zipfile.BadZipFile("the table of the archive is too large")
        return super().read(size)


def _bound(path: Path, total: int, size: int) -> None:
    if total > TEXT_MAX or (total > RATIO_FROM and total > RATIO_MAX * size):
        raise BadData(f"{path.name}: unpacks to over {total >> 20} MiB: this is no price table, nothing was read")


def _unpacked(packed: IO[bytes], path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=packed))
    return _only_member(packed, path) if path.suffix == ".zip" else packed


def _only_member(packed: IO[bytes], path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(packed)
    members = archive.infolist()
    if len(members) != 1 or not members[0].filename.endswith(".csv"):
        raise BadData(f"{path.name}: holds {len(members)} files where one .csv belongs: unpack it and import the CSVs")
    (member,) = members
    if _strays(member):
        raise BadData(f"{path.name}: what it holds names a place outside or a link: this is no price table")
    if member.flag_bits & 1:
        raise BadData(f"{path.name}: is locked with a password: unpack it first")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadData(f"{path.name}: is packed in a way that has no bounds: unpack it first")
    _bound(path, member.file_size, os.fstat(packed.fileno()).st_size)
    return archive.open(member)


def _strays(member: zipfile.ZipInfo) -> bool:
    """Whether a member has more than a plain name, or is more than a plain file."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    named = member.orig_filename
    return any(part in named for part in "/\\:\0") or not named.isprintable() or kind not in (0, stat.S_IFREG)
