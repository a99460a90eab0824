"""Pictures of the forecasts: whether they keep their word, what they are better than, and what they hang on.

Rule 1: no dot without what chance alone could move it by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from bot.cardpage.drawing import LETTER, ROW, WIDTH, Axis, axis, bar, dot, drawing, free, line, text
from bot.cardpage.figures import number, share
from bot.cardpage.pictures import LINE, ROWS_MAX, Picture, cut
from bot.views.chartscale import short_count, tick_decimals
from core.learn.judge.judgement import Baseline, Bin, Judgement

LEFT, RIGHT = 48.0, 340.0
FLOOR = 212.0
STRIP = 42.0
RANGE_MIN = 0.05


def reliability(found: Judgement) -> Picture | None:
    """What came of forecasts of like height, and how many there were; None without a table."""
    table = found.calibration.table[:ROWS_MAX]
    if not table:
        return None
    shares = [at for one in table for at in (one.forecast, one.outcome - one.error, one.outcome + one.error)]
    across = axis(shares, LEFT, RIGHT, RANGE_MIN)
    up = Axis(across.low, across.high, FLOOR, 8.0)
    marks = [*_grid(across, up), *_bins(table, across, up), *_counts(table, across)]
    said = found.calibration
    rows, worth = sum(one.rows for one in said.table), sum(one.effective for one in said.table)
    caption = (
        "Left to right what was forecast, upwards what came, give or take chance; on the broken line both are the "
        f"same. Below: how many forecasts, {rows:,} on all paths, worth {number(worth)} independent bets. Mean "
        f"distance {share(said.error, 2)}; perfect forecasts would show {share(said.floor, 2)}."
    )
    return Picture("When it said p, how many came", drawing("Reliability diagram", FLOOR + 34 + STRIP, marks), caption)


def _grid(across: Axis, up: Axis) -> Iterator[Element]:
    """Round percentages both ways, and the line on which forecasts keep their word."""
    ticks = across.ticks(5)
    decimals = tick_decimals([100 * tick for tick in ticks], 3)
    for tick in ticks:
        x, y, said = across.at(tick), up.at(tick), share(tick, decimals)
        yield line(x, up.start, x, up.end, "grid")
        yield line(across.start, y, across.end, y, "grid")
        yield text(x, up.start + 15, said, "muted", "middle")
        yield text(across.start - 5, y + 4, said, "muted", "end")
    yield line(across.start, up.start, across.end, up.end, "truth")


def _bins(table: Sequence[Bin], across: Axis, up: Axis) -> Iterator[Element]:
    for one in table:
        x = across.at(one.forecast)
        yield line(x, up.at(one.outcome - one.error), x, up.at(one.outcome + one.error), "whisker")
    for one in table:
        hint = (
            f"said {share(one.forecast)}, came {share(one.outcome)} give or take {share(one.error)}, {one.rows:,} times"
        )
        yield dot(across.at(one.forecast), up.at(one.outcome), "blue", hint)


def _counts(table: Sequence[Bin], across: Axis) -> Iterator[Element]:
    """A column under each dot, as high as it stands for many forecasts."""
    floor, most = FLOOR + 30 + STRIP, max(1, *(one.rows for one in table))
    yield line(across.start, floor, across.end, floor, "edge")
    yield text(across.start - 5, floor - 4, "times", "muted", "end")
    for one in table:
        height = (STRIP - 18) * one.rows / most
        x = across.at(one.forecast)
        yield bar(x - 3.5, x + 3.5, floor - height, height, "blue soft", f"{one.rows:,} times")
    for x, said in free([(across.at(one.forecast), short_count(one.rows)) for one in table]):
        yield text(x, floor - STRIP + 12, said, "muted", "middle")


def against_baselines(found: Judgement) -> Picture | None:
    """How much lower the log loss is than that of each baseline; None where it was compared with none."""
    shown = found.baselines[:ROWS_MAX]
    if not shown:
        return None
    reach = [at for one in shown for at in (one.gain.mean - one.gain.error, one.gain.mean + one.gain.error)]
    across, floor = axis([0.0, *reach], 14.0, RIGHT + 6, 1e-6), len(shown) * 46.0 + 4
    marks = [mark for place, one in enumerate(shown) for mark in _baseline(one, across, place * 46.0)]
    marks += _nats_under(across, floor)
    caption = (
        f"Log loss out of fold: {number(found.scores.log_loss, 5)} for models made this way. Dots: by how much that is "
        "less (to the right of 0: better), in nats, give or take one standard error. Luck: how often chance alone does "
        "as well."
    )
    title = "Log loss, beside its baselines"
    return Picture(
        title, drawing("Gain in log loss over each baseline", floor + 22, marks), cut(caption, found.baselines)
    )


def _baseline(one: Baseline, across: Axis, top: float) -> Iterator[Element]:
    gain, y = one.gain, top + 32
    luck = f"luck {share(gain.chance)}"
    yield text(0, top + 16, f"{one.name}: {number(one.log_loss, 5)}", room=WIDTH - (len(luck) + 2) * LETTER)
    yield text(WIDTH, top + 16, luck, "muted", "end")
    yield line(across.at(0), y - 8, across.at(0), y + 14, "edge")
    yield line(across.at(gain.mean - gain.error), y, across.at(gain.mean + gain.error), y, "whisker")
    yield dot(across.at(gain.mean), y, "blue", f"{number(gain.mean, 5, signed=True)} nats")


def _nats_under(across: Axis, floor: float) -> Iterator[Element]:
    yield line(across.start, floor, across.end, floor, "edge")
    for x, said in free([(across.at(tick), f"{tick:+.2g}" if tick else "0") for tick in across.ticks(4)]):
        yield line(x, floor, x, floor + 4, "edge")
        yield text(x, floor + 17, said, "muted", "middle")


def by_group(found: Judgement) -> Picture | None:
    """What the forecasts hang on, by kind of feature; None where that is not known."""
    shown = found.groups[:ROWS_MAX]
    if not shown:
        return None
    across, marks = axis([0.0, *(part for _, part in shown)], 142.0, RIGHT - 24), list[Element]()
    for place, (name, part) in enumerate(shown):
        top = place * LINE
        marks.append(text(0, top + 13, name, room=138))
        marks.append(bar(across.at(0), across.at(part), top + 2, ROW - 3, "blue"))
        marks.append(text(across.at(part) + 5, top + 13, share(part, 0)))
    caption = "How much each kind of feature moves a forecast: its part of all mean contributions (TreeSHAP)."
    title = "What the forecasts hang on"
    made = drawing("Share of each kind of feature", len(shown) * LINE + 2, marks)
    return Picture(title, made, cut(caption, found.groups))
