"""Trailing stops as the exchange follows them: core.decide.matching_bars."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide.matching import place_list
from core.decide.venue import Liquidity, ListPlacement, Placement, Status
from core.domain.errors import Refused
from core.domain.orders import OrderKind, Side, Tif
from tests.decide.matching_rig import QUOTE, START_MS, ask, bar, play, put, venue, with_rules

D = Decimal
TERMS = with_rules(trail_min_bips=10, trail_max_bips=2000)


def trailing(side="SELL", bips=1000, price="50", stop="", kind="STOP_LOSS_LIMIT", name="s"):
    return Placement(
        "BTCUSDT",
        Side(side),
        OrderKind(kind),
        name,
        qty=D(1),
        price=D(price),
        stop_price=D(stop) if stop else None,
        trail_bips=bips,
    )


def protected(one=None, **held):
    """A venue whose only order is that trailing stop, placed at 100."""
    return put(venue(**(held or {"BTC": "1"})), one or trailing(), terms=TERMS)


def run(before, *bars):
    return play(before, *bars, terms=TERMS)


def best(after):
    return after.open["BTCUSDT"][0].best


def test_it_follows_the_highest_price_and_sells_a_tenth_below_it():
    """100 to 120 lifts the stop from 90 to 108; falling there sells."""
    after, made = run(protected(), bar("100 120 100 120"), bar("120 121 110 111", hour=1))
    assert (made, best(after)) == ([], D(121))
    after, (sold,) = run(after, bar("111 112 105 106", hour=2))
    assert (sold.price, sold.client_id) == (D("108.9"), "s")
    assert not after.open


def test_it_never_comes_down_again():
    """What was won stays the measure, however long the price stays lower."""
    after, made = run(protected(), bar("100 118 100 117"), *(bar("117 117 107 110", hour=h) for h in range(1, 5)))
    assert (made, best(after)) == ([], D(118))


def test_a_bar_falls_before_it_rises():
    """The bar's own high cannot lift the stop before its low was met: against us, if in doubt."""
    after, (sold,) = run(protected(), bar("100 150 89 149"))
    assert sold.price == D(90)
    assert not after.open


def test_what_the_bar_gave_back_after_its_high_counts():
    """From a high of 150 down to a close of 120 is more than a tenth: sold on the way."""
    _, (sold,) = run(protected(), bar("100 150 99 120"))
    assert sold.price == D(135)


def test_the_target_of_the_pair_is_met_before_the_way_back():
    """On the way up the target was there first."""
    legs = (trailing(), ask("LIMIT_MAKER", "SELL", "1", "140", name="t"))
    before, _ = place_list(venue(BTC="1"), ListPlacement("l", legs), QUOTE, TERMS, START_MS)
    after, (sold,) = run(before, bar("100 150 99 120"))
    assert (sold.client_id, sold.price) == ("t", D(140))
    assert not after.open


def test_a_gap_through_the_stop_sells_at_the_open():
    """The market gives what it gives."""
    _, (sold,) = run(protected(), bar("80 82 79 81"))
    assert sold.price == D(80)


def test_a_stop_below_its_own_limit_is_left_behind():
    """Triggered under its limit price it waits there, as a limit order does."""
    after, made = run(protected(trailing(price="95")), bar("100 100 89 89"))
    (left,) = after.open["BTCUSDT"]
    assert (made, left.triggered, left.status) == ([], True, Status.NEW)


def test_with_a_stop_price_it_protects_nothing_before_that_price_was_met():
    """A sell stop at 95 trailing by a tenth begins at 95 and sells at 85.5, not at 95."""
    after, made = run(protected(trailing(stop="95")), bar("100 130 96 100"))
    assert (made, best(after)) == ([], D(0))
    after, made = run(after, bar("100 100 90 91", hour=1))
    assert (made, best(after)) == ([], D(95))
    _, (sold,) = run(after, bar("91 92 84 85", hour=2))
    assert sold.price == D("85.5")


def test_a_bar_that_meets_the_stop_price_and_the_distance_sells_in_it():
    """Begin at 95, a tenth less is 85.5: both lie in one bar."""
    _, (sold,) = run(protected(trailing(stop="95")), bar("100 100 80 90"))
    assert sold.price == D("85.5")


def test_a_take_profit_begins_above_and_sells_on_the_way_back():
    """From 120 on it follows; 130 less a tenth is 117."""
    one = trailing(kind="TAKE_PROFIT_LIMIT", stop="120")
    after, made = run(protected(one), bar("100 110 80 100"), bar("100 130 100 125", hour=1))
    assert (made, best(after)) == ([], D(130))
    _, (sold,) = run(after, bar("125 126 110 111", hour=2))
    assert sold.price == D(117)


def test_a_buyer_trails_from_below():
    """The mirror: from the lowest price a tenth up."""
    one = trailing("BUY", price="200")
    after, made = run(protected(one, USDT="500"), bar("100 101 80 81"))
    assert (made, best(after)) == ([], D(80))
    _, (bought,) = run(after, bar("81 95 81 94", hour=1))
    assert bought.price == D(88)


