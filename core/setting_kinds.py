"""The kinds of value a setting can have: what is allowed, and text into value.

Rule 1: ``parse`` raises ValueError with a reason of a few words; it never corrects a value.
Rule 2: ``allowed`` says unit and bounds in words that fit an error line and `.env.example` alike.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar
from urllib.parse import urlsplit

N = TypeVar("N", int, Decimal)


class Secret:
    """A text that prints as stars; ``reveal()`` is the only way to it, and pickling is refused."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


def revealed(secret: Secret | None) -> str:
    """The text of a secret, empty where none is set."""
    return secret.reveal() if secret else ""


class Kind(Protocol):
    """How one sort of setting is read and described."""

    @property
    def hidden(self) -> bool:
        """Whether values of this kind must never be shown."""

    @property
    def absent(self) -> Any:
        """The value when nothing was given and there is no default."""

    def parse(self, text: str) -> Any:
        """The value; ValueError says in a few words what is wrong."""

    def allowed(self) -> str:
        """Unit and bounds in words."""


@dataclass(frozen=True, slots=True)
class Open:
    """What most kinds have in common: values may be shown, and no value is None."""

    @property
    def hidden(self) -> bool:
        return False

    @property
    def absent(self) -> Any:
        return None


@dataclass(frozen=True, slots=True)
class Whole(Open):
    """A whole number within bounds."""

    low: int
    high: int
    unit: str

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII):
            raise ValueError("not a whole number")
        return _within(int(text), self.low, self.high)

    def allowed(self) -> str:
        return f"{self.unit}, a whole number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Number(Open):
    """An exact decimal number within bounds."""

    low: int
    high: int
    unit: str

    def parse(self, text: str) -> Decimal:
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise ValueError("not a number") from None
        if not value.is_finite() or "_" in text:
            raise ValueError("not a number")
        return _within(value, self.low, self.high)

    def allowed(self) -> str:
        return f"{self.unit}, a number from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Choice(Open):
    """One word out of a few."""

    words: Sequence[str]

    @property
    def absent(self) -> str:
        return "unset"

    def parse(self, text: str) -> str:
        if text not in self.words:
            raise ValueError("not one of them")
        return text

    def allowed(self) -> str:
        return "one of " + ", ".join(self.words)


@dataclass(frozen=True, slots=True)
class Symbols(Open):
    """Pairs like BTCUSDT, comma-separated, each once."""

    most: int

    def parse(self, text: str) -> tuple[str, ...]:
        symbols = tuple(part.strip() for part in text.split(","))
        wrong = [symbol for symbol in symbols if not re.fullmatch(r"[A-Z0-9]{5,20}", symbol)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no pair")
        twice = [symbol for at, symbol in enumerate(symbols) if symbol in symbols[:at]]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice")
        if len(symbols) > self.most:
            raise ValueError(f"{len(symbols)} pairs")
        return symbols

    def allowed(self) -> str:
        return f"1 to {self.most} different pairs in capitals, comma-separated, like BTCUSDT,ETHUSDT"


@dataclass(frozen=True, slots=True)
class Folder(Open):
    """A folder, made when it is first needed."""

    def parse(self, text: str) -> Path:
        try:
            path = Path(text).expanduser().absolute()
            taken = path.exists() and not path.is_dir()
        except (OSError, RuntimeError):
            raise ValueError("no such place here") from None
        if taken:
            raise ValueError("that is a file")
        return path

    def allowed(self) -> str:
        return "a folder"


@dataclass(frozen=True, slots=True)
class Url(Open):
    """The address of a server, http(s) or, as ``scheme`` "ws", WebSocket; without a closing slash."""

    scheme: str = "http"

    def parse(self, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in (self.scheme, f"{self.scheme}s") or not parts.hostname or re.search(r"\s", text):
            raise ValueError(f"no {self.scheme} address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("only server, port and path belong here")
        _ = parts.port  # ValueError when it is no port
        return text.rstrip("/")

    def allowed(self) -> str:
        return f"an address like {self.scheme}s://host or {self.scheme}://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Token(Open):
    """A Telegram bot token."""

    @property
    def hidden(self) -> bool:
        return True

    def parse(self, text: str) -> Secret:
        if not re.fullmatch(r"\d{1,20}:[\w-]{4,200}", text, re.ASCII):
            raise ValueError
        return Secret(text)

    def allowed(self) -> str:
        return "digits, a colon, then letters, digits, - and _, as BotFather gave it"


@dataclass(frozen=True, slots=True)
class Key(Open):
    """One half of an exchange's key."""

    @property
    def hidden(self) -> bool:
        return True

    def parse(self, text: str) -> Secret:
        if not re.fullmatch(r"[A-Za-z0-9_-]{8,200}", text, re.ASCII):
            raise ValueError
        return Secret(text)

    def allowed(self) -> str:
        return "8 to 200 letters, digits, - and _, as the exchange showed it"


@dataclass(frozen=True, slots=True)
class Zone(Open):
    """A time zone this machine knows."""

    def parse(self, text: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise ValueError("no such zone here") from None
        return text

    def allowed(self) -> str:
        return "a time zone's name like UTC or Europe/Zurich"


@dataclass(frozen=True, slots=True)
class Hours(Open):
    """A span of the day such as 22:00-07:00, which may cross midnight; empty for none."""

    @property
    def absent(self) -> str:
        return ""

    def parse(self, text: str) -> str:
        clock = r"([01]\d|2[0-3]):[0-5]\d"
        if not re.fullmatch(f"{clock}-{clock}", text, re.ASCII):
            raise ValueError("no span of hours")
        if text[:5] == text[6:]:
            raise ValueError("it begins when it ends")
        return text

    def allowed(self) -> str:
        return "a span of the day like 22:00-07:00, in the time zone set"


def is_loopback(url: str) -> bool:
    """Whether this address is this very computer."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _within(value: N, low: int, high: int) -> N:
    if not low <= value <= high:
        raise ValueError("out of bounds")
    return value
