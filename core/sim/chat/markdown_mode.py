"""MarkdownV2 (and the old Markdown) parse mode: marks to entities, with Telegram's error sentences.

Rule 1: in MarkdownV2 every reserved character outside a mark must be escaped with a backslash.
Rule 2: inside code and pre only the backquote and the backslash are special.
Rule 3: positions in errors are byte offsets into the UTF-8 source.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.sim.chat.html_mode import checked_link
from core.sim.chat.values import Entity

RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
MARKS = (
    ("```", "pre", "Pre"),
    ("__", "underline", "Underline"),
    ("||", "spoiler", "Spoiler"),
    ("![", "custom_emoji", "CustomEmoji"),
    ("_", "italic", "Italic"),
    ("*", "bold", "Bold"),
    ("~", "strikethrough", "Strikethrough"),
    ("`", "code", "Code"),
    ("[", "text_link", "TextUrl"),
)
ENDS = {"text_link": "]", "custom_emoji": "]", **{kind: mark for mark, kind, _ in MARKS if "[" not in mark}}
NAMES = {kind: name for _, kind, name in MARKS}
OLD_MARKS = {"*": "bold", "_": "italic", "`": "code", "[": "text_link"}


@dataclass(frozen=True, slots=True)
class _Open:
    kind: str
    offset: int
    begin: int
    at: int
    language: str = ""

    @property
    def name(self) -> str:
        return "PreCode" if self.language else NAMES.get(self.kind, "BlockQuote")


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    """Plain text and entities of ``source``. Raises ValueError with Telegram's sentence."""
    return _MarkdownV2(source).run()


