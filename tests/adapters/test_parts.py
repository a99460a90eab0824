"""The stored state is the newest state, whatever was changed on the way."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters import parts
from core.adapters.migrate import steps
from core.domain.errors import InvariantBroken
from core.domain.state import Limits, State, drop, put
from tests.adapters.store_samples import START


@contextlib.contextmanager
def database():
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as con:
        con.executescript(steps("main")[0].sql)
        yield con


def write(con, before, after):
    statements = parts.differences(before, after)
    for sql, rows in statements:
        con.executemany(sql, rows)
    return sum(len(rows) for _, rows in statements)


assets = st.sampled_from(["ADA", "BTC", "ETH", "USDT", "ZEC"])
changes = st.one_of(
    st.tuples(st.just("put"), assets, st.decimals(allow_nan=False, allow_infinity=False)),
    st.tuples(st.just("drop"), assets),
    st.tuples(st.just("turn")),
    st.tuples(st.just("empty")),
    st.tuples(st.just("zone"), st.text(max_size=5)),
    st.tuples(st.just("update"), st.integers(0, 99)),
)


def changed(state, change):
    match change:
        case ("put", asset, amount):
            return state.with_(balances=put(state.balances, asset, amount))
        case ("drop", asset):
            return state.with_(balances=drop(state.balances, asset))
        case ("turn",):
            return state.with_(balances=dict(reversed(list(state.balances.items()))))
        case ("empty",):
            return state.with_(balances={})
        case ("zone", name):
            return state.with_(time_zone=name)
        case ("update", number):
            return state.with_(updates=(*state.updates, number))


@settings(deadline=None, max_examples=60)
@given(st.lists(changes, max_size=25))
def test_the_rows_follow_every_change(story):
    """After any sequence of changes the rows give the newest state back, its mappings in the same order."""
    with database() as con:
        state = State()
        write(con, None, state)
        for change in story:
            after = changed(state, change).with_(seq=state.seq + 1)
            write(con, state, after)
            state = after
            assert repr(parts.load(con)) == repr(state)


def test_only_what_changed_is_written():
    """A commit costs what it changed, not what is known."""
    before = State(balances={f"A{n}": Decimal(n) for n in range(100)}, limits=Limits())
    after = before.with_(seq=1, balances=put(before.balances, "A7", Decimal(8)))
    with database() as con:
        write(con, None, before)
        assert write(con, before, after) == 2


def test_without_a_known_beginning_everything_is_written_anew():
    """Rows of a state nobody stepped from are replaced, not mixed with the new one."""
    with database() as con:
        write(con, None, State(balances={"OLD": Decimal(1)}, seq=5))
        fresh = State(balances={"NEW": Decimal(2)}, seq=3)
        write(con, None, fresh)
        assert parts.load(con) == fresh


def test_before_the_first_commit_there_is_no_state():
    """A new database says so instead of inventing a state."""
    with database() as con:
        assert parts.load(con) is None


def test_a_row_that_cannot_be_read_is_named():
    """A damaged row stops the reader with the part's name."""
    with database() as con:
        write(con, None, State())
        con.execute("UPDATE state_parts SET body = '{' WHERE part = 'limits'")
        with pytest.raises(InvariantBroken, match="limits"):
            parts.load(con)


def test_rows_of_another_version_do_no_harm():
    """A field that is gone is passed over, and one that is new has its default."""
    with database() as con:
        write(con, None, State(seq=1))
        con.execute("INSERT INTO state_parts VALUES ('colour', '', '\"red\"')")
        con.execute("DELETE FROM state_parts WHERE part = 'trading'")
        assert parts.load(con) == State(seq=1)


def test_a_time_in_the_state_survives():
    """Since when trading is halted is known after a restart."""
    halted = State(seq=1)
    halted = halted.with_(trading=replace(halted.trading, since=START), order_times=(START,))
    with database() as con:
        write(con, None, halted)
        assert parts.load(con) == halted
