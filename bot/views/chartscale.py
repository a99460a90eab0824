"""Where things go on a chart: prices to rows, bars to columns, ticks at round places, labels apart.

Rule 1: pure arithmetic on numbers; knows neither fonts nor pixels' colours.
Rule 2: a higher price is never drawn lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.views.chartspec import ChartSpec

ROOM = 0.06
STRETCH_MAX = 4.0
_MINUTE_STEPS = (1, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720)
_DAY_STEPS = (1, 2, 3, 7, 14, 30, 60, 90, 180, 365)


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear map of ``low``..``high`` (price) to ``bottom``..``top`` (pixel rows, growing downwards)."""

    low: float
    high: float
    top: int
    bottom: int

    def row(self, price: float) -> int:
        """Pixel row of ``price``, kept within top..bottom."""
        share = (price - self.low) / (self.high - self.low)
        return round(self.bottom - min(1.0, max(0.0, share)) * (self.bottom - self.top))

    def holds(self, price: float) -> bool:
        """Whether ``price`` lies within the scale."""
        return self.low <= price <= self.high


def price_scale(spec: ChartSpec, top: int, bottom: int) -> Scale:
    """Scale that shows every candle, and every line and fill that does not flatten the candles."""
    low, high = min(c.low for c in spec.candles), max(c.high for c in spec.candles)
    # a flat market still needs a height; a thousandth of the price is one
    reach = STRETCH_MAX * max(high - low, high * 0.001)
    for price in sorted([*(x.price for x in spec.lines), *(x.price for x in spec.fills)], key=lambda p: abs(p - high)):
        if max(high, price) - min(low, price) <= reach:
            low, high = min(low, price), max(high, price)
    room = max((high - low) * ROOM, high * 0.0001)
    return Scale(low - room, high + room, top, bottom)


def round_ticks(low: float, high: float, about: int) -> list[float]:
    """Some ``about`` prices in low..high at steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1.0, 2.0, 2.5, 5.0) if m * power >= rough * 0.999), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_decimals(ticks: Sequence[float], decimals: int) -> int:
    """How many decimals (0..``decimals``) tell these ticks apart."""
    if len(ticks) < 2:
        return decimals
    step = ticks[1] - ticks[0]
    for places in range(decimals):
        scaled = step * 10**places
        if scaled >= 0.999 and abs(scaled - round(scaled)) < 1e-6:
            return places
    return decimals


def price_text(price: float, decimals: int) -> str:
    """``104,233.50``: with thousands apart and ``decimals`` places."""
    return f"{price:,.{decimals}f}"


def short_count(count: int) -> str:
    """``412``, ``3.9k``, ``12k``, ``4100k``."""
    if count < 1_000:
        return f"{count}"
    return f"{count / 1_000:.1f}k" if count < 9_950 else f"{count / 1_000:.0f}k"


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A label under bar number ``index``; ``strong`` where a day begins."""

    index: int
    text: str
    strong: bool


def time_ticks(opens_ms: Sequence[int], zone: str, about: int) -> list[TimeTick]:
    """At most ``about`` bars whose local open time begins a round stretch of minutes or days."""
    local = [_local(ms, zone) for ms in opens_ms]
    ticks: list[TimeTick] = []
    for minutes in (*_MINUTE_STEPS, *(1440 * days for days in _DAY_STEPS)):
        ticks = _ticks_every(local, minutes)
        if len(ticks) <= about:
            return ticks
    return ticks[-about:]


def _local(ms: int, zone: str) -> datetime:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def _ticks_every(local: Sequence[datetime], minutes: int) -> list[TimeTick]:
    ticks = []
    for index in range(1, len(local)):
        if _bucket(local[index], minutes) != _bucket(local[index - 1], minutes):
            new_day = local[index].date() != local[index - 1].date()
            text = _day_text(local[index]) if new_day else f"{local[index]:%H:%M}"
            ticks.append(TimeTick(index, text, new_day))
    return ticks


def _bucket(at: datetime, minutes: int) -> int:
    return int((at - datetime(2001, 1, 1)).total_seconds() // 60) // minutes  # noqa: DTZ001 - already local


def _day_text(at: datetime) -> str:
    # the month by number would be read two ways, and strftime's names follow the server's language
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{at.day} {months[at.month - 1]}"


def apart(rows: Sequence[int], height: int, top: int, bottom: int) -> list[int]:
    """Middle rows of labels ``height`` tall, none over another, within top..bottom while they fit there.

    Neighbours that would touch form one block, and a block sits around the mean of the rows it wants: together the
    least squared way from where they belong (pool adjacent violators).
    """
    order = sorted(range(len(rows)), key=lambda index: rows[index])
    blocks: list[list[float]] = []
    for place, index in enumerate(order):
        blocks.append([float(rows[index] - place * height)])
        while len(blocks) > 1 and _mean(blocks[-2]) >= _mean(blocks[-1]):
            blocks[-2].extend(blocks.pop())
    first, last = top + height // 2, bottom - (height + 1) // 2 - (len(rows) - 1) * height
    bases = [max(first, min(last, round(_mean(block)))) for block in blocks for _ in block]
    placed = [0] * len(rows)
    for place, index in enumerate(order):
        placed[index] = bases[place] + place * height
    return placed


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
