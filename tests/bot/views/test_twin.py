"""/twin in words: better and worse said as such, misses named, and never more than a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from bot.pieces import TEXT_MAX
from bot.views.fitting import size
from bot.views.twin import comparison, none
from core.run.difference import Comparison, Difference, summary

D = Decimal
AT = datetime(2024, 1, 3, 14, 5, tzinfo=UTC)
BOTH = Difference(
    symbol="BTCUSDT",
    intent="BTCUSDT-s6k2o0",
    at=AT,
    live_entry=D("100.10"),
    twin_entry=D(100),
    live_exit=D("103.48"),
    twin_exit=D(104),
    entry_slippage_bps=D(10),
    exit_slippage_bps=D(50),
    live_delay_ms=420,
    twin_delay_ms=3,
    live_profit=D("3.38"),
    twin_profit=D(4),
    live_why="target",
    twin_why="target",
)


def text(*rows: Difference, since: datetime | None = AT, trouble: str = "") -> str:
    seen = Comparison(since, rows, summary(rows), trouble)
    return comparison(seen, "live", "USDT", ZoneInfo("UTC")).render()[0]


def test_one_trade_on_both_sides_is_told_in_full():
    """Prices of both sides, how much worse, how late, and what each earned."""
    assert text(BOTH) == (
        "live against its paper twin\n"
        "Since Wed 3 Jan 14:05: 1 trade on both sides.\n"
        "Entries: 10.0 bp worse\n"
        "Exits: 50.0 bp worse\n"
        "First fill after 420 ms in the median, paper's after 3 ms\n"
        "\n"
        "BTCUSDT, Wed 3 Jan 14:05\n"
        "in 100.1 (paper 100), 420 ms late: 10.0 bp worse\n"
        "out 103.48 (paper 104): 50.0 bp worse\n"
        "+3.38 against +4.00 USDT\n"
    )


def test_better_is_called_better_and_no_difference_the_same():
    """A minus sign is nobody's word for good."""
    said = text(replace(BOTH, entry_slippage_bps=D(-7), exit_slippage_bps=D("0.01")))
    assert "Entries: 7.0 bp better\nExits: the same\n" in said


def test_several_trades_have_a_mean_and_a_worst():
    """The average hides the one that hurt."""
    said = text(BOTH, replace(BOTH, entry_slippage_bps=D(30)))
    assert "Entries: on average 20.0 bp worse, at worst 30.0 bp worse\n" in said


@pytest.mark.parametrize(
    ("missed", "words"),
    [
        ("live", "missed by live; paper bought at 100 and made +4.00 USDT"),
        ("twin", "missed by paper; live bought at 100.1 and made +3.38 USDT"),
    ],
)
def test_a_miss_says_who_and_what_the_other_made(missed: str, words: str):
    """What was not traded has a price too."""
    said = text(replace(BOTH, missed=missed, entry_slippage_bps=None, exit_slippage_bps=None))
    assert words in said
    assert f"Missed: {int(missed == 'live')} by live, {int(missed == 'twin')} by paper" in said


def test_exits_of_another_kind_are_named_instead_of_compared():
    """A stop against a target is told as what it is."""
    said = text(replace(BOTH, exit_slippage_bps=None, live_why="stop"))
    assert "out 103.48 (paper 104): stop against target" in said


def test_a_position_still_held_is_open():
    """Half a trade is told as far as it goes."""
    held = replace(BOTH, live_exit=None, live_profit=None, exit_slippage_bps=None, live_why="")
    assert "out open (paper 104)\n" in text(held)
    assert "against +4" not in text(held)


def test_nothing_yet_says_so():
    """Before the twin's first trade, and before the twin."""
    assert text().endswith("Since Wed 3 Jan 14:05: nothing was bought on either side yet.")
    assert text(since=None).endswith("It has not begun yet.")


def test_a_twin_that_stopped_is_told_first():
    """Old figures are not shown as if they were followed."""
    assert text(BOTH, trouble="stopped: the disk is full").splitlines()[1] == "⚠️ The twin stopped: the disk is full."


def test_the_newest_five_fit_a_message_whatever_happened():
    """Two hundred trades are a summary and five rows."""
    rows = [replace(BOTH, symbol=f"COIN{number}USDT") for number in range(200)]
    shown = comparison(Comparison(AT, tuple(rows), summary(rows)), "live", "USDT", ZoneInfo("UTC"))
    said = shown.render()[0]
    assert size(shown) <= TEXT_MAX
    assert [f"COIN{number}USDT," in said for number in (0, 4, 5)] == [True, True, False]


def test_a_mode_without_a_twin_says_so_in_one_line():
    """Demo and paper have nothing to compare."""
    assert none("paper").startswith("No paper twin runs in paper mode")
    assert "\n" not in none("demo")
