"""Whether a training can come to anything at all, by what is set alone.

Rule 1: hopeless is said only of what is so at every time and with every market: settings under which no bets can fall
        in as many calendar quarters as the gate needs. What is not hopeless may still fail.
"""

from __future__ import annotations

from datetime import timedelta

from core.domain.market import span_name
from core.learn.fit.bound import QUARTERS_NEEDED

QUARTER_LEAST = timedelta(days=90)
QUARTER = timedelta(days=365.25 / 4)


def hopeless(span: timedelta, history_bars: int, bars_max: int) -> str:
    """Why no model made of ``history_bars`` bars that last ``span`` can pass its gate, "" where one may.

    ``bars_max`` is how many can be set. Bars touch at most two quarters more than they fill.
    """
    if span * history_bars >= QUARTER_LEAST * (QUARTERS_NEEDED - 2):
        return ""
    needed = -(-QUARTER * QUARTERS_NEEDED // span)
    years = span * history_bars / (QUARTER * 4)
    more = f"set FIRSTMATE_HISTORY_BARS to {needed:,} or more, or " if needed <= bars_max else ""
    return (
        f"No model can pass its gate as things are set, so none is trained by night: {history_bars:,} bars of "
        f"{span_name(span)} are {years:.1f} years, and the gate needs {QUARTERS_NEEDED} calendar quarters "
        f"({QUARTERS_NEEDED / 4:.0f} years). To change that, {more}choose longer bars by FIRSTMATE_TIMEFRAME, "
        "and restart."
    )
