"""What passes between the assistant and its analyst process: a head of four bytes, then a body in msgpack.

Rule 1: the first frame of the analyst is Ready; then one Reply follows each Question, bearing its number.
Rule 2: a head that announces more than FRAME_MAX bytes is believed by nobody: nothing after it can be read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from core.domain.errors import BadData

FRAME_MAX = 1 << 24
ROWS_MAX = 4096
HEAD = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Question:
    """``n`` rows of features as little-endian float64, row by row; a row whose lower bound is over
    ``explain_above`` is to be explained."""

    number: int
    n: int
    rows: bytes
    explain_above: float = 1.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What champion and challenger say of the rows asked, one number a row, in their order.

    ``p`` calibrated 0..1 and its lower bound ``p_low`` <= ``p``; the challenger's are empty where there is none;
    ``contributions`` of the champion (TreeSHAP, log-odds before calibration) for each row that was to be explained:
    one a feature, then the base they start from.
    """

    model_id: str
    p: tuple[float, ...]
    p_low: tuple[float, ...]
    contributions: tuple[tuple[float, ...], ...] = ()
    challenger_id: str = ""
    challenger_p: tuple[float, ...] = ()
    challenger_low: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """Who answers, and how many features a row has; ``fault`` says why there is no champion, or no challenger."""

    model_id: str
    challenger_id: str
    width: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answers to the question of this number, or the ``fault`` for which it has none."""

    number: int
    answers: Answers | None
    fault: str = ""


def head(body: bytes) -> bytes:
    """The four bytes before ``body``; BadData where it is too long to be sent."""
    if len(body) > FRAME_MAX:
        raise BadData(f"a frame of {len(body):,} bytes is longer than {FRAME_MAX:,}")
    return HEAD.pack(len(body))


def length(four: bytes) -> int:
    """How many bytes follow this head; BadData where nobody means that."""
    size = int(HEAD.unpack(four)[0])
    if not 0 < size <= FRAME_MAX:
        raise BadData(f"a frame announces {size:,} bytes")
    return size
