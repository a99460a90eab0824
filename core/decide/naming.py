"""Names of intents and orders, derived from the decision itself.

Rule 1: one decision (symbol, closed bar) has one intent, and each of its orders one client id: the same decision
        taken twice gives the same names.
Rule 2: a client id fits Binance's pattern ``^[a-zA-Z0-9-_]{1,36}$`` and starts with this installation's mark.
"""

from __future__ import annotations

from datetime import datetime

from core.domain.market import to_ms
from core.domain.orders import Purpose

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """``number`` >= 0 in base 36, lower case."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def intent_name(symbol: str, bar_open_at: datetime) -> str:
    """Name of the one decision about ``symbol`` at this closed bar, e.g. ``BTCUSDT-s5kq2o``."""
    return f"{symbol}-{base36(to_ms(bar_open_at) // 1000)}"


def bar_trace(symbol: str, bar_open_at: datetime) -> str:
    """Trace of everything that follows from a closed bar, e.g. ``bar:BTCUSDT:1735689600000``."""
    return f"bar:{symbol}:{to_ms(bar_open_at)}"


def intent_trace(intent: str) -> str:
    """The same trace from the intent that bar gave rise to: fills and ends come long after it."""
    symbol, _, opened = intent.rpartition("-")
    return f"bar:{symbol}:{int(opened, 36) * 1000}"


def client_id(install: str, intent: str, purpose: Purpose, attempt: int) -> str:
    """Client id of an intent's order, e.g. ``fm7k2-BTCUSDT-s5kq2o-e0``, at most 36 characters."""
    tail = f"-{purpose.value}{attempt}"
    room = 36 - len(install) - 1 - len(tail)
    return f"{install}-{intent[-room:]}{tail}"


def parse_client_id(install: str, name: str) -> tuple[str, Purpose, int] | None:
    """Intent, purpose and attempt of a client id of this installation, or None for anybody else's."""
    own, tail = name.startswith(f"{install}-"), name[len(install) + 1 :]
    intent, _, last = tail.rpartition("-")
    if not (own and intent and last[:1] in _MARKS and last[1:].isascii() and last[1:].isdigit()):
        return None
    return intent, Purpose(last[0]), int(last[1:])


_MARKS = tuple(purpose.value for purpose in Purpose)
