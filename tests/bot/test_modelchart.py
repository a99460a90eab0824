"""The picture of a model, looked at pixel by pixel where it matters."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.pictures import Pictures
from bot.views import modelchart
from bot.views.chartink import AMBER, BLUE, Color
from bot.views.chartscale import short_count
from bot.views.modelspec import DOTS_MAX, Dot, ModelSpec, Series, from_json, to_json
from core.domain.errors import BadData

TESTED = Series("tested", tuple(Dot(0.25 + k / 50, 0.26 + k / 60, 3_900, 0.02) for k in range(10)))
LIVE = Series("live", (Dot(0.3, 0.42, 412), Dot(0.4, 0.22, 83)))
NOTHING = Series("live", ())
shares = st.floats(0, 1)
series = st.builds(
    Series,
    st.just("live"),
    st.lists(st.builds(Dot, shares, shares, st.integers(0, 10**9), shares), max_size=DOTS_MAX).map(tuple),
)


def picture(spec: ModelSpec) -> Image.Image:
    """The decoded drawing of ``spec``."""
    image = Image.open(io.BytesIO(modelchart.draw_model(spec)))
    image.load()
    return image.convert("RGB")


def spec(tested: Series = TESTED, live: Series = LIVE, **other: str) -> ModelSpec:
    """A picture of these records."""
    return ModelSpec("Model abc", "champion; beats doing nothing", other.get("badge", ""), tested, live, ("A note.",))


def middles(image: Image.Image, color: Color) -> list[tuple[int, int]]:
    """Where whole squares of this colour lie within the diagram: the insides of dots."""
    size, found = 10, []
    for y in range(200, 1000, 2):
        for x in range(modelchart.LEFT, modelchart.RIGHT - size, 2):
            spots = ((x, y), (x + size, y), (x, y + size), (x + size, y + size), (x + size // 2, y + size // 2))
            pixels = [image.getpixel(spot) for spot in spots]
            if all(isinstance(px, tuple) and math.dist(px, color) < 16 for px in pixels):
                found.append((x + size // 2, y + size // 2))
    return found


def test_the_picture_is_a_png_of_the_size_a_phone_shows_sharply() -> None:
    """1080 pixels wide, square, and small."""
    body = modelchart.draw_model(spec())
    image = Image.open(io.BytesIO(body))
    assert (image.format, image.size) == ("PNG", (1080, 1080))
    assert len(body) < 100_000


def test_a_dot_lies_above_another_where_it_came_true_more_often() -> None:
    """What was said goes to the right, what came goes up."""
    dots = middles(picture(spec(tested=NOTHING)), AMBER)
    left, right = min(dots), max(dots)
    assert right[0] - left[0] > 400
    assert right[1] - left[1] > 200  # 22% of the time lies lower than 42%


def test_dots_of_the_truth_lie_on_one_straight_line() -> None:
    """Both axes have one scale, so the diagonal is the truth."""
    true = Series("live", tuple(Dot(share, share, 10) for share in (0.2, 0.35, 0.5)))
    dots = middles(picture(spec(tested=NOTHING, live=true)), AMBER)
    places = [min(dots), min(dots, key=lambda at: abs(at[0] - (min(dots)[0] + max(dots)[0]) / 2)), max(dots)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in ((places[0], places[1]), (places[1], places[2]))]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.1)


def test_a_record_of_nothing_leaves_no_dot_and_no_row_of_counts() -> None:
    """A model that has not served yet is drawn as tested alone."""
    image = picture(spec(live=NOTHING))
    assert middles(image, AMBER) == []
    assert len(middles(image, BLUE)) > 10


def test_nothing_at_all_can_be_drawn() -> None:
    """A model without a card on its first day."""
    assert picture(spec(NOTHING, NOTHING)).size == (1080, 1080)


@given(series, series)
@settings(max_examples=25, deadline=None)
def test_any_record_can_be_drawn(tested: Series, live: Series) -> None:
    """Certain ones, equal ones, huge counts."""
    assert modelchart.draw_model(spec(tested, live)).startswith(b"\x89PNG")


def test_endless_words_do_not_run_over_the_edge() -> None:
    """They are cut with an ellipsis."""
    long = ModelSpec("T" * 300, "s" * 300, "SIMULATED", Series("n" * 200, TESTED.dots), LIVE, ("w " * 300,), "f" * 300)
    image = picture(long)
    assert len({image.getpixel((1079, row)) for row in range(1080)}) == 1


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (1_000, "1.0k"), (9_949, "9.9k"), (39_212, "39k")])
def test_counts_are_short_enough_to_stand_beside_each_other(count: int, text: str) -> None:
    """Thousands in a word."""
    assert short_count(count) == text


def test_a_spec_survives_its_way_to_the_drawing_process() -> None:
    """To the last digit; what is no spec is refused."""
    assert from_json(to_json(spec())) == spec()
    for body in (b"{}", b"nonsense", to_json(spec())[:-20]):
        with pytest.raises(BadData):
            from_json(body)


@pytest.mark.parametrize(
    "wrong", [(1.1, 0.5, 1, 0.0), (0.5, -0.1, 1, 0.0), (0.5, 0.5, -1, 0.0), (math.nan, 0.5, 1, 0.0)]
)
def test_what_is_no_share_cannot_be_drawn(wrong: tuple[float, float, int, float]) -> None:
    """It fails where it is made, not in the drawing process."""
    with pytest.raises(BadData):
        Dot(*wrong)


def test_a_record_of_too_many_parts_is_refused() -> None:
    """A picture is not a table."""
    with pytest.raises(BadData):
        Series("live", (Dot(0.5, 0.5, 1),) * (DOTS_MAX + 1))


async def test_the_drawing_process_draws_a_model_too() -> None:
    """The whole way: spec out, process, picture back."""
    assert (await Pictures().draw(spec())).startswith(b"\x89PNG\r\n\x1a\n")
