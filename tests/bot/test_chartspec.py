"""Chart values as they travel to the drawing process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.chartspec import Candle, ChartSpec, FillMark, PriceLine, Spoke, Tone, from_json, to_json
from core.domain.errors import BadData

BAR = Candle(0, 1.0, 2.0, 0.5, 1.5, 10.0)


@given(st.text(max_size=40), st.floats(1e-9, 1e9), st.floats(0, 1), st.booleans())
def test_a_chart_comes_back_from_json_as_itself(words: str, price: float, strength: float, buy: bool) -> None:
    """What the bot asked for is what is drawn."""
    spec = ChartSpec(
        words,
        (BAR,),
        8,
        lines=(PriceLine(words, price, Tone.STOP),),
        fills=(FillMark(5, price, buy),),
        spoke_for=(Spoke(words, strength),),
    )
    assert from_json(to_json(spec)) == spec


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'{"title":"x","candles":[],"decimals":2}', b"\xff\xfe", b"{" * 50]
)
def test_what_is_no_chart_is_refused(body: bytes) -> None:
    """A worker fed with rubbish says so in one line."""
    with pytest.raises(BadData):
        from_json(body)


@pytest.mark.parametrize("bad", [(0, float("nan"), 2, 1, 1, 1), (0, 1, 2, 3, 1, 1), (0, 1, 2, 0.5, 1, -1)])
def test_an_impossible_candle_cannot_be_built(bad: tuple[float, ...]) -> None:
    """A picture never shows a bar that cannot have been."""
    with pytest.raises(BadData):
        Candle(*bad)  # type: ignore[arg-type]


def test_bars_out_of_order_and_unknown_time_zones_are_refused() -> None:
    """The axis of a chart tells the truth or there is no chart."""
    with pytest.raises(BadData, match="order"):
        ChartSpec("x", (BAR, BAR), 2)
    with pytest.raises(BadData, match="time zone"):
        ChartSpec("x", (BAR,), 2, time_zone="Mars/Olympus")


def test_building_a_chart_needs_no_drawing_library() -> None:
    """The resident process stays small."""
    code = "import sys, bot.views.chartspec, bot.pictures; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
