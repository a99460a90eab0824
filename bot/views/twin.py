"""What live trading cost against its paper twin, in words and the newest trades.

Rule 1: pure: values in, formatted text out.
Rule 2: worse is said as worse and better as better; no reader has to know what the sign of a slippage means.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Text

from bot.views import words
from bot.views.fitting import fit
from core.run.difference import Comparison, Difference, Slippage, Summary

SHOWN = 5


def none(mode: str) -> str:
    """The answer in a mode without a twin."""
    return f"No paper twin runs in {mode} mode: it runs beside live and testnet, to show what trading for real costs."


def comparison(seen: Comparison, mode: str, quote: str, zone: ZoneInfo) -> Text:
    """The summary and the newest SHOWN differences; ``mode`` is what paper is compared with."""
    head = Text(Bold(f"{mode} against its paper twin"), "\n", *_head(seen, mode, zone))
    return fit([Text(*_row(row, mode, quote, zone)) for row in seen.rows[:SHOWN]], head)


def _head(seen: Comparison, mode: str, zone: ZoneInfo) -> Iterator[object]:
    if seen.trouble:
        yield f"⚠️ The twin {seen.trouble}.\n"
    if seen.since is None:
        yield "It has not begun yet."
    elif not seen.rows:
        yield f"Since {words.moment(seen.since, zone)}: nothing was bought on either side yet."
    else:
        yield f"Since {words.moment(seen.since, zone)}: {words.plural(seen.summary.count, 'trade')} on both sides.\n"
        yield from _figures(seen.summary, mode)


def _figures(total: Summary, mode: str) -> Iterator[object]:
    for name, slippage in (("Entries", total.entry), ("Exits", total.exit)):
        if slippage:
            yield f"{name}: {_slippage(slippage)}\n"
    if total.live_delay_ms is not None:
        paper = "" if total.twin_delay_ms is None else f", paper's after {_delay(total.twin_delay_ms)}"
        yield f"First fill after {_delay(total.live_delay_ms)} in the median{paper}\n"
    if total.missed_live or total.missed_twin:
        yield f"Missed: {total.missed_live} by {mode}, {total.missed_twin} by paper\n"


def _slippage(of: Slippage) -> str:
    """``on average 3.2 bp worse, worst 11.0 bp worse``."""
    if of.count == 1:
        return _points(of.mean_bps)
    return f"on average {_points(of.mean_bps)}, at worst {_points(of.worst_bps)}"


def _points(bps: Decimal) -> str:
    """Basis points in words: positive is worse."""
    if not round(bps, 1):
        return "the same"
    return f"{abs(bps):.1f} bp {'worse' if bps > 0 else 'better'}"


def _delay(ms: int) -> str:
    return f"{ms} ms" if ms < 10_000 else f"{ms / 1000:.0f} s"


def _row(row: Difference, mode: str, quote: str, zone: ZoneInfo) -> Iterator[object]:
    yield "\n"
    yield Bold(f"{row.symbol}, {words.moment(row.at, zone)}")
    if row.missed:
        who, other = (mode, "paper") if row.missed == "live" else ("paper", mode)
        yield f"\nmissed by {who}; {other} "
        yield from _alone(row, quote)
        return
    yield f"\nin {_prices(row.live_entry, row.twin_entry)}{_late(row)}"
    if row.entry_slippage_bps is not None:
        yield f": {_points(row.entry_slippage_bps)}"
    yield f"\nout {_prices(row.live_exit, row.twin_exit)}"
    if row.exit_slippage_bps is not None:
        yield f": {_points(row.exit_slippage_bps)}"
    elif row.live_why and row.twin_why:
        yield f": {row.live_why} against {row.twin_why}"
    if row.live_profit is not None and row.twin_profit is not None:
        yield f"\n{words.signed(row.live_profit)} against {words.signed(row.twin_profit)} {quote}"
    yield "\n"


def _alone(row: Difference, quote: str) -> Iterator[object]:
    """What the side that did trade made of it."""
    profit = row.twin_profit if row.missed == "live" else row.live_profit
    entry = row.twin_entry if row.missed == "live" else row.live_entry
    yield f"bought at {_price(entry)}"
    yield "\n" if profit is None else f" and made {words.signed(profit)} {quote}\n"


def _late(row: Difference) -> str:
    return "" if row.live_delay_ms is None else f", {_delay(row.live_delay_ms)} late"


def _prices(live: Decimal | None, twin: Decimal | None) -> str:
    """``100.1 (paper 100)``; ``open`` for a side that still holds."""
    return f"{_price(live)} (paper {_price(twin)})"


def _price(value: Decimal | None) -> str:
    return "open" if value is None else words.average(value)
