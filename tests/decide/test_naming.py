"""Names of intents and orders: core.decide.naming."""

from __future__ import annotations

import re
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.decide.naming import bar_trace, base36, client_id, intent_name, intent_trace
from core.domain.market import from_ms
from core.domain.orders import Purpose
from tests.builders import START

symbols = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=5, max_size=16)
installs = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=5)
hours = st.integers(0, 200_000)
orders = st.tuples(symbols, hours, st.sampled_from(Purpose), st.integers(0, 999))


def named(install: str, order: tuple[str, int, Purpose, int]) -> str:
    """The client id of an order about the bar so many hours after the start."""
    symbol, hour, purpose, attempt = order
    return client_id(install, intent_name(symbol, START + timedelta(hours=hour)), purpose, attempt)


@given(install=installs, order=orders)
def test_a_client_id_is_one_the_exchange_takes(install: str, order: tuple[str, int, Purpose, int]):
    """Every client id fits the exchange's pattern and begins with this installation's mark."""
    name = named(install, order)
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,36}", name)
    assert name.startswith(f"{install}-")


@given(install=installs, one=orders, other=orders)
def test_two_orders_never_share_a_client_id(install: str, one: tuple[str, int, Purpose, int], other):
    """Another symbol, bar, purpose or attempt is another name; the same ones are the same name."""
    assert (named(install, one) == named(install, other)) is (one == other)


@given(st.integers(0, 2**60))
def test_base_36_reads_back(number: int):
    """The short form of a number loses nothing."""
    assert int(base36(number), 36) == number


@given(st.sampled_from(["BTCUSDT", "1000SATSUSDT"]), st.integers(0, 4_000_000_000))
def test_an_intent_leads_back_to_the_bar_it_came_from(symbol: str, seconds: int):
    """Fills and ends that come days later are found under the same trace as the bar that was decided on."""
    opened = from_ms(seconds * 1000)
    assert intent_trace(intent_name(symbol, opened)) == bar_trace(symbol, opened)
