"""HTML parse mode: the tags Telegram knows, its four named escapes, its error sentences.

Rule 1: an unknown tag, a missing or crossed end tag is an error; an unknown ``&name;`` stays as it is written.
Rule 2: positions in errors are byte offsets into the UTF-8 source, as Telegram reports them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from core.sim.chat.values import Entity

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "code": "code",
    "pre": "pre",
    "a": "text_link",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "tg-emoji": "custom_emoji",
    "blockquote": "blockquote",
}
ESCAPES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
LINK = re.compile(r"(?:https?|ftp|tg|ton|mailto|tel):\S+|[^\s/:]+\.[^\s/:]{2,}(?:[/:?#]\S*)?", re.IGNORECASE)
_ESCAPE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([a-zA-Z]+));?")
_ATTRIBUTE = re.compile(r"""([^\s=>]*)\s*(=?)\s*(?:"([^"]*)(?:"|$)|'([^']*)(?:'|$)|([A-Za-z0-9.\-]*)(?=([\s>]|$)?))""")
_BARE = frozenset({"expandable"})


@dataclass(frozen=True, slots=True)
class _Open:
    tag: str
    argument: str
    offset: int
    at: int


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Plain text and entities of ``source``. Raises ValueError with Telegram's sentence."""
    return _Html(source).run()


def checked_link(url: str) -> str:
    """``url`` with a scheme, or empty if Telegram would not make a link of it."""
    url = url.strip()
    if not LINK.fullmatch(url):
        return ""
    return url if re.match(r"[A-Za-z]+:", url) else f"http://{url}"


class _Html:
    def __init__(self, source: str) -> None:
        self._source = source
        self._pos = 0
        self._text: list[str] = []
        self._units = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def run(self) -> tuple[str, list[Entity]]:
        while self._pos < len(self._source):
            char = self._source[self._pos]
            if char == "<":
                self._end_tag() if self._source.startswith("</", self._pos) else self._start_tag()
            elif char == "&":
                self._escape()
            else:
                self._write(char)
                self._pos += 1
        if self._open:
            raise ValueError(f'Can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')
        return "".join(self._text), [e if e.type == "pre" else replace(e, language="") for e in self._entities]

    def _write(self, char: str) -> None:
        self._text.append(char)
        self._units += 2 if char > "\uffff" else 1

    def _escape(self) -> None:
        match = _ESCAPE.match(self._source, self._pos)
        char = _unescaped(match) if match else ""
        self._write(char or "&")
        self._pos = match.end() if match and char else self._pos + 1

    def _start_tag(self) -> None:
        begin = self._pos
        name = re.compile(r"[^\s>]*").match(self._source, begin + 1)
        assert name is not None
        if name.end() == len(self._source):
            raise ValueError(f"Unclosed start tag at byte offset {self._byte(begin)}")
        tag = name.group().lower()
        if tag not in TAGS:
            raise ValueError(f'Unsupported start tag "{tag}" at byte offset {self._byte(begin)}')
        self._pos = name.end()
        attributes = self._attributes(tag, begin)
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise ValueError(f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte(begin)}')
        self._open.append(_Open(tag, _argument(tag, attributes), self._units, len(self._text)))

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        found: dict[str, str] = {}
        where = f'the tag "{tag}" at byte offset {self._byte(begin)}'
        while True:
            self._skip_blanks()
            if self._source.startswith(">", self._pos):
                self._pos += 1
                return found
            match = _ATTRIBUTE.match(self._source, self._pos)
            assert match is not None
            name, equal, double, single, token, token_end = match.groups()
            if not name:
                raise ValueError(f"Empty attribute name in {where}")
            if not equal and name not in _BARE:
                raise ValueError(f"Expected equal sign in declaration of an attribute of {where}")
            if equal and token is not None and token_end is None:
                raise ValueError(f"Unexpected end of name token at byte offset {self._byte(match.start(5))}")
            self._pos = match.end() if equal else match.end(1)
            if self._pos >= len(self._source):
                raise ValueError(f"Unclosed start tag at byte offset {self._byte(begin)}")
            value = next(each for each in (double, single, (token or "").lower()) if each is not None)
            found[name] = _ESCAPE.sub(lambda m: _unescaped(m) or m.group(), value)

    def _skip_blanks(self) -> None:
        while self._pos < len(self._source) and self._source[self._pos].isspace():
            self._pos += 1

    def _end_tag(self) -> None:
        begin = self._pos
        if not self._open:
            raise ValueError(f"Unexpected end tag at byte offset {self._byte(begin)}")
        match = re.compile(r"</([^\s>]*)\s*(>?)").match(self._source, begin)
        assert match is not None
        if not match.group(2):
            raise ValueError(f"Unclosed end tag at byte offset {self._byte(begin)}")
        tag, name = self._open[-1].tag, match.group(1).lower()
        if name and name != tag:
            where = f"Unmatched end tag at byte offset {self._byte(begin)}"
            raise ValueError(f'{where}, expected "</{tag}>", found "</{name}>"')
        self._pos = match.end()
        self._close(self._open.pop())

    def _close(self, start: _Open) -> None:
        length = self._units - start.offset
        kind = TAGS[start.tag]
        if not length or kind == "custom_emoji":
            return
        if kind == "text_link":
            url = checked_link(start.argument or "".join(self._text[start.at :]))
            if url:
                self._entities.append(Entity(kind, start.offset, length, url=url))
        elif kind == "pre":
            self._entities.append(Entity(kind, start.offset, length, language=self._inner_language(start, length)))
        elif start.argument == "expandable":
            self._entities.append(Entity("expandable_blockquote", start.offset, length))
        else:
            language = start.argument if kind == "code" else ""
            self._entities.append(Entity(kind, start.offset, length, language=language))

    def _inner_language(self, start: _Open, length: int) -> str:
        """``<pre><code class="language-x">`` is one block: the inner code gives its language and goes."""
        last = self._entities[-1] if self._entities else None
        if last is None or (last.type, last.offset, last.length) != ("code", start.offset, length):
            return ""
        return self._entities.pop().language

    def _byte(self, pos: int) -> int:
        return len(self._source[:pos].encode())


def _argument(tag: str, attributes: dict[str, str]) -> str:
    if tag == "a":
        return attributes.get("href", "")
    if tag == "blockquote":
        return "expandable" if "expandable" in attributes else ""
    if tag == "code" and attributes.get("class", "").startswith("language-"):
        return attributes["class"].removeprefix("language-")
    return ""


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name:
        return ESCAPES.get(name, "")
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(
            "Text contains invalid Unicode characters after decoding HTML entities, "
            "check for unmatched surrogate code units"
        )
    return chr(code) if 0 < code < 0x10FFFF else ""
