"""The clock that never runs back, within a run and from one run to the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.adapters.clock import SET_BACK_MAX, WallClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class Times:
    """A wall that can be set, and a steady clock that cannot; seconds."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = START.timestamp(), 0.0

    def clock(self, last: datetime | None = None) -> WallClock:
        return WallClock(lambda: self.wall_s, lambda: self.steady_s, last)

    def pass_(self, seconds: float, step: float = 0.0) -> None:
        """Let time pass; the wall is set by ``step`` on the way."""
        self.steady_s += seconds
        self.wall_s += seconds + step


def test_it_shows_what_the_wall_shows():
    """Nothing is invented where nobody set the clock."""
    times = Times()
    clock = times.clock()
    times.pass_(90)
    assert clock.now() == START + timedelta(seconds=90)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-50, 50)), max_size=30))
def test_it_never_goes_back_and_never_stands_still(passed: list[tuple[float, float]]):
    """However often the wall is set, whatever counts seconds goes on counting."""
    times = Times()
    clock = times.clock()
    for seconds, step in passed:
        before = clock.now()
        times.pass_(seconds, step)
        assert clock.now() - before >= timedelta(seconds=seconds * 0.98) - timedelta(microseconds=10)


def test_a_start_goes_on_from_where_the_last_run_was():
    """A clock set back by ten seconds during a restart does not put an alarm off by ten seconds."""
    times = Times()
    last = START + timedelta(seconds=10)
    clock = times.clock(last)
    assert clock.now() == last
    times.pass_(1)
    assert clock.now() == last + timedelta(seconds=0.98)


def test_a_clock_that_was_altogether_wrong_is_not_followed():
    """A journal written by a clock a year ahead does not keep the right time away for a year."""
    times = Times()
    assert times.clock(START + timedelta(days=365)).now() == START
    assert times.clock(START + SET_BACK_MAX).now() == START


def test_an_earlier_line_changes_nothing():
    """The usual start: the last line was written before now."""
    assert Times().clock(START - timedelta(days=3)).now() == START