def test_protection_that_comes_with_an_entry_follows_from_that_moment():
    """OTOCO: filled whole, and the trailing stop stands at the price of the moment."""
    entry = replace(ask("LIMIT", "BUY", "1", "100.5", name="e"), tif=Tif.FOK)
    legs = (replace(trailing(), qty=D(1)), ask("LIMIT_MAKER", "SELL", "1", "140", name="t"))
    before, _ = place_list(venue(USDT="101"), ListPlacement("l", legs, entry), QUOTE, TERMS, START_MS)
    assert [(o.client_id, o.best) for o in before.open["BTCUSDT"]] == [("s", D(100)), ("t", D(0))]


def test_protection_that_is_born_in_a_bar_does_not_rise_with_its_past():
    """The high may have been before the entry filled: only the close counts."""
    entry = ask("LIMIT", "BUY", "1", "95", name="e")
    legs = (trailing(), ask("LIMIT_MAKER", "SELL", "1", "200", name="t"))
    before, _ = place_list(venue(USDT="101"), ListPlacement("l", legs, entry), QUOTE, TERMS, START_MS)
    after, (bought,) = run(before, bar("100 150 94 97"))
    assert (bought.client_id, best(after)) == ("e", D(97))
    after, made = run(before, bar("100 150 85 97"))
    assert [t.client_id for t in made] == ["e", "s"]


@pytest.mark.parametrize(("bips", "allowed"), [(9, False), (10, True), (2000, True), (2001, False)])
def test_the_distance_has_bounds(bips, allowed):
    """TRAILING_DELTA: nearer or farther than allowed is refused."""
    if allowed:
        assert protected(trailing(bips=bips)).open
        return
    with pytest.raises(Refused, match="TRAILING_DELTA"):
        protected(trailing(bips=bips))


def test_where_nothing_may_trail_it_is_said():
    """A symbol without trailing stops refuses them in its own words."""
    with pytest.raises(Refused, match="not supported for this symbol"):
        put(venue(BTC="1"), trailing())


walks = st.lists(st.integers(6_000, 16_000), min_size=1, max_size=60)


@given(walks, st.integers(10, 2000))
def test_step_by_step_it_is_the_plain_rule(walk, bips):
    """Over any walk it sells at the first price a delta below the best one so far, and at no other."""
    prices = [D(100), *(D(n) / 100 for n in walk)]
    top, expected = D(100), None
    for hour, (a, b) in enumerate(pairwise(prices)):
        level = max(top, a) * (10_000 - bips) / 10_000
        if b <= level:
            expected = hour
            break
        top = max(top, a, b)
    before = put(venue(BTC="1"), trailing(bips=bips, price="20.01"), terms=TERMS)
    for hour, (a, b) in enumerate(pairwise(prices)):
        before, made = run(before, bar(f"{a} {max(a, b)} {min(a, b)} {b}", hour=hour))
        assert bool(made) == (hour == expected)
        if made:
            assert made[0].price >= b.quantize(D("0.01")) - D("0.01")
            return
        assert best(before) == max(prices[: hour + 2])


def test_it_does_not_wait_for_a_first_bar_to_know_where_it_began():
    """The price of the moment it was placed at is its first measure."""
    quote = Liquidity(D("199.99"), D("200.01"), D(1000))
    after = put(venue(BTC="1"), trailing(price="100"), quote=quote, terms=TERMS)
    assert best(after) == D(200)


def first_sale(prices, bips, stop, rises):
    """Which step of a walk a seller's trailing stop fires in, by the exchange's words alone; None for never.

    From the trade on that meets ``stop`` it fires once the price is ``bips`` below the highest since.
    """
    best = None
    for step, (a, b) in enumerate(pairwise(prices)):
        for price in (a, b):
            if best is None and (price >= stop if rises else price <= stop):
                # between two trades of the walk lies every price; falling through its price it begins just there
                best = a if price == a or rises else stop
            if best is not None:
                best = max(best, price)
                if price <= best * (10_000 - bips) / 10_000:
                    return step
    return None


@given(walks, st.integers(10, 2000), st.integers(6_000, 16_000), st.booleans())
def test_with_a_stop_price_too_it_is_the_plain_rule(walk, bips, level, buying):
    """Stop loss and take profit, seller and, mirrored, buyer: it fires in the very step in which the rule says so."""
    level = D(level) / 100
    if level == 100:
        return
    prices = [D(100), *(D(n) / 100 for n in walk)]
    rises = level > 100
    kind = "STOP_LOSS_LIMIT" if rises == buying else "TAKE_PROFIT_LIMIT"
    expected = first_purchase(prices, bips, level, rises) if buying else first_sale(prices, bips, level, rises)
    one = trailing("BUY" if buying else "SELL", bips, "400" if buying else "21", str(level), kind)
    before = put(venue(USDT="1000", BTC="1"), one, terms=TERMS)
    fired = None
    for hour, (a, b) in enumerate(pairwise(prices)):
        before, made = run(before, bar(f"{a} {max(a, b)} {min(a, b)} {b}", hour=hour))
        if made:
            fired = hour
            break
    assert fired == expected


def first_purchase(prices, bips, stop, rises):
    """The same for a buyer, who waits for a rise from the lowest price."""
    best = None
    for step, (a, b) in enumerate(pairwise(prices)):
        for price in (a, b):
            if best is None and (price >= stop if rises else price <= stop):
                best = a if price == a or not rises else stop
            if best is not None:
                best = min(best, price)
                if price >= best * (10_000 + bips) / 10_000:
                    return step
    return None
