"""As much as one message holds.

Rule 1: pure; whole blocks only, and what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiogram.utils.formatting import Italic, Text

from bot.pieces import TEXT_MAX, utf16_length

CAPTION_MAX = 1024
COUNT_ROOM = 40  # for the line that counts what is left out


def size(text: Text) -> int:
    """Length in UTF-16 units."""
    return utf16_length(text.render()[0])


def fit(blocks: Sequence[Text], head: Text | None = None, foot: Text | None = None, units: int = TEXT_MAX) -> Text:
    """``head``, as many blocks as fit into ``units``, how many did not, ``foot``."""
    head, foot = head or Text(), foot or Text()
    room = units - size(head) - size(foot) - COUNT_ROOM
    shown: list[Text] = []
    for block in blocks:
        room -= size(block)
        if room < 0:
            break
        shown.append(block)
    left = len(blocks) - len(shown)
    return Text(head, *shown, Italic(f"… and {left} more\n") if left else "", foot)


def shortened(make: Callable[[int], Text], most: int, units: int = CAPTION_MAX) -> Text:
    """``make(n)`` with the largest ``n`` from ``most`` down to 0 that fits into ``units``."""
    return next((text for n in range(most, 0, -1) if size(text := make(n)) <= units), make(0))
