"""Buttons: typed callback data, and confirmations that work once.

Rule 1: callback data never carries anything but an intent's name or a token; what it may do is decided on our side.
Rule 2: a confirmation is good for one press, for one minute, in this run of the program.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from enum import StrEnum

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

CONFIRM_WITHIN_S = 60.0
WAITING_MAX = 20


class Thumb(StrEnum):
    """What the owner can do with a proposal."""

    APPROVE = "a"
    SKIP = "s"


class Proposed(CallbackData, prefix="p"):
    """A press on a proposal's button."""

    thumb: Thumb
    intent: str


class Confirmed(CallbackData, prefix="c"):
    """A press on a confirm button."""

    token: str


class Refresh(CallbackData, prefix="r"):
    """A press on a refresh button under an answer that is edited in place."""

    what: str


def _row(*buttons: InlineKeyboardButton) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[list(buttons)])


def proposal_buttons(intent: str) -> InlineKeyboardMarkup:
    """Approve and Skip."""
    return _row(
        InlineKeyboardButton(
            text="✅ Approve", callback_data=Proposed(thumb=Thumb.APPROVE, intent=intent).pack(), style="success"
        ),
        InlineKeyboardButton(text="Skip", callback_data=Proposed(thumb=Thumb.SKIP, intent=intent).pack()),
    )


def confirm_button(text: str, token: str) -> InlineKeyboardMarkup:
    """One dangerous button."""
    return _row(InlineKeyboardButton(text=text, callback_data=Confirmed(token=token).pack(), style="danger"))


def refresh_button(what: str) -> InlineKeyboardMarkup:
    """One button that edits the message above it."""
    return _row(InlineKeyboardButton(text="🔄 Refresh", callback_data=Refresh(what=what).pack()))


class Confirmations:
    """Tokens that turn one press into one action."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._waiting: dict[str, tuple[str, float]] = {}

    def issue(self, action: str) -> str:
        """A new token for ``action``; the oldest of too many is forgotten."""
        while len(self._waiting) >= WAITING_MAX:
            self._waiting.pop(next(iter(self._waiting)))
        token = secrets.token_urlsafe(12)
        self._waiting[token] = (action, self._monotonic() + CONFIRM_WITHIN_S)
        return token

    def take(self, token: str) -> str:
        """The action of a token, which is used up by this; empty when it is unknown, used or too old."""
        action, until = self._waiting.pop(token, ("", 0.0))
        return action if self._monotonic() < until else ""
