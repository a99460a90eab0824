"""Live and paper compared trade by trade: what was paid more, what was got less, how late, and what was missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.decide.naming import client_id, intent_name
from core.domain.orders import Fill, Purpose, Side
from core.domain.state import Trade
from core.run.difference import differences, entry_intent, summary
from tests.run.samples import HOUR, START

D = Decimal
MS = timedelta(milliseconds=1)
prices = st.decimals(D("0.01"), D(100_000), places=2)


def intent(number: int = 0, symbol: str = "BTCUSDT") -> str:
    return intent_name(symbol, START + number * HOUR)


def trade(number: int = 0, entry: object = 100, exit_: object = 104, **changes: object) -> Trade:
    """A closed round trip of one coin, decided ``number`` hours after the start."""
    at = START + number * HOUR
    paid, got = D(str(entry)), D(str(exit_))
    made = Trade("BTCUSDT", intent(number), D(1), paid, got, got - paid, (), at, at + HOUR, 1, "target")
    return replace(made, **changes)


def bought(number: int = 0, price: object = 100, qty: object = 1, late_ms: int = 0, install: str = "fm") -> Fill:
    """A fill of the entry of that decision, ``late_ms`` after it."""
    name = client_id(install, intent(number), Purpose.ENTRY, 0)
    at = START + number * HOUR + late_ms * MS
    return Fill("BTCUSDT", f"{number}{late_ms}", name, Side.BUY, D(str(qty)), D(str(price)), D(0), "USDT", at)


def only(*sides: list) -> object:
    (row,) = differences(*sides)
    return row


def test_a_dearer_purchase_and_a_cheaper_sale_are_slippage_in_basis_points():
    """Bought at 100.10 for 100 and sold at 103.48 for 104: ten and fifty basis points worse."""
    row = only([trade(0, "100.10", "103.48")], [trade(0, 100, 104)], [bought()], [bought()])
    assert (row.entry_slippage_bps, row.exit_slippage_bps) == (D(10), D(50))
    assert (row.live_profit, row.twin_profit) == (D("3.38"), D(4))


@given(prices, prices, prices, prices)
def test_slippage_is_positive_exactly_where_live_was_worse(live_in, twin_in, live_out, twin_out):
    """Whatever the prices: paying more or getting less is a plus, the same price is nothing, and it adds up."""
    row = only([trade(0, live_in, live_out)], [trade(0, twin_in, twin_out)], [bought()], [bought()])
    entry, exit_ = row.entry_slippage_bps, row.exit_slippage_bps
    assert (entry > 0, entry < 0) == (live_in > twin_in, live_in < twin_in)
    assert (exit_ > 0, exit_ < 0) == (live_out < twin_out, live_out > twin_out)
    assert abs(twin_in * (1 + entry / 10_000) - live_in) < D("1e-15") * live_in
    assert abs(twin_out * (1 - exit_ / 10_000) - live_out) < D("1e-15") * max(live_out, twin_out)


def test_exits_for_different_reasons_are_not_compared():
    """Live was stopped out where paper reached its target: another end, not a worse price for the same one."""
    row = only([trade(0, 100, 98, why="stop")], [trade(0, 100, 104)], [bought()], [bought()])
    assert (row.exit_slippage_bps, row.live_why, row.twin_why) == (None, "stop", "target")
    assert row.entry_slippage_bps == 0


def test_the_delay_is_counted_from_the_decision_to_the_first_fill():
    """Two fills after 420 and 900 ms: live was 420 ms late, paper 15."""
    live = [bought(late_ms=900, qty="0.5"), bought(late_ms=420, qty="0.5")]
    row = only([trade()], [trade()], live, [bought(late_ms=15)])
    assert (row.live_delay_ms, row.twin_delay_ms) == (420, 15)


def test_what_only_one_side_traded_is_missed_by_the_other():
    """A trade live did not get, and one paper would not have made."""
    rows = differences([trade(1)], [trade(0)], [bought(1)], [bought(0)])
    assert [(row.intent, row.missed) for row in rows] == [(intent(1), "twin"), (intent(0), "live")]
    assert [(row.live_profit, row.twin_profit) for row in rows] == [(D(4), None), (None, D(4))]
    assert all(row.entry_slippage_bps is None for row in rows)


def test_a_position_still_open_on_one_side_is_not_missed():
    """Live holds on while paper is out: the entries are compared, at live's average price."""
    live = [bought(price=100, qty=1), bought(price=103, qty=2, late_ms=5)]
    row = only([], [trade(0, 100)], live, [bought()])
    assert (row.missed, row.live_entry, row.entry_slippage_bps) == ("", D(102), D(200))
    assert (row.live_exit, row.live_profit, row.exit_slippage_bps) == (None, None, None)


def test_only_entries_are_counted_as_bought():
    """Stops, targets and foreign orders carry other names."""
    names = [client_id("fm7k2", intent(), purpose, 0) for purpose in Purpose]
    assert [entry_intent(name) for name in names] == [intent(), "", "", ""]
    assert entry_intent("web_1234") == entry_intent("") == entry_intent("x-A1-exit") == ""


def test_the_sides_pair_up_whatever_marks_their_installations_have():
    """The intent is the pair; who placed the order is not part of it."""
    row = only([], [], [bought(install="fmaaa", late_ms=1)], [bought(install="fmbbb", late_ms=1)])
    assert (row.missed, row.entry_slippage_bps) == ("", D(0))


def test_the_summary_holds_mean_worst_medians_and_what_was_missed():
    """Three pairs at 10, 20 and 60 basis points, one missed by live, two by paper."""
    live = [trade(0, "100.10"), trade(1, "100.20"), trade(2, "100.60"), trade(4), trade(5)]
    twin = [trade(0), trade(1), trade(2), trade(3)]
    fills = [bought(n, late_ms=late) for n, late in ((0, 100), (1, 300), (2, 2000), (4, 100), (5, 700))]
    got = summary(differences(live, twin, fills, [bought(n, late_ms=3) for n in range(4)]))
    assert (got.count, got.missed_live, got.missed_twin) == (3, 1, 2)
    assert (got.entry.count, got.entry.mean_bps, got.entry.worst_bps) == (3, D(30), D(60))
    assert (got.exit.mean_bps, got.exit.worst_bps) == (D(0), D(0))
    assert (got.live_delay_ms, got.twin_delay_ms) == (300, 3)


def test_without_trades_there_is_nothing_to_sum_up():
    """No trade, no figure: nothing pretends to be measured."""
    got = summary(differences([], [], [], []))
    assert (got.count, got.entry, got.exit, got.live_delay_ms) == (0, None, None, None)
