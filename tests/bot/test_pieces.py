"""A text of any length goes out in parts that Telegram takes, and says the same."""

from __future__ import annotations

from aiogram.utils.formatting import Bold, Text
from hypothesis import given
from hypothesis import strategies as st

from bot.pieces import pieces, utf16_length


@given(st.lists(st.text(max_size=40) | st.text(max_size=40).map(Bold)), st.integers(2, 60))
def test_nothing_is_lost_torn_or_too_long(body: list[str | Bold], units: int):
    """Put together again the parts are the text, but for parts of nothing but blanks."""
    text = Text(*body)
    parts = [part for part, _ in pieces(text, units)]
    assert all(utf16_length(part) <= units for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.render()[0].split())


@given(st.lists(st.tuples(st.booleans(), st.text("ab😀\n", max_size=30))), st.integers(2, 20))
def test_bold_stays_bold_in_every_part(body: list[tuple[bool, str]], units: int):
    """What was bold before the cut is bold after it, and nothing else is."""
    text = Text(*(Bold(word) if bold else word for bold, word in body))
    meant = "".join(word for bold, word in body if bold)
    got = ""
    for part, entities in pieces(text, units):
        raw = part.encode("utf-16-le")
        for entity in entities:
            assert 0 <= entity.offset < entity.offset + entity.length <= utf16_length(part)
            got += raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")
    assert "".join(got.split()) == "".join(meant.split())


def test_a_part_ends_where_a_line_ends():
    """Lines are not torn apart while they fit."""
    assert [part for part, _ in pieces(Text("one\ntwo\nthree"), 9)] == ["one\ntwo\n", "three"]
