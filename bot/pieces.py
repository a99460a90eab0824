"""A formatted text in parts that Telegram takes.

Rule 1: lengths are UTF-16 units, as Telegram counts them; no character is torn apart.
Rule 2: a part ends where a line ends, if any line does; bold stays bold in every part.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiogram.types import MessageEntity
from aiogram.utils.formatting import Text

TEXT_MAX = 4096
Piece = tuple[str, list[MessageEntity]]


def utf16_length(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def pieces(text: Text, units: int = TEXT_MAX) -> Iterator[Piece]:
    """Parts of ``text`` of at most ``units`` each, in order, with the formatting that lies in each."""
    rest, found = text.render()
    entities = [entity for entity in found if entity.length]
    start = 0
    while rest:
        part = _head(rest, units)
        end = start + utf16_length(part)
        if part.strip():
            yield part, [_clipped(e, start, end) for e in entities if e.offset < end and e.offset + e.length > start]
        rest, start = rest[len(part) :], end


def _head(text: str, units: int) -> str:
    if utf16_length(text) <= units:
        return text
    # a pair cut in half at the end decodes to nothing
    head = text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore")
    return head[: head.rfind("\n") + 1] or head


def _clipped(entity: MessageEntity, start: int, end: int) -> MessageEntity:
    first = max(entity.offset, start)
    last = min(entity.offset + entity.length, end)
    return entity.model_copy(update={"offset": first - start, "length": last - first})
