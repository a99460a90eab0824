"""The path inside a bar, whatever the market: core.sim.market, and the rules of pairs: core.sim.pairs."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.sim.market import STEPS, Row, steps_of
from core.sim.pairs import pair, split

HOUR_MS = 3_600_000
cents = st.integers(1, 10_000_000)


@settings(max_examples=200, deadline=None)
@given(cents, cents, st.integers(0, 500), st.integers(0, 500), st.floats(0, 1e6), st.integers(0, 10**5))
def test_the_steps_of_a_bar_are_the_bar(open_, close, up, down, volume, hour):
    """Joined without a gap, inside the bar's range, and their union is the bar: nothing invented, nothing lost."""
    low = max(min(open_, close) - down, 1)
    row = Row(hour * HOUR_MS, open_ / 100, (max(open_, close) + up) / 100, low / 100, close / 100, round(volume, 5))
    steps = steps_of("BTCUSDT", row, HOUR_MS, 2)
    assert len(steps) == STEPS
    assert (steps[0].open, steps[-1].close) == (row.open, row.close)
    assert (max(s.high for s in steps), min(s.low for s in steps)) == (row.high, row.low)
    assert all(a.close == b.open for a, b in pairwise(steps))
    assert abs(sum(s.volume for s in steps) - row.volume) < 1e-6 * max(row.volume, 1)
    assert steps == steps_of("BTCUSDT", row, HOUR_MS, 2)


def test_known_pairs_have_their_exchanges_grid():
    """The usual pairs are traded on the tick and lot the real exchange uses."""
    instrument = pair("BTCUSDT").rules.instrument
    assert (instrument.base, instrument.quote, instrument.tick, instrument.lot, instrument.notional_min) == (
        "BTC",
        "USDT",
        Decimal("0.01"),
        Decimal("0.00001"),
        Decimal(5),
    )


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=8))
def test_any_other_name_is_always_the_same_pair(base):
    """A made-up pair has a price and a grid by its name, fine enough to trade five dollars of it."""
    found = pair(f"{base}USDT")
    assert found == pair(f"{base}USDT")
    instrument = found.rules.instrument
    assert instrument.tick <= Decimal(str(found.price)) / 100
    assert instrument.lot * Decimal(str(found.price)) <= 10


def test_a_name_without_a_quote_is_no_pair():
    """What cannot be split into two assets is refused with the assets it could end with."""
    assert split("LINKBTC") == ("LINK", "BTC")
    for name in ("USDT", "HELLO", ""):
        with pytest.raises(BadData, match="must end with one of USDT"):
            split(name)
