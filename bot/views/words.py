"""Numbers and times as a person reads them on a phone.

Rule 1: pure: a value and a time zone in, a short string out; no rounding that hides a sign.
Rule 2: prices keep every digit the exchange gave; money has two decimals.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo


def price(value: Decimal) -> str:
    """``43,210.5``: all digits that carry something, thousands apart."""
    return f"{value.normalize():,f}" if value else "0"


def average(value: Decimal) -> str:
    """A price that came out of a division: seven significant digits of it."""
    return price(Decimal(f"{value:.7g}"))


def qty(value: Decimal) -> str:
    """A quantity in base units, without trailing zeros."""
    return price(value)


def money(value: Decimal) -> str:
    """``9,812.40``."""
    return f"{value:,.2f}"


def signed(value: Decimal) -> str:
    """``+12.30`` or ``−4.10`` with a real minus sign."""
    return f"{value:+,.2f}".replace("-", "−")


def percent(value: Decimal | float, digits: int = 1) -> str:
    """A fraction as ``12.3%``."""
    return f"{value * 100:.{digits}f}%".replace("-", "−")


def signed_percent(value: Decimal | float, digits: int = 1) -> str:
    """A fraction as ``+1.2%``."""
    return f"{value * 100:+.{digits}f}%".replace("-", "−")


def setting_percent(value: Decimal) -> str:
    """A fraction somebody chose, as they would write it: ``3%``, ``2.5%``."""
    return f"{price(value * 100)}%"


def light(profit: Decimal) -> str:
    """Green for a gain, red for a loss or nothing."""
    return "✅" if profit > 0 else "❌"


def clock(at: datetime, zone: ZoneInfo) -> str:
    """``14:05`` in the owner's zone."""
    return f"{at.astimezone(zone):%H:%M}"


def moment(at: datetime, zone: ZoneInfo) -> str:
    """``Mon 3 Jan 14:05`` in the owner's zone."""
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def ago(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h``, ``2 d``."""
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def bars(count: int, span: timedelta) -> str:
    """``48 bars (2 d)``."""
    return f"{plural(count, 'bar')} ({ago(count * span.total_seconds())})"


def plural(count: int, noun: str) -> str:
    """``1 order``, ``2 orders``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
