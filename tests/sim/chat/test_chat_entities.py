"""Texts become what Telegram would show, or are refused in its words."""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sim.chat.entities import CAPTION_MAX, TEXT_MAX, compose, utf16_len
from core.sim.chat.html_mode import parse_html
from core.sim.chat.markdown_mode import RESERVED, parse_markdown, parse_markdown_v2
from core.sim.chat.values import ApiError, Entity

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NESTABLE = ("b", "i", "u", "s", "tg-spoiler")


def shown(text: str, mode: str | None = None, entities: object = None) -> tuple[str, list[tuple[str, int, int]]]:
    """The text and (type, offset, length) of every entity."""
    plain, found = compose(text, mode, entities, TEXT_MAX)
    return plain, [(e.type, e.offset, e.length) for e in found]


def refusal(text: str, mode: str | None = None, entities: object = None, limit: int = TEXT_MAX) -> str:
    """The error's description."""
    with pytest.raises(ApiError) as refused:
        compose(text, mode, entities, limit)
    assert refused.value.code == 400
    return refused.value.description


@given(TEXTS)
def test_escaped_html_gives_the_text_back(text: str):
    """Whatever is escaped the usual way arrives letter by letter."""
    assert parse_html(escape(text, quote=False)) == (text, [])


@given(TEXTS)
def test_escaped_markdown_gives_the_text_back(text: str):
    """Whatever has its reserved characters escaped arrives letter by letter."""
    escaped = "".join(f"\\{char}" if char in RESERVED or char == "\\" else char for char in text)
    assert parse_markdown_v2(escaped) == (text, [])


@given(st.lists(st.tuples(st.sampled_from(NESTABLE), TEXTS.filter(bool)), max_size=5))
def test_nested_tags_cover_exactly_their_text(parts: list[tuple[str, str]]):
    """Each tag's entity spans the UTF-16 length of what lies inside it."""
    source, inner = "", ""
    for tag, text in parts:
        source, inner = f"<{tag}>{escape(text, quote=False)}{source}</{tag}>", text + inner
    plain, entities = parse_html(source)
    assert plain == inner
    assert sorted(e.length for e in entities) == sorted(
        utf16_len("".join(text for _, text in reversed(parts[: n + 1]))) for n in range(len(parts))
    )
    assert all(e.end == utf16_len(inner) for e in entities)


@given(TEXTS, st.sampled_from(["HTML", "MarkdownV2", "Markdown", None]))
def test_no_text_breaks_the_parser(text: str, mode: str | None):
    """Any text is shown or refused with 400, and its entities lie inside it."""
    try:
        plain, entities = compose(text, mode, None, TEXT_MAX)
    except ApiError as error:
        assert error.code == 400  # noqa: PT017 - both outcomes are right
        return
    assert plain == plain.strip() or entities
    assert all(0 <= e.offset < e.end <= utf16_len(plain) for e in entities)


@given(TEXTS, st.lists(st.tuples(st.integers(-2, 70), st.integers(-2, 70)), max_size=4))
def test_given_entities_stay_inside_the_text_or_are_refused(text: str, spans: list[tuple[int, int]]):
    """An entity list is checked against the text before anything is shown."""
    given_list = [{"type": "bold", "offset": offset, "length": length} for offset, length in spans]
    try:
        plain, entities = compose(text, None, given_list, TEXT_MAX)
    except ApiError as error:
        assert error.description.startswith("Bad Request: ")  # noqa: PT017 - both outcomes are right
        return
    assert all(0 <= e.offset < e.end <= utf16_len(plain) for e in entities)


