"""Text typed on the command line into values, each within bounds that the refusal names.

Rule 1: every parser raises argparse.ArgumentTypeError with one sentence, and never corrects what was typed.
"""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

OLDEST = datetime(2009, 1, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """Which market a simulated exchange plays: made from a seed, or read from a folder of recorded bars."""

    kind: Literal["seeded", "recorded"]
    folder: Path | None = None


def market(text: str) -> MarketChoice:
    """`seeded`, or `recorded:DIR` with a folder that exists."""
    if text == "seeded":
        return MarketChoice("seeded")
    kind, _, folder = text.partition(":")
    if kind != "recorded" or not folder:
        raise ArgumentTypeError(f"'{text}' is no market; it is `seeded` or `recorded:DIR`")
    path = _place(folder)
    if not path.is_dir():
        raise ArgumentTypeError(f"there is no folder {path}")
    return MarketChoice("recorded", path)


def whole(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``low`` to ``high``."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII) or not low <= int(text) <= high:
            raise ArgumentTypeError(f"'{text}' is not a whole number from {low} to {high}")
        return int(text)

    return parse


def written(text: str) -> str:
    """The name of a file to write, or `-` for standard output."""
    if not Path(text).name:
        raise ArgumentTypeError(f"'{text}' names no file; give one, or - for standard output")
    return text


def descriptor(text: str) -> int:
    """The number of a file descriptor, 0 to 1023; what else was typed may be a secret and is not repeated."""
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or int(text) > 1023:
        raise ArgumentTypeError("it takes the number of a file descriptor, 0 to 1023; secrets are never arguments")
    return int(text)


def speed(text: str) -> float:
    """How many seconds of market pass in one real second: above 0 up to 1,000,000, or infinity for `max`."""
    if text == "max":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1_000_000 or "_" in text:
        raise ArgumentTypeError(f"'{text}' is no speed; it is `max` or a number above 0 up to 1000000")
    return value


def faults(text: str) -> tuple[int, float]:
    """`SEED` or `SEED:SHARE`: what is drawn from, and the share of requests that fail, 0 to 1, by default 0.15."""
    seed, _, share = text.partition(":")
    if not re.fullmatch(r"\d{1,18}", seed, re.ASCII) or not re.fullmatch(r"(0|1|0?\.\d{1,6})?", share, re.ASCII):
        raise ArgumentTypeError(f"'{text}' is no plan of faults; write a seed, or a seed and a share such as 7:0.15")
    return int(seed), float(share or "0.15")


def moment(text: str) -> datetime:
    """An aware UTC time from `2022-01-01` or `2022-01-01T12:00[+01:00]` (UTC where no zone stands), not before 2009."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is no date; write 2022-01-01 or 2022-01-01T12:00") from None
    try:
        aware = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        aware = datetime.min.replace(tzinfo=UTC)
    if not OLDEST <= aware <= datetime.now(UTC):
        raise ArgumentTypeError(f"'{text}' lies outside 2009-01-03 to now")
    return aware


def symbol(text: str) -> str:
    """A pair in capitals such as BTCUSDT."""
    if not re.fullmatch(r"[A-Z0-9]{5,20}", text):
        raise ArgumentTypeError(f"'{text}' is no pair; write it in capitals like BTCUSDT")
    return text


def existing_file(text: str) -> Path:
    """A file that exists and can be read."""
    path = _place(text)
    if not path.is_file():
        raise ArgumentTypeError(f"there is no file {path}")
    return path


def folder(text: str) -> Path:
    """A folder, or a place where one can be made."""
    path = _place(text).absolute()
    if not text or (path.exists() and not path.is_dir()):
        raise ArgumentTypeError(f"'{text}' is not a folder")
    return path


def _place(text: str) -> Path:
    """A path that can be asked about, whether or not something is there."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError):  # a name nobody can have, a user nobody knows
        raise ArgumentTypeError(f"'{text[:60]}' is no place on this machine") from None
    return path
