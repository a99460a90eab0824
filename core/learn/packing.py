"""Folded state as bytes and back: 32 bytes of version, a line of text, little-endian float64s.

Rule 1: what comes back is the same to the last bit, NaN included.
Rule 2: a state folded by another version of the source is refused, not reinterpreted.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

from core.domain.errors import BadData


def pack(version: str, head: str, numbers: Sequence[float]) -> bytes:
    """``numbers`` under ``version`` (64 hex digits) and one line ``head``."""
    floats = array("d", numbers)
    if sys.byteorder == "big":
        floats.byteswap()
    return bytes.fromhex(version) + head.encode() + b"\n" + floats.tobytes()


def unpack(version: str, body: bytes) -> tuple[str, list[float]]:
    """Head and numbers that ``pack`` made under the same ``version``; BadData on anything else."""
    mark, rest = body[:32], body[32:]
    head, newline, raw = rest.partition(b"\n")
    if not newline or len(raw) % 8:
        raise BadData("a saved feature state is cut short: it will be folded again from the stored bars")
    if mark != bytes.fromhex(version):
        raise BadData("a saved feature state is of another version: it will be folded again from the stored bars")
    floats = array("d")
    floats.frombytes(raw)
    if sys.byteorder == "big":
        floats.byteswap()
    return head.decode("utf-8", "replace"), floats.tolist()
