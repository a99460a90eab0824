"""From what a bot sends to what a message shows: plain text plus entities, within Telegram's limits.

Rule 1: a parse mode or an explicit entity list, the list wins; then links and commands are recognised.
Rule 2: limits count UTF-16 code units after the markup is gone: 4096 for a text, 1024 for a caption.
Rule 3: nothing lies inside code or pre, as in Telegram.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.sim.chat.html_mode import parse_html
from core.sim.chat.markdown_mode import parse_markdown, parse_markdown_v2
from core.sim.chat.values import Entity, bad_request

TEXT_MAX = 4096
CAPTION_MAX = 1024
PARSERS = {"html": parse_html, "markdownv2": parse_markdown_v2, "markdown": parse_markdown}
GIVEN_TYPES = frozenset(
    [
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "blockquote",
        "expandable_blockquote",
        "code",
        "pre",
        "text_link",
        "text_mention",
        "custom_emoji",
        "date_time",
    ]
)
DETECTED_TYPES = frozenset(
    ["mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"]
)
MONOSPACE = frozenset({"code", "pre"})
_FOUND = re.compile(
    r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?)\]'])|(?<![\w/])(?P<bot_command>/[A-Za-z0-9_]{1,32})(?![\w/])"
)
_CONTROL = {code: " " for code in range(32) if code != 10} | {13: None} | dict.fromkeys(range(0x2028, 0x202F))


def utf16_len(text: str) -> int:
    """Length of ``text`` in UTF-16 code units: a character beyond U+FFFF counts two."""
    return len(text) + sum(char > "\uffff" for char in text)


def compose(text: str, mode: str | None, given: object, limit: int) -> tuple[str, tuple[Entity, ...]]:
    """The shown text (at most ``limit`` units) and its entities, sorted by offset then longest first.

    Raises ApiError in Telegram's words; an empty text is left to the caller, a caption may be empty.
    """
    _must_be_utf8(text)
    if given:
        plain, entities = text, _given_entities(text, given)
    elif mode:
        plain, entities = _parsed(text, mode)
    else:
        plain, entities = text, []
    plain, entities = _trimmed(*_cleaned(plain, entities))
    if utf16_len(plain) > limit:
        raise bad_request("message is too long" if limit == TEXT_MAX else "message caption is too long")
    return plain, _settled([*entities, *_detected(plain, entities)])


def _must_be_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None


def _parsed(text: str, mode: str) -> tuple[str, list[Entity]]:
    parser = PARSERS.get(mode.lower())
    if parser is None:
        raise bad_request("unsupported parse_mode")
    try:
        return parser(text)
    except ValueError as error:
        raise bad_request(f"can't parse entities: {error}") from None


def _given_entities(text: str, given: object) -> list[Entity]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise bad_request("can't parse entities: expected an Array")
    found = [_given_entity(item) for item in given]
    starts = _symbol_starts(text)
    for entity in found:
        _check_bounds(entity, starts)
    return [entity for entity in found if entity.length and entity.type in GIVEN_TYPES]


def _given_entity(item: object) -> Entity:
    if not isinstance(item, Mapping):
        raise bad_request("can't parse entities: expected an Object")
    kind = item.get("type")
    if kind not in GIVEN_TYPES | DETECTED_TYPES:
        raise bad_request("can't parse entities: unsupported MessageEntity type specified")
    offset, length = item.get("offset"), item.get("length")
    for name, value in (("offset", offset), ("length", length)):
        if not isinstance(value, int):
            raise bad_request(f"can't parse entities: Can't find field \"{name}\"")
        if not 0 <= value <= 1_000_000:
            raise bad_request(f"receive an entity with incorrect {name} {value}")
    assert isinstance(offset, int)
    assert isinstance(length, int)
    return Entity(str(kind), offset, length, url=_link(item), language=str(item.get("language") or ""))


def _link(item: Mapping[str, object]) -> str:
    if item.get("type") != "text_link":
        return ""
    url = item.get("url")
    if not isinstance(url, str) or not url:
        raise bad_request("can't parse entities: Can't find field \"url\"")
    return url


def _symbol_starts(text: str) -> dict[int, int]:
    """UTF-16 offset of every character (and of the end) to its byte offset."""
    starts, units, size = {}, 0, 0
    for char in text:
        starts[units] = size
        units += 2 if char > "\uffff" else 1
        size += len(char.encode())
    starts[units] = size
    return starts


def _check_bounds(entity: Entity, starts: Mapping[int, int]) -> None:
    last = max(starts)
    if entity.offset > last or entity.end > last:
        where = (
            f"beginning at UTF-16 offset {entity.offset} ends after the end of the text at UTF-16 offset {entity.end}"
        )
        raise bad_request(f"entity {where}")
    if entity.offset not in starts:
        raise bad_request(f"entity begins in a middle of a UTF-16 symbol at byte offset {starts[entity.offset - 1]}")
    if entity.end not in starts:
        where = f"beginning at UTF-16 offset {entity.offset} ends in a middle of a UTF-16 symbol"
        raise bad_request(f"entity {where} at byte offset {starts[entity.end - 1]}")


def _cleaned(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Control characters become spaces, carriage returns and direction marks go; entities move along."""
    clean = text.translate(_CONTROL)
    if len(clean) == len(text):
        return clean, entities
    moved, units, kept = {}, 0, 0
    for char in text:
        width = 2 if char > "\uffff" else 1
        moved[units] = kept
        units += width
        kept += 0 if _CONTROL.get(ord(char), char) is None else width
    moved[units] = kept
    shifted = [replace(e, offset=moved[e.offset], length=moved[e.end] - moved[e.offset]) for e in entities]
    return clean, [entity for entity in shifted if entity.length]


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Blank ends cut off; an entity at the start keeps its leading blanks (a table in pre stays aligned)."""
    body = text.rstrip()
    first = min((entity.offset for entity in entities), default=len(body))
    left = min(len(body) - len(body.lstrip()), first)
    end = utf16_len(body)
    cut = [replace(e, offset=e.offset - left, length=min(e.end, end) - e.offset) for e in entities]
    return body[left:], [entity for entity in cut if entity.length > 0]


def _detected(text: str, entities: list[Entity]) -> list[Entity]:
    taken = [e for e in entities if e.type in MONOSPACE or e.type == "text_link"]
    found = []
    for match in _FOUND.finditer(text):
        offset, length = utf16_len(text[: match.start()]), utf16_len(match.group())
        if all(offset + length <= e.offset or offset >= e.end for e in taken):
            found.append(Entity(str(match.lastgroup), offset, length))
    return found


def _settled(entities: list[Entity]) -> tuple[Entity, ...]:
    mono = [e for e in entities if e.type in MONOSPACE]
    kept = [
        e for e in entities if e.type in MONOSPACE or not any(m.offset <= e.offset and e.end <= m.end for m in mono)
    ]
    return tuple(sorted(set(kept), key=lambda e: (e.offset, -e.length, e.type)))
