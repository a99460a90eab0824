"""Lines of a text file that may be packed (.gz, .zip), from a stranger: bounded in every direction.

Rule 1: memory stays constant; a line, the whole text, and what unpacking may blow it up to all have a limit.
Rule 2: whatever is wrong is BadData with file, line and fix; no library's own error leaves this file.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from core.domain.errors import BadData

Progress = Callable[[int, int], None]

PIECE = 1 << 16
LINE_MAX = 1_000
TEXT_MAX = 1 << 32
# price tables pack 3 to 20 times; what unpacks to more than this is made to fill a disk
RATIO_MAX = 100
RATIO_FROM = 1 << 24

_AGAIN = "fetch the file again"


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
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise BadData(f"{path.name}:{number + 1}: the packed data is damaged ({error}): {_AGAIN}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the path and its rights") from error


def _split(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    rest = b""
    number = 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        number += len(whole)
        for line in whole:
            yield line.rstrip(b"\r")
        if len(rest) > LINE_MAX:
            raise BadData(f"{path.name}:{number + 1}: a line of over {LINE_MAX} bytes: this is no price table")
    if rest:
        yield rest.rstrip(b"\r")


def _pieces(path: Path, progress: Progress | None) -> Iterator[bytes]:
    with ExitStack() as stack:
        packed = stack.enter_context(path.open("rb"))
        size = path.stat().st_size
        text = stack.enter_context(_unpacked(packed, path))
        total = 0
        while piece := text.read(PIECE):
            total += len(piece)
            _bound(path, total, size)
            yield piece
            if progress:
                progress(packed.tell(), size)


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
    if members[0].flag_bits & 1:
        raise BadData(f"{path.name}: is locked with a password: unpack it first")
    _bound(path, members[0].file_size, path.stat().st_size)
    return archive.open(members[0])
