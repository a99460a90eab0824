"""An answer fits one message, and says what it left out."""

from __future__ import annotations

from aiogram.utils.formatting import Bold, Text
from hypothesis import given
from hypothesis import strategies as st

from bot.views.fitting import fit, shortened, size


@given(st.lists(st.text("a😀b", min_size=1, max_size=40), max_size=60), st.integers(120, 400))
def test_whole_blocks_are_shown_and_the_rest_is_counted(texts: list[str], units: int):
    """Nothing is cut in half, nothing disappears uncounted."""
    text = fit([Text(f"{word}\n") for word in texts], Text("head\n"), Text("foot"), units)
    shown = text.render()[0]
    assert size(text) <= units
    lines = shown.removeprefix("head\n").removesuffix("foot").splitlines()
    counted = int(lines.pop().split()[2]) - 1 if lines and lines[-1].startswith("… and") else -1
    assert lines == texts[: len(lines)]
    assert len(lines) + counted + 1 == len(texts)


def test_what_fits_is_not_counted():
    """No remark where nothing is missing."""
    assert fit([Text("one\n")]).render()[0] == "one\n"


def test_a_card_sheds_reasons_until_it_fits():
    """As many as fit, and none where even one is too many."""
    assert size(shortened(lambda n: Text("x" * 4 * n), 3, 9)) == 8
    assert size(shortened(lambda n: Text("head", Bold("y" * 10 * n)), 3, 9)) == 4
