"""Bars as columns: nothing is lost on the way, and the first telling of a bar stays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.columns import Columns, Saved, from_bars, merged
from core.domain.errors import BadData
from core.domain.market import Bar
from tests.adapters.store_samples import HOUR, START, bar, columns

hours = st.sets(st.integers(0, 30))


@given(st.decimals("0.00000001", "9999999", places=8), st.decimals("0", "9999999999", places=5))
def test_a_bar_comes_back_as_it_was(price, volume):
    """Prices and volumes as exchanges write them survive the way through floats."""
    made = Bar("BTCUSDT", START, HOUR, price, price, price, price, volume)
    assert from_bars([made]).bars() == [made]


def test_bars_are_sorted_and_told_apart_by_their_open_time():
    """The order in which bars arrive does not matter, and the first of two stays."""
    again = bar(1, "150")
    made = from_bars([bar(2), bar(1, "120"), again])
    assert made.bars() == [bar(1, "120"), bar(2)]


def test_bars_of_two_symbols_are_no_history():
    """Two markets never end up in one history."""
    with pytest.raises(BadData, match="2 symbols and lengths"):
        from_bars([bar(1), bar(1, symbol="ETHUSDT")])


def make(present, price):
    made = Columns("BTCUSDT", 1)
    for hour in sorted(present):
        made.append(hour, (price, price, price, price, float(hour % 3)))
    return made


@given(hours.filter(bool), hours.filter(bool), st.sampled_from([1.0, 2.0]))
def test_merging_keeps_the_first_telling_and_counts_the_rest(stored, offered, price):
    """Whatever overlaps, every bar is there once, the stored one wins, and the counts add up."""
    old, new = make(stored, 1.0), make(offered, price)
    both, saved = merged(old, new)
    expected = dict.fromkeys(offered, price) | dict.fromkeys(stored, 1.0)
    assert dict(zip(both.open_ms, both.open, strict=True)) == expected
    assert list(both.open_ms) == sorted(expected)
    overlap = len(stored & offered)
    assert saved == Saved(len(offered - stored), *((overlap, 0) if price == 1.0 else (0, overlap)))
    assert list(old.open_ms) == sorted(stored)


@given(hours)
def test_a_hole_is_named_by_its_two_edges(present):
    """Every gap is found, and nothing else is called one."""
    made = make(present, 1.0)
    covered = {hour for a, b in made.holes() for hour in range(a + 1, b)}
    whole = set(range(min(present), max(present) + 1)) if present else set()
    assert covered == whole - present


def test_the_rest_after_a_time_is_cut_exactly():
    """A reader that has bar 3 is given bar 4 next."""
    some = columns(range(10))
    rest = some.after(some.open_ms[3])
    assert rest.bars()[0].open_at == START + 4 * HOUR
    assert len(some.after(some.open_ms[9])) == 0


def test_a_column_bar_has_its_span():
    """A bar knows when it closes."""
    (first,) = columns(range(1)).bars()
    assert (first.span, first.close) == (timedelta(hours=1), Decimal("100.5"))
