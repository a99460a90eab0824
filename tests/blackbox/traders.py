"""The two kinds of client a round is played with: the assistant, and the control that must come to harm.

Rule 1: the assistant is judged by all its books: orders, trades, money, messages; the control, which keeps no such
        books, only by what it did and by how much it believes to hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from core.domain.errors import StoreUnusable
from tests.blackbox import books, judge, naive
from tests.blackbox.judge import Finding, Truth
from tests.blackbox.town import Client, Town


@dataclass(frozen=True, slots=True)
class Trader:
    """How a client is started, when its start is through, what to make of it, and how long it may take to settle."""

    words: tuple[str, ...]
    settle_s: float
    awake: Callable[[Town, Client], bool]
    judged: Callable[[Town, Truth], list[Finding]]
    intents: Callable[[Town], int]
    evidence: Callable[[Town, str], list[str]]


def _assistant_awake(town: Town, client: Client) -> bool:
    """Whether this process has read on in the market: only who compared everything with the exchange gets so far."""
    return '"the stream of our orders is connected"' in client.err or '"kind": "BarSeen"' in client.err


def _assistant_judged(town: Town, truth: Truth) -> list[Finding]:
    try:
        found = judge.findings(truth, books.read(town.database))
    except StoreUnusable as fault:
        return [("stuck", f"no books yet: {fault.user_text}")]
    unsent = books.unsent(town.database)
    return [*found, ("untold", f"{unsent} messages undelivered")] if unsent else found


def _assistant_evidence(town: Town, text: str) -> list[str]:
    return books.around(town.database, text.split()[0].rstrip(":"))


def _control_judged(town: Town, truth: Truth) -> list[Finding]:
    path = town.folder / naive.FILE
    believed = json.loads(path.read_text()) if path.exists() else {}
    return judge.coarse(truth, {symbol: Decimal(str(held["qty"])) for symbol, held in believed.items()})


def _control_intents(town: Town) -> int:
    return sum(o["side"] == "BUY" and not judge.foreign(o["clientOrderId"]) for o in town.truth()["orders"])


ASSISTANT = Trader(
    words=("run", "--mode", "testnet", "--approve", "auto"),
    settle_s=75.0,
    awake=_assistant_awake,
    judged=_assistant_judged,
    intents=lambda town: books.entries(town.database),
    evidence=_assistant_evidence,
)
CONTROL = Trader(
    words=("python", "tests.blackbox.naive"),
    settle_s=5.0,
    awake=lambda town, client: True,
    judged=_control_judged,
    intents=_control_intents,
    evidence=lambda town, text: [],
)
