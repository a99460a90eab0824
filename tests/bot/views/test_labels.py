"""The short words of a picture's columns."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from bot.views.chartink import Ink
from bot.views.labels import DAYS, LABELS, label
from core.domain.forecast import Contribution
from core.learn.spoken import WORDS, words

COLUMN = (1080 - 2 * 32 - 24) // 2 - 44
INK = Ink(ImageDraw.Draw(Image.new("RGB", (10, 10))))


@pytest.mark.parametrize("name", sorted({*LABELS, *WORDS}))
@pytest.mark.parametrize("value", [-0.123, 0.0, 6.9, 123.4])
def test_every_reason_of_a_model_fits_its_column(name: str, value: float):
    """A new feature without a short form falls back to its sentence, which is cut off: this fails first."""
    said = label(Contribution(name, value, 0.5, "a sentence " * 6))
    assert INK.width(said, 27) <= COLUMN, said


def test_days_are_the_days_of_the_sentence():
    """Picture and caption name the same day."""
    for number, day in enumerate(DAYS):
        assert words("week", float(number)) == f"The bar opened on a {day} (UTC)"
        assert label(Contribution("week", float(number), 1.0, "")) == f"day of the week {day}"


def test_nothing_is_less_than_nothing():
    """A rounded minus zero is written as plus."""
    assert label(Contribution("ret_24", -0.0001, 1.0, "")) == "return of 24 bars +0.0%"