@pytest.mark.parametrize(
    ("source", "wording"),
    [
        ("a <x>", 'Unsupported start tag "x" at byte offset 2'),
        ("😀<!-- -->", 'Unsupported start tag "!--" at byte offset 4'),
        ("<b>bold", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<a href='x", "Unclosed start tag at byte offset 0"),
        ("<a href>x</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ("<a href=x/y>z</a>", "Unexpected end of name token at byte offset 8"),
        ("<a =x>z</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_broken_html_is_refused_in_telegrams_words(source: str, wording: str):
    """The reason names the tag and the byte where it stands."""
    assert refusal(source, "HTML") == f"Bad Request: can't parse entities: {wording}"


@pytest.mark.parametrize("char", sorted(RESERVED - set("_*[~`")))
def test_an_unescaped_reserved_character_is_refused(char: str):
    """MarkdownV2 wants a backslash before each of them."""
    wording = f"Character '{char}' is reserved and must be escaped with the preceding '\\'"
    assert refusal(f"a{char}", "MarkdownV2") == f"Bad Request: can't parse entities: {wording}"


@pytest.mark.parametrize(
    ("source", "wording"),
    [
        ("😀_abc", "Can't find end of Italic entity at byte offset 4"),
        ("a *b", "Can't find end of Bold entity at byte offset 2"),
        ("a `b", "Can't find end of Code entity at byte offset 2"),
        ("a ```b", "Can't find end of Pre entity at byte offset 2"),
        ("a ```b c", "Can't find end of PreCode entity at byte offset 2"),
        ("__a _b__", "Can't find end of Underline entity at byte offset 6"),
        ("[a](b", "Can't find end of a URL at byte offset 3"),
        (">*b\nc*", "Can't find end of Bold entity at byte offset 1"),
    ],
)
def test_an_open_mark_is_refused_with_its_place(source: str, wording: str):
    """The reason names the mark and the byte where it starts."""
    assert refusal(source, "MarkdownV2") == f"Bad Request: can't parse entities: {wording}"


@pytest.mark.parametrize(
    ("mode", "source", "plain", "entities"),
    [
        ("HTML", "<b>a</b><I>b</I>", "ab", [("bold", 0, 1), ("italic", 1, 1)]),
        ("HTML", "<ins>a</ins><del>b</del>", "ab", [("underline", 0, 1), ("strikethrough", 1, 1)]),
        ("HTML", "&lt;&gt;&amp;&quot;&#39;&#x1F600; &copy; &", "<>&\"'😀 &copy; &", []),
        ("HTML", "<a href='https://example.org/?a=1&amp;b=2'>x</a>", "x", [("text_link", 0, 1)]),
        ("HTML", "<a href='nowhere'>x</a>", "x", []),
        ("HTML", "<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", 0, 1)]),
        ("HTML", "<span class='tg-spoiler'>q</span>", "q", [("spoiler", 0, 1)]),
        ("HTML", "<pre><b>x</b>y</pre>", "xy", [("pre", 0, 2)]),
        (
            "MarkdownV2",
            "*a _b_* ~c~ ||d||",
            "a b c d",
            [("bold", 0, 3), ("italic", 2, 1), ("strikethrough", 4, 1), ("spoiler", 6, 1)],
        ),
        ("MarkdownV2", "😀 _a__b_", "😀 ab", None),
        ("MarkdownV2", "`a*b` ```py\nc```", "a*b c", [("code", 0, 3), ("pre", 4, 1)]),
        ("MarkdownV2", "[t](https://example.org/\\))", "t", [("text_link", 0, 1)]),
        ("MarkdownV2", ">a\n>b\nc", "a\nb\nc", [("blockquote", 0, 4)]),
        ("MarkdownV2", ">a\n>b||", "a\nb", [("expandable_blockquote", 0, 3)]),
        (
            "Markdown",
            "*a* _b_ `c` [d](https://example.org) 1.5",
            "a b c d 1.5",
            [("bold", 0, 1), ("italic", 2, 1), ("code", 4, 1), ("text_link", 6, 1)],
        ),
        (
            None,
            "see https://example.org/a. /status now",
            "see https://example.org/a. /status now",
            [("url", 4, 21), ("bot_command", 27, 7)],
        ),
    ],
)
def test_marks_become_entities(mode: str | None, source: str, plain: str, entities: list[tuple[str, int, int]] | None):
    """What a bot writes is what a phone would show."""
    if entities is None:
        assert "Can't find end" in refusal(source, mode)
    else:
        assert shown(source, mode) == (plain, entities)


def test_a_code_block_keeps_its_language():
    """Both modes know the language of a block."""
    pre = [Entity("pre", 0, 1, language="python")]
    assert parse_html('<pre><code class="language-python">x</code></pre>') == ("x", pre)
    assert parse_markdown_v2("```python\nx```") == ("x", pre)


def test_the_old_markdown_names_the_place_of_an_open_mark():
    """The old mode has one error."""
    with pytest.raises(ValueError, match="Can't find end of the entity starting at byte offset 4"):
        parse_markdown("😀*a")


def test_limits_count_utf16_units_after_the_markup():
    """4096 units of text and 1024 of caption pass, one more does not; tags are free, an emoji counts two."""
    assert shown("😀" * 2048)[0] == "😀" * 2048
    assert shown("<b>" + "x" * 4096 + "</b>", "HTML")[1] == [("bold", 0, 4096)]
    assert refusal("😀" * 2048 + "x") == "Bad Request: message is too long"
    assert compose("x" * CAPTION_MAX, None, None, CAPTION_MAX)[0]
    assert refusal("😀" * 512 + "x", limit=CAPTION_MAX) == "Bad Request: message caption is too long"


@pytest.mark.parametrize(
    ("entity", "wording"),
    [
        (
            {"type": "bold", "offset": 0, "length": 9},
            "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 9",
        ),
        ({"type": "bold", "offset": 1, "length": 1}, "entity begins in a middle of a UTF-16 symbol at byte offset 0"),
        (
            {"type": "bold", "offset": 0, "length": 1},
            "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 0",
        ),
        ({"type": "bold", "offset": -1, "length": 1}, "receive an entity with incorrect offset -1"),
        ({"type": "bold", "length": 1}, "can't parse entities: Can't find field \"offset\""),
        ({"type": "frame", "offset": 0, "length": 1}, "can't parse entities: unsupported MessageEntity type specified"),
        ({"type": "text_link", "offset": 0, "length": 2}, "can't parse entities: Can't find field \"url\""),
        ("bold", "can't parse entities: expected an Object"),
    ],
)
def test_a_wrong_entity_is_refused(entity: object, wording: str):
    """Offsets outside the text or inside a character are refused."""
    assert refusal("😀ab", entities=[entity]) == f"Bad Request: {wording}"


def test_blank_ends_are_cut_and_entities_move_along():
    """Telegram trims a message; a table at the start keeps its indent."""
    given_list = [{"type": "bold", "offset": 2, "length": 4}]
    assert shown("  ab  ", entities=given_list) == ("ab", [("bold", 0, 2)])
    assert shown("<pre>  1</pre>\n", "HTML") == ("  1", [("pre", 0, 3)])
    assert shown("a\r\n\u202eb\x07c") == ("a\nb c", [])


def test_half_a_character_and_an_unknown_mode_are_refused():
    """Neither reaches the chat."""
    assert refusal("\ud83d") == "Bad Request: strings must be encoded in UTF-8"
    assert refusal("a", "BBCode") == "Bad Request: unsupported parse_mode"
    assert "surrogate" in refusal("&#xD83D;", "HTML")
