"""What a chart shows, as values that travel to the drawing process as JSON.

Rule 1: nothing here imports a drawing library, so the resident process can build a chart without holding one.
Rule 2: numbers are floats: a picture is for eyes, never for money.
Rule 3: a spec that cannot be drawn cannot be built.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from core.domain.errors import BadData
from core.domain.market import bar_fault

CANDLES_MAX = 240


class Tone(StrEnum):
    """What a price line stands for; the drawing chooses its colour by it."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar as floats; ``open_ms`` milliseconds since the epoch."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        fault = bar_fault(self.open, self.high, self.low, self.close, self.volume)
        if fault:
            raise BadData(f"This candle cannot be drawn: {fault}")


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A horizontal line at ``price`` with a short label, e.g. ``target +2.4%``."""

    label: str
    price: float
    tone: Tone

    def __post_init__(self) -> None:
        _check_price(self.price)


@dataclass(frozen=True, slots=True)
class FillMark:
    """A trade of ours: an arrow below the price for a buy, above it for a sale."""

    at_ms: int
    price: float
    buy: bool

    def __post_init__(self) -> None:
        _check_price(self.price)


@dataclass(frozen=True, slots=True)
class Spoke:
    """One thing that spoke for or against; ``strength`` in 0..1."""

    label: str
    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise BadData(f"{self.label}: a strength lies in 0..1, not {self.strength}")


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One picture: 1 to 240 candles oldest first, price lines, fills, and what spoke for and against.

    ``decimals`` (0..12) is how many the exchange's tick has; ``badge`` is a short word in the corner, e.g. SIMULATED.
    """

    title: str
    candles: tuple[Candle, ...]
    decimals: int
    subtitle: str = ""
    badge: str = ""
    time_zone: str = "UTC"
    lines: tuple[PriceLine, ...] = ()
    fills: tuple[FillMark, ...] = ()
    spoke_for: tuple[Spoke, ...] = ()
    spoke_against: tuple[Spoke, ...] = ()
    footer: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.candles) <= CANDLES_MAX:
            raise BadData(f"A chart needs 1 to {CANDLES_MAX} candles, not {len(self.candles)}")
        if not 0 <= self.decimals <= 12:
            raise BadData(f"A chart shows 0 to 12 decimals, not {self.decimals}")
        opens = [candle.open_ms for candle in self.candles]
        if any(later <= earlier for earlier, later in pairwise(opens)):
            raise BadData("The candles of a chart must be in order, each once")
        _check_zone(self.time_zone)


def to_json(spec: ChartSpec) -> bytes:
    """``spec`` as one line of JSON."""
    return msgspec.json.encode(spec)


def from_json(body: bytes) -> ChartSpec:
    """The spec that was written by ``to_json``. Raises BadData on anything else."""
    try:
        return msgspec.json.decode(body, type=ChartSpec)
    except msgspec.DecodeError as error:
        raise BadData(f"This is not a chart: {error}") from None


def _check_price(price: float) -> None:
    if not (math.isfinite(price) and price > 0):
        raise BadData(f"{price} is not a price")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadData(f"{name!r} is not a time zone, write e.g. Europe/Berlin") from None
