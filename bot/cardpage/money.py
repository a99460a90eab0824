"""Pictures of the money: what each path of the cross-validation earned, how deep it fell, and in which symbol.

Rule 1: what the lower bound would have traded stands first and in full colour, for that is what trades; what the
        forecast itself would have is beside it, paler.
Rule 2: columns and bars begin at zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from bot.cardpage.drawing import ROW, Axis, axis, bar, drawing, free, line, text
from bot.cardpage.figures import number, share
from bot.cardpage.pictures import LINE, ROWS_MAX, Picture, cut
from core.learn.judge.judgement import Judgement, Trading

PATHS_MAX = 60
RIGHT = 352.0
PANEL = 122.0
PAIR = 33.0


def paths(found: Judgement) -> Picture | None:
    """All that each path earned, by the lower bound and by the forecast itself; None where there are no paths."""
    if not found.by_trust.totals and not found.by_forecast.totals:
        return None
    both = (("by its lower bound, as it would trade", found.by_trust), ("by the forecast itself", found.by_forecast))
    marks = list[Element]()
    for place, (name, trading) in enumerate(both):
        marks += _path_panel(name, trading, place * PANEL)
    caption = (
        f"The same history told by {len(found.by_trust.totals)} paths of the cross-validation, from the worst to the "
        f"best: all that was earned after {share(found.by_trust.cost, 2)} a round trip, as a share of the first "
        "equity. The column in full colour is the middle path, of which everything else here is told. Each half has "
        "its own scale."
    )
    return Picture("Profit after costs, path by path", drawing("Profit of each path", 2 * PANEL, marks), caption)


def _path_panel(name: str, trading: Trading, top: float) -> Iterator[Element]:
    """A column a path; ``top`` is where the panel begins."""
    yield text(0, top + 14, f"{name}: {trading.bets:,} bets")
    totals = trading.totals[:PATHS_MAX]
    up = axis([0.0, *totals], top + 98, top + 38)
    step = (RIGHT - 8) / max(1, len(totals))
    middle, drawn = (len(trading.totals) - 1) // 2, dict[float, float]()
    for place, total in enumerate(totals):
        x, half = 8 + step * (place + 0.5), min(24.0, step * 0.36)
        y, zero = up.at(total), up.at(0)
        color = "green" if total > 0 else "red" if total < 0 else "flat"
        kind = color if place == middle else f"{color} soft"
        yield bar(x - half, x + half, min(y, zero), max(1.0, abs(zero - y)), kind, share(total, signed=True))
        drawn[x] = total
    yield line(8, up.at(0), RIGHT, up.at(0), "edge")
    for x, said in free([(x, share(total, signed=True)) for x, total in drawn.items()]):
        yield text(x, up.at(drawn[x]) + (-5 if drawn[x] >= 0 else 14), said, "", "middle")


def falls(found: Judgement) -> Picture | None:
    """The deepest fall of each year; None where there is no year."""
    trusted = {one.period: one for one in found.by_trust.falls}
    believed = {one.period: one for one in found.by_forecast.falls}
    names = sorted(trusted.keys() | believed.keys())
    if not names:
        return None
    shown, marks = names[-ROWS_MAX:], list[Element]()
    falls = [one.drawdown for one in (*trusted.values(), *believed.values()) if one.period in shown]
    across = axis([0.0, *falls], 66.0, RIGHT - 44)
    for place, name in enumerate(shown):
        top = place * PAIR
        marks.append(text(0, top + 19, name, room=60))
        for lower, (one, kind) in enumerate(((trusted.get(name), "red"), (believed.get(name), "red soft"))):
            if one:
                y = top + 3 + 13 * lower
                hint = f"{name}: fell by {share(one.drawdown)}, earned {share(one.earned, signed=True)}"
                marks.append(bar(across.at(0), across.at(one.drawdown), y, 11, kind, hint))
                marks.append(text(across.at(one.drawdown) + 5, y + 10, share(one.drawdown)))
    caption = (
        "The deepest fall of the equity within each year, on the middle path: above by the lower bound, as it would "
        "trade; below, paler, by the forecast itself."
    )
    made = drawing("Deepest fall of each year", len(shown) * PAIR, marks)
    return Picture("Drawdown, year by year", made, cut(caption, names))


def by_symbol(found: Judgement) -> Picture | None:
    """What each symbol adds, to the forecasts and to the money; None where there is no symbol."""
    shown = found.pairs[:ROWS_MAX]
    if not shown:
        return None
    gains, money = [one.flat_loss - one.log_loss for one in shown], [one.gain for one in shown]
    first, second = (axis([0.0, *values], start, start + 58) for values, start in ((gains, 92.0), (money, 226.0)))
    marks = [text(first.start, 14, "log loss, gained", "muted"), text(second.start, 14, "equity, earned", "muted")]
    for place, (one, gain) in enumerate(zip(shown, gains, strict=True)):
        top = 20 + place * LINE
        marks.append(text(0, top + 13, one.name, room=88))
        marks += _leaning(first, gain, top, number(gain, 4, signed=True))
        marks += _leaning(second, one.gain, top, share(one.gain, signed=True))
    height = 24 + len(shown) * LINE
    for one_axis in (first, second):
        marks.append(line(one_axis.at(0), 20, one_axis.at(0), height - 4, "edge"))
    caption = (
        "Left: how much lower the log loss of its forecasts is than that of always saying the base rate, in nats. "
        f"Right: what the {sum(one.bets for one in found.pairs):,} bets by its lower bound earned after costs, as "
        "shares of the equity when they were made."
    )
    return Picture("Symbol by symbol", drawing("Gain by symbol", height, marks), cut(caption, found.pairs))


def _leaning(across: Axis, value: float, top: float, said: str) -> Iterator[Element]:
    """A bar to the left or the right of zero, and its number to the right of the axis."""
    color = "green" if value > 0 else "red" if value < 0 else "flat"
    yield bar(across.at(0), across.at(value), top + 3, ROW - 4, color)
    yield text(across.end + 6, top + 13, said, room=70)
