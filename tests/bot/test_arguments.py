"""Text from the command line becomes a value within bounds, or a refusal in words."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.arguments import OLDEST, faults, moment, speed, symbol, whole


@given(st.text(max_size=30) | st.from_regex(r"\A[\d:T+.-]{1,30}\Z"))
@pytest.mark.parametrize("parser", [faults, moment, speed, symbol, whole(1, 9)])
def test_no_text_crashes_a_parser(parser: Callable[[str], Any], text: str):
    """Whatever is typed, the answer is a value or a sentence, never a traceback."""
    with suppress(ArgumentTypeError):
        parser(text)


@given(st.timedeltas(timedelta(days=1), timedelta(days=5_000)), st.integers(-12, 12))
def test_a_moment_is_the_same_instant_in_utc(later: timedelta, hours: int):
    """A time with a zone is converted, not relabelled."""
    there = (OLDEST + later).astimezone(timezone(timedelta(hours=hours)))
    assert (moment(there.isoformat()), moment(there.isoformat()).tzinfo) == (there, UTC)


def test_a_date_alone_is_midnight_utc():
    """2022-01-01 means the first moment of that day in UTC."""
    assert moment("2022-01-01") == datetime(2022, 1, 1, tzinfo=UTC)


@given(st.integers(1, 1_000_000))
def test_a_speed_is_what_was_typed(value: int):
    """A speed is not rounded."""
    assert speed(str(value)) == value
