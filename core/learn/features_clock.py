"""Where in the day and in the week a bar opens, as points on two circles: 23:00 lies beside 00:00.

Rule 1: UTC, and Monday 00:00 begins the week; markets that never close still have hours and weekends.
"""

from __future__ import annotations

import math
from collections.abc import MutableSequence

from core.learn.layout import AT

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS  # 1970-01-05
TURN = 2.0 * math.pi

_HOUR_SIN = AT["hour_sin"]
_HOUR_COS = AT["hour_cos"]
_WEEK_SIN = AT["week_sin"]
_WEEK_COS = AT["week_cos"]


def step_clock(out: MutableSequence[float], open_ms: int) -> None:
    """Put sine and cosine, -1..1, of the time of day and of the week into ``out``."""
    day = TURN * ((open_ms % DAY_MS) / DAY_MS)
    week = TURN * (((open_ms - FIRST_MONDAY_MS) % WEEK_MS) / WEEK_MS)
    out[_HOUR_SIN] = math.sin(day)
    out[_HOUR_COS] = math.cos(day)
    out[_WEEK_SIN] = math.sin(week)
    out[_WEEK_COS] = math.cos(week)
