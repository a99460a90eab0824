"""Typed reading of request parameters; a wrong one gets the exchange's own error.

Rule 1: a handler never touches raw text: it asks for a decimal, a number, a symbol, one of an enum.
Rule 2: an empty parameter counts as not sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from core.sim.exchange.errors import fail

NUMBER = "^([0-9]{1,20})(\\.[0-9]{1,20})?$"
WHOLE = "^[0-9]{1,20}$"
CLIENT_ID = "^[a-zA-Z0-9-_]{1,36}$"
_PATTERNS = {text: re.compile(text) for text in (NUMBER, WHOLE, CLIENT_ID)}

E = TypeVar("E", bound=StrEnum)


class Params:
    """The parameters of one request."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def has(self, name: str) -> bool:
        """Whether it was sent with a value."""
        return bool(self._values.get(name))

    def text(self, name: str) -> str:
        """Its text. Raises -1102 when it was not sent."""
        value = self._values.get(name)
        if not value:
            raise fail("missing", name=name)
        return value

    def optional(self, name: str, default: str = "") -> str:
        """Its text, or ``default``."""
        return self._values.get(name) or default

    def _matched(self, name: str, pattern: str) -> str:
        value = self.text(name)
        if not _PATTERNS[pattern].fullmatch(value):
            raise fail("illegal", name=name, pattern=pattern)
        return value

    def decimal(self, name: str) -> Decimal:
        """A number >= 0 of at most 8 decimals. Raises -1102, -1100 or -1111."""
        value = self._matched(name, NUMBER)
        if len(value.rstrip("0").partition(".")[2]) > 8 and "." in value:
            raise fail("precision", name=name)
        return Decimal(value)

    def optional_decimal(self, name: str) -> Decimal | None:
        """The same, or None when it was not sent."""
        return self.decimal(name) if self.has(name) else None

    def number(self, name: str, default: int | None = None, most: int | None = None) -> int:
        """A whole number, cut to ``most``. Raises -1102 without a default, -1100 for other text."""
        if not self.has(name) and default is not None:
            return default
        value = int(self._matched(name, WHOLE))
        return value if most is None else min(value, most)

    def optional_number(self, name: str) -> int | None:
        """A whole number, or None when it was not sent."""
        return self.number(name) if self.has(name) else None

    def client_id(self, name: str, default: str) -> str:
        """An order id of the client's own. Raises -1100 for other characters."""
        return self._matched(name, CLIENT_ID) if self.has(name) else default

    def symbol(self, known: Collection[str], name: str = "symbol") -> str:
        """A symbol this exchange has. Raises -1102 or -1121."""
        value = self.text(name)
        if value not in known:
            raise fail("symbol")
        return value

    def choice(self, name: str, options: type[E], word: str) -> E:
        """A member of ``options``. Raises -1102, or the error of ``word``."""
        try:
            return options(self.text(name))
        except ValueError as fault:
            raise fail(word) from fault

    def refuse(self, *names: str) -> None:
        """Nothing. Raises -1106 for the first of ``names`` that was sent."""
        for name in names:
            if self.has(name):
                raise fail("unneeded", name=name)
