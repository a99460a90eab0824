"""One comparison of our books with the exchange's, as a message.

Rule 1: pure; what was compared is always said, so that "agrees" means something.
Rule 2: what differs comes before what was found, and the orders of others last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Italic, Text

from bot.views import words
from bot.views.fitting import fit
from bot.views.lists import strangers
from core.run.reconciliation import Reconciliation

SYMBOLS_SHOWN = 8


def reconciled(report: Reconciliation, zone: ZoneInfo) -> Text:
    """What was compared, what differs, what was found and done about it, and what is not ours."""
    head = Text(Bold(_verdict(report)), "\n", Italic(_compared(report, zone)), "\n")
    others = strangers(report.foreign)
    return fit(list(_findings(report)), head, Text("\n", others) if report.foreign else Text())


def _verdict(report: Reconciliation) -> str:
    if report.differing:
        return "⚠️ Something differs."
    if not report.steady:
        return "⚠️ Orders agree; balances were not compared, because an order was filling. Ask again in a moment."
    return "✅ Everything agrees, after what is told below." if report.found else "✅ Everything agrees."


def _compared(report: Reconciliation, zone: ZoneInfo) -> str:
    names, more = report.symbols[:SYMBOLS_SHOWN], len(report.symbols) - SYMBOLS_SHOWN
    symbols = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    balances = words.plural(report.assets, "balance") if report.steady else "no balances"
    return (
        f"Compared {words.moment(report.at, zone)}: {symbols or 'no symbols'}; {words.plural(report.orders, 'order')} "
        f"of mine, {words.plural(report.trades, 'new trade')}, {balances}."
    )


def _findings(report: Reconciliation) -> Iterator[Text]:
    yield from _section("Differing", report.differing)
    if report.differing:
        yield Text("Unchanged for over a minute, it is booked as deposit or withdrawal, or stops new entries.\n")
    yield from _section("Found and booked", report.found)


def _section(title: str, lines: Sequence[str]) -> Iterator[Text]:
    if lines:
        yield Text("\n", Bold(title), "\n")
    yield from (Text(f"• {line}\n") for line in lines)
