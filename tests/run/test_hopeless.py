"""When a training is known to come to nothing before it is begun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import SPANS
from core.learn.fit.bound import QUARTERS_NEEDED
from core.run.hopeless import hopeless


def test_an_hour_s_bars_as_they_are_kept_by_default_are_not_hopeless():
    """Nor are longer ones."""
    for name in ("1h", "4h", "1d"):
        assert hopeless(SPANS[name], 50_000, 200_000) == ""


def test_a_quarter_of_an_hour_s_bars_need_more_history():
    """The sentence says how many bars are enough, and so many are."""
    said = hopeless(SPANS["15m"], 50_000, 200_000)
    assert said == (
        "No model can pass its gate as things are set, so none is trained by night: 50,000 bars of 15m are 1.4 years, "
        "and the gate needs 16 calendar quarters (4 years). To change that, set FIRSTMATE_HISTORY_BARS to 140,256 or "
        "more, or choose longer bars by FIRSTMATE_TIMEFRAME, and restart."
    )
    assert hopeless(SPANS["15m"], 140_256, 200_000) == ""


def test_what_cannot_be_set_is_not_told_to_be_set():
    """A minute's bars of four years are more than are ever kept."""
    said = hopeless(SPANS["1m"], 200_000, 200_000)
    assert "HISTORY_BARS" not in said
    assert "choose longer bars by FIRSTMATE_TIMEFRAME" in said


@given(st.integers(0, 20 * 365), st.integers(1_200, 1_500), st.sampled_from(["15m", "30m", "1h"]))
def test_what_could_be_judged_is_never_called_hopeless(day: int, days: int, name: str):
    """Whenever it is asked: bars that reach into enough quarters may pass."""
    bars = timedelta(days=days) // SPANS[name]
    until = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)
    since = until - timedelta(days=days)
    quarters = 4 * (until.year - since.year) + (until.month - 1) // 3 - (since.month - 1) // 3 + 1
    if quarters >= QUARTERS_NEEDED:
        assert hopeless(SPANS[name], bars, 200_000) == ""


@pytest.mark.parametrize("name", ["5m", "15m", "30m", "1h", "4h", "1d"])
def test_as_many_bars_as_are_named_are_enough(name: str):
    """Whoever follows the sentence is not told the same again."""
    said = hopeless(SPANS[name], 500, 10**9)
    if said:
        needed = int(said.split("FIRSTMATE_HISTORY_BARS to ")[1].split(" ")[0].replace(",", ""))
        assert hopeless(SPANS[name], needed, 10**9) == ""