class _MarkdownV2:
    def __init__(self, source: str) -> None:
        self._source = source
        self._pos = 0
        self._text: list[str] = []
        self._units = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def run(self) -> tuple[str, list[Entity]]:
        while self._pos < len(self._source):
            self._step(self._source[self._pos])
        if self._top() == "blockquote":
            self._close("blockquote")
        self._refuse_unclosed()
        return "".join(self._text), self._entities

    def _step(self, char: str) -> None:
        after = self._source[self._pos + 1 : self._pos + 2]
        if char == "\\" and "\0" < after < "\x7f":
            self._write(after)
            self._pos += 2
        elif self._top() in ("code", "pre"):
            self._monospace(char)
        elif char == "\n" and self._quoted():
            self._quoted_line_end()
        elif char in RESERVED:
            self._mark(char)
        else:
            self._write(char)
            self._pos += 1

    def _top(self) -> str:
        return self._open[-1].kind if self._open else ""

    def _quoted(self) -> bool:
        return any(start.kind == "blockquote" for start in self._open)

    def _write(self, char: str) -> None:
        self._text.append(char)
        self._units += 2 if char > "\uffff" else 1

    def _monospace(self, char: str) -> None:
        end = ENDS[self._top()]
        if self._source.startswith(end, self._pos):
            self._pos += len(end)
            self._close(self._top())
        else:
            self._write(char)
            self._pos += 1

    def _quoted_line_end(self) -> None:
        self._write("\n")
        self._pos += 1
        if self._source.startswith(">", self._pos):
            self._pos += 1
            return
        if self._top() != "blockquote":
            self._refuse_unclosed()
        self._close("blockquote")

    def _mark(self, char: str) -> None:
        if char == ">" and self._at_line_start() and not self._quoted():
            self._pos += 1
            self._push("blockquote", self._pos - 1)
        elif self._ends_here():
            self._end()
        elif not self._begin():
            raise ValueError(f"Character '{char}' is reserved and must be escaped with the preceding '\\'")

    def _at_line_start(self) -> bool:
        return not self._text or self._text[-1] in "\n\r"

    def _ends_here(self) -> bool:
        end = ENDS.get(self._top(), "")
        if not end or not self._source.startswith(end, self._pos):
            return False
        return self._top() != "italic" or not self._source.startswith("__", self._pos)

    def _end(self) -> None:
        kind = self._top()
        self._pos += len(ENDS[kind])
        url = self._url() if kind in ("text_link", "custom_emoji") else ""
        self._close(kind, url)

    def _url(self) -> str:
        if not self._source.startswith("(", self._pos):
            return "".join(self._text[self._open[-1].at :])
        begin, url, pos = self._pos, "", self._pos + 1
        while pos < len(self._source) and self._source[pos] != ")":
            pos += self._source[pos] == "\\" and "\0" < self._source[pos + 1 : pos + 2] < "\x7f"
            url += self._source[pos]
            pos += 1
        if pos >= len(self._source):
            raise ValueError(f"Can't find end of a URL at byte offset {self._byte(begin)}")
        self._pos = pos + 1
        return url

    def _begin(self) -> bool:
        for mark, kind, _ in MARKS:
            if not self._source.startswith(mark, self._pos):
                continue
            if kind == "spoiler" and self._closes_expandable():
                return True
            begin, self._pos = self._pos, self._pos + len(mark)
            self._push(kind, begin, self._language() if kind == "pre" else "")
            return True
        return False

    def _closes_expandable(self) -> bool:
        """``||`` at the end of a quote's last line makes the quote expandable."""
        after = self._source[self._pos + 2 : self._pos + 3]
        if self._top() != "blockquote" or after not in ("", "\n"):
            return False
        self._pos += 2
        self._close("blockquote", kind="expandable_blockquote")
        return True

    def _language(self) -> str:
        end = self._pos
        while end < len(self._source) and not self._source[end].isspace() and self._source[end] != "`":
            end += 1
        language = ""
        if end > self._pos and end < len(self._source) and self._source[end] != "`":
            language, self._pos = self._source[self._pos : end], end
        for line_end in ("\r\n", "\n\r", "\n", "\r"):
            if self._source.startswith(line_end, self._pos):
                self._pos += len(line_end)
                break
        return language

    def _push(self, kind: str, begin: int, language: str = "") -> None:
        self._open.append(_Open(kind, self._units, begin, len(self._text), language))

    def _close(self, expected: str, url: str = "", kind: str = "") -> None:
        start = self._open.pop()
        assert start.kind == expected
        length = self._units - start.offset
        link = checked_link(url) if start.kind == "text_link" else ""
        if not length or start.kind == "custom_emoji" or (start.kind == "text_link" and not link):
            return
        self._entities.append(Entity(kind or start.kind, start.offset, length, url=link, language=start.language))

    def _refuse_unclosed(self) -> None:
        if self._open:
            last = self._open[-1]
            raise ValueError(f"Can't find end of {last.name} entity at byte offset {self._byte(last.begin)}")

    def _byte(self, pos: int) -> int:
        return len(self._source[:pos].encode())


def parse_markdown(source: str) -> tuple[str, list[Entity]]:
    """Plain text and entities of the old, flat Markdown: *bold*, _italic_, `code`, ```pre```, [text](url)."""
    text, entities, pos = "", [], 0
    while pos < len(source):
        char = source[pos]
        if char == "\\" and source[pos + 1 : pos + 2] in ("_", "*", "`", "["):
            text, pos = text + source[pos + 1], pos + 2
        elif char in OLD_MARKS:
            inner, entity, pos = _old_mark(source, pos, _units(text))
            text += inner
            entities += [entity] if entity else []
        else:
            text, pos = text + char, pos + 1
    return text, entities


def _old_mark(source: str, begin: int, offset: int) -> tuple[str, Entity | None, int]:
    fenced = source.startswith("```", begin)
    mark, kind = ("```", "pre") if fenced else (source[begin], OLD_MARKS[source[begin]])
    end_mark = "]" if kind == "text_link" else mark
    end = source.find(end_mark, begin + len(mark))
    if end < 0:
        raise ValueError(f"Can't find end of the entity starting at byte offset {len(source[:begin].encode())}")
    inner, after, url = source[begin + len(mark) : end], end + len(end_mark), ""
    if kind == "text_link":
        close = source.find(")", after) if source.startswith("(", after) else -1
        if close >= 0:
            url, after = checked_link(source[after + 1 : close]), close + 1
    entity = Entity(kind, offset, _units(inner), url=url) if inner and (url or kind != "text_link") else None
    return inner, entity, after


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)
