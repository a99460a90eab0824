"""What the owner types about limits and prices, as values, and limits back in words.

Rule 1: whatever is typed is a value or one line that says what would be one.
"""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from core.decide.exits import price_now
from core.domain.errors import BadData
from core.domain.state import Limits, Position, State


def told(limits: Limits, name: str) -> str:
    """A limit as /limits shows it: a share in percent, a number as it is."""
    value = getattr(limits, name)
    return f"{value}" if isinstance(value, int) else f"{value * 100:f}".rstrip("0").rstrip(".") + "%"


def limit_value(limits: Limits, name: str, text: str) -> Decimal | int:
    """``text`` ("0.02", "2%", "5") as a value for the limit ``name``."""
    if name not in {spec.name for spec in fields(Limits)}:
        known = ", ".join(spec.name for spec in fields(Limits))
        raise BadData(f"There is no limit {name[:30]}. The limits are {known}.")
    whole = isinstance(getattr(limits, name), int)
    try:
        number = number_in(text)
        if whole and number != int(number):
            raise InvalidOperation
    except InvalidOperation as error:
        raise BadData(f"{text[:20]} is not a value for {name}. Example: /limits day_loss_max 2%") from error
    return int(number) if whole else number


def changed(limits: Limits, name: str, text: str) -> Limits:
    """The limits with the one called ``name`` set to what ``text`` says."""
    change: dict[str, Any] = {name: limit_value(limits, name, text)}
    return replace(limits, **change)


def higher_stop(state: State, position: Position, text: str) -> Decimal:
    """``text`` as a stop of this position, in whole ticks, above the one it has and below the price."""
    try:
        asked = number_in(text)
    except InvalidOperation as error:
        raise BadData(f"{text[:20]} is no price. Example: /stop {position.symbol} 61000, or trail") from error
    stop = state.instruments[position.symbol].floor_price(asked)
    now = price_now(state, position)
    if not position.stop < stop < now:
        raise BadData(f"The stop of {position.symbol} is {position.stop} and only moves up, below the price {now}.")
    return stop


def number_in(text: str) -> Decimal:
    """``text`` as a number below a million, a hundredth of it where it ends in %. Raises InvalidOperation."""
    number = Decimal(text.removesuffix("%"))
    # NaN, infinity and numbers with a million digits are typed by nobody in earnest
    if not number.is_finite() or len(text) > 20 or not -12 <= number.adjusted() <= 5:
        raise InvalidOperation
    return number / 100 if text.endswith("%") else number
