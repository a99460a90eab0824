"""The drawing itself, looked at pixel by pixel where it matters."""

from __future__ import annotations

import io
import math

import pytest
from PIL import Image, ImageDraw

from bot.views import chart
from bot.views.chartink import AMBER, BLUE, GREEN, RED, Color, Ink, spelled
from bot.views.chartspec import Candle, ChartSpec, FillMark, PriceLine, Spoke, Tone

HOUR_MS = 3_600_000


def candles(count: int, price: float = 100.0) -> tuple[Candle, ...]:
    """``count`` hourly bars waving around ``price``."""
    made = []
    for i in range(count):
        open_, close = price * (1 + 0.02 * math.sin(i / 7)), price * (1 + 0.02 * math.sin((i + 1) / 7))
        made.append(
            Candle(i * HOUR_MS, open_, max(open_, close) * 1.002, min(open_, close) * 0.998, close, 5.0 + i % 9)
        )
    return tuple(made)


def picture(spec: ChartSpec) -> Image.Image:
    """The decoded drawing of ``spec``."""
    image = Image.open(io.BytesIO(chart.draw_chart(spec)))
    image.load()
    return image.convert("RGB")


def rows_of(image: Image.Image, column: int, color: Color) -> list[int]:
    """Rows of ``column`` that have about this colour (the palette may move it a little)."""
    pixels = [image.getpixel((column, row)) for row in range(image.height)]
    return [row for row, px in enumerate(pixels) if isinstance(px, tuple) and math.dist(px, color) < 16]


def test_the_picture_is_a_png_of_the_size_a_phone_shows_sharply() -> None:
    """1080 pixels wide, square, and far below the chat's limit of 10 MB."""
    body = chart.draw_chart(ChartSpec("BTCUSDT", candles(120), 2))
    image = Image.open(io.BytesIO(body))
    assert (image.format, image.size) == ("PNG", (1080, 1080))
    assert len(body) < 200_000


def test_target_entry_and_stop_are_drawn_top_to_bottom_where_their_prices_are() -> None:
    """The line's row is the price's row, and the distances are the prices' distances."""
    lines = tuple(
        PriceLine(tone.value, price, tone)
        for tone, price in ((Tone.TARGET, 106.0), (Tone.ENTRY, 103.0), (Tone.STOP, 97.0))
    )
    image = picture(ChartSpec("X", candles(10), 2, lines=lines))
    # so few candles stand at the right: the left edge holds the lines alone
    target, entry, stop = (rows_of(image, 40, color)[0] for color in (GREEN, BLUE, RED))
    assert target < entry < stop
    assert (stop - entry) / (entry - target) == pytest.approx(2.0, rel=0.03)


def test_the_last_price_is_a_broken_line() -> None:
    """It moves, the plan's lines do not: they must not look alike."""
    image = picture(ChartSpec("X", candles(10), 2, lines=(PriceLine("last", 101.0, Tone.LAST),)))
    assert len({bool(rows_of(image, column, AMBER)) for column in range(40, 80)}) == 2


@pytest.mark.parametrize("price", [1e-8, 0.00001234, 1.0, 104_233.5, 9e8])
@pytest.mark.parametrize("count", [1, 2, 240])
def test_any_price_and_any_number_of_bars_can_be_drawn(price: float, count: int) -> None:
    """From the first bar of a new coin to a full screen of bitcoin."""
    lines = (PriceLine("entry", price, Tone.ENTRY), PriceLine("stop", price * 0.3, Tone.STOP))
    fills = (FillMark(0, price, True), FillMark(count * HOUR_MS, price, False))
    assert picture(ChartSpec("X", candles(count, price), 8, lines=lines, fills=fills)).size == (1080, 1080)


def test_bars_without_any_movement_or_volume_can_be_drawn() -> None:
    """An outage's flat bars are no reason to have no picture."""
    still = tuple(Candle(i * HOUR_MS, 5.0, 5.0, 5.0, 5.0, 0.0) for i in range(30))
    assert picture(ChartSpec("X", still, 2)).size == (1080, 1080)


def test_endless_words_are_cut_and_many_reasons_counted() -> None:
    """Nothing runs over the edge, nothing is silently left out."""
    spoke = tuple(Spoke("word " * 40, i / 20) for i in range(20))
    spec = ChartSpec("T" * 300, candles(5), 2, "s" * 300, "SIMULATED", spoke_for=spoke, footer="f" * 300)
    image = picture(spec)
    edge = {image.getpixel((1079, row)) for row in range(1080)}
    assert len(edge) == 1


def test_a_gap_in_the_bars_is_marked() -> None:
    """Two neighbours on the picture that are days apart in time must not look like neighbours."""
    bars = candles(40)
    late = tuple(Candle(c.open_ms + 50 * HOUR_MS, c.open, c.high, c.low, c.close, c.volume) for c in bars[20:])
    whole, torn = picture(ChartSpec("X", bars, 2)), picture(ChartSpec("X", bars[:20] + late, 2))
    amber = [sum(bool(rows_of(image, x, AMBER)) for x in range(400, 900)) for image in (whole, torn)]
    assert amber[0] == 0 < amber[1]


@pytest.mark.parametrize(
    ("text", "written"),
    [("a — b → c × 2", "a - b -> c x 2"), ("é", "e"), ("line\nbreak", "line break"), ("中", "?"), ("a·b…", "a·b…")],
)
def test_characters_the_font_lacks_are_written_in_those_it_has(text: str, written: str) -> None:
    """No empty boxes on the owner's phone."""
    assert spelled(text) == written


def test_a_fitted_text_is_never_wider_than_its_room() -> None:
    """Cut with an ellipsis, not by the edge of the picture."""
    ink = Ink(ImageDraw.Draw(Image.new("RGB", (10, 10))))
    for room in (20, 57, 111, 400):
        assert ink.width(ink.fitted("a rather long sentence about a market", 24, room), 24) <= room
    assert ink.fitted("short", 24, 400) == "short"
