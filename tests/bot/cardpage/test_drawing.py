"""The marks of a picture: within their frame, never over one another."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.cardpage.drawing import LETTER, axis, bar, free, text

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, max_size=20), FINITE)
def test_an_axis_holds_every_number_there_is(values: list[float], other: float):
    """In order from its start to its end; what lies outside is at one of them, and its ticks are within it."""
    made = axis([0.0, *values], 300.0, 20.0)
    places = [made.at(value) for value in sorted([*values, other])]
    assert all(20.0 <= place <= 300.0 for place in places)
    assert places == sorted(places, reverse=True)
    assert all(made.low - 1e-9 <= tick <= made.high + 1e-9 for tick in made.ticks(5))


@given(st.lists(st.tuples(st.floats(0, 400), st.text("x", max_size=12)), max_size=20))
def test_texts_that_would_cover_each_other_are_left_out(places: list[tuple[float, str]]):
    """The first from the left stays, then whoever has room."""
    found = free(sorted(places))
    for (x1, said1), (x2, said2) in pairwise(found):
        assert x1 + len(said1) * LETTER / 2 <= x2 - len(said2) * LETTER / 2
    assert bool(found) == bool(places)


def test_a_long_word_ends_in_dots_and_is_there_in_full():
    """Cut to its room; pointed at, it is whole."""
    made = text(0, 10, "a word that is too long for its place", room=10 * LETTER)
    assert made.text == "a word th\u2026"
    assert made[0].text == "a word that is too long for its place"
    assert text(0, 10, "short", room=10 * LETTER).text == "short"


def test_a_bar_of_nothing_is_a_hair():
    """One sees that there is a number, and that it is zero; a bar to the left is as good as one to the right."""
    assert bar(5, 5, 0, 10, "flat").get("width") == "1"
    assert (bar(9, 5, 0, 10, "red").get("x"), bar(9, 5, 0, 10, "red").get("width")) == ("5", "4")
