"""The flood limit lets through what it says and names the wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sim.chat.flood import FloodMeter, FloodPolicy
from core.sim.chat.values import ApiError


def test_the_flood_limit_lets_through_what_it_says():
    """Two a second per chat: the third waits a whole second, another chat does not."""
    meter, start = FloodMeter(FloodPolicy(messages=2, per_s=1.0)), datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(2):
        meter.admit(1, start)
    with pytest.raises(ApiError, match="Too Many Requests: retry after 1") as refused:
        meter.admit(1, start + timedelta(seconds=0.4))
    assert refused.value.retry_after_s == 1
    meter.admit(2, start)
    meter.admit(1, start + timedelta(seconds=1))


def test_without_a_limit_everything_passes():
    """The limit is off unless asked for."""
    meter, start = FloodMeter(FloodPolicy()), datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(1000):
        meter.admit(1, start)


@given(
    st.integers(1, 5),
    st.floats(0.5, 60),
    st.lists(st.floats(0, 20), max_size=40),
)
def test_no_window_ever_holds_more_than_the_limit(messages: int, per_s: float, gaps: list[float]):
    """However messages are spread, any stretch of ``per_s`` lets through at most the limit."""
    meter, at, passed = FloodMeter(FloodPolicy(messages, per_s)), datetime(2026, 1, 1, tzinfo=UTC), []
    for gap in gaps:
        at += timedelta(seconds=gap)
        try:
            meter.admit(1, at)
        except ApiError as refused:
            assert refused.retry_after_s  # noqa: PT017 - both outcomes are right
            continue
        passed.append(at)
    window = timedelta(seconds=per_s)
    assert all(sum(start <= other < start + window for other in passed) <= messages for start in passed)
