"""Entries that bring their protection, and legs that are cancelled half-way: core.decide.matching."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.costs import Fees
from core.decide.matching import cancel, place_list, place_pair
from core.decide.venue import Balance, ListPlacement, Status
from core.domain.errors import Refused
from tests.decide.matching_rig import QUOTE, START_MS, TERMS, ask, bar, ended, play, totals, trades, venue, with_rules

D = Decimal
STOP = ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95", name="stop")
TARGET = ask("LIMIT_MAKER", "SELL", "1", "105", name="target")
FOK = ask("LIMIT", "BUY", "1", "100.10", name="entry", tif="FOK")
EXCHANGE_FEES = replace(TERMS, fees=Fees(D("0.001"), D("0.001")))


def chain(legs=(STOP, TARGET), terms=TERMS, entry=FOK, **held):
    return place_list(venue(**held), ListPlacement("list", legs, entry), QUOTE, terms, START_MS)[0]


def statuses(after):
    return {o.client_id: o.status.value for o in (*after.finished, *after.open.get("BTCUSDT", ()))}


def legs_of(qty):
    return replace(STOP, qty=D(qty)), replace(TARGET, qty=D(qty))


def test_an_entry_filled_whole_is_protected_in_the_same_instant():
    """FOK: the coin is bought, and the pair of what is left after the fee stands with it."""
    after = chain(legs_of("0.999"), EXCHANGE_FEES, FOK, USDT="101")
    assert statuses(after) == {"entry": "FILLED", "stop": "NEW", "target": "NEW"}
    assert after.balances["BTC"] == Balance(D(0), D("0.999"))


def test_a_pair_sized_before_the_fee_does_not_come_to_stand():
    """Who forgets the fee has a coin without a stop: the exchange says so by expiring both legs."""
    after = chain(legs_of("1"), EXCHANGE_FEES, FOK, USDT="101")
    assert statuses(after) == {"entry": "FILLED", "stop": "EXPIRED", "target": "EXPIRED"}
    assert after.balances["BTC"] == Balance(D("0.999"))
    assert not after.lists


@pytest.mark.parametrize("price", ["99.99", "100.00"])
def test_an_entry_not_filled_whole_leaves_nothing(price):
    """The market is dearer than the limit: everything expired, no cent locked, no list left."""
    after = chain(entry=replace(FOK, price=D(price)), USDT="101")
    assert set(statuses(after).values()) == {"EXPIRED"}
    assert after.balances["USDT"] == Balance(D(101))
    assert not after.open
    assert not after.lists


def test_an_entry_larger_than_the_market_leaves_nothing():
    """More than there is to be had at once is not had at all."""
    after = chain(legs_of("150"), entry=replace(FOK, qty=D(150)), USDT="20000")
    assert set(statuses(after).values()) == {"EXPIRED"}
    assert totals(after) == {"USDT": D(20_000)}


@pytest.mark.parametrize(
    ("qty", "name"), [("0.0005", "LOT_SIZE"), ("0.0105", "LOT_SIZE"), ("0.04", "NOTIONAL"), ("10000000000", "LOT_SIZE")]
)
def test_what_the_legs_will_be_is_checked_before_anything_is_bought(qty, name):
    """A pending quantity that breaks a filter refuses the entry too."""
    with pytest.raises(Refused, match=name):
        chain(legs_of(qty), entry=FOK, USDT="101")


def test_legs_that_would_trade_at_once_expire_with_their_entry_filled():
    """A stop above the market is no protection: it is not taken, and nothing stays locked for it."""
    after = chain((replace(STOP, stop_price=D("101")), TARGET), entry=FOK, USDT="101")
    assert statuses(after) == {"entry": "FILLED", "stop": "EXPIRED", "target": "EXPIRED"}
    assert after.balances["BTC"] == Balance(D(1))


def test_a_pair_of_two_stops_on_one_side_is_refused():
    """One leg above, one below, whatever waits for what."""
    with pytest.raises(Refused, match="relationship"):
        chain((STOP, replace(TARGET, kind=STOP.kind, stop_price=D(90), price=D(89))), USDT="101")


def test_where_an_entry_cannot_bring_its_exits_it_is_said():
    """A symbol without OTO lists still takes pairs."""
    terms = with_rules(lists=False)
    with pytest.raises(Refused, match="OTO orders are not supported"):
        chain(terms=terms, USDT="101")
    assert place_pair(venue(BTC="1"), STOP, TARGET, "list", QUOTE, terms, START_MS)[0].lists


def test_an_entry_in_pieces_is_protected_after_the_last():
    """Twenty trades with their own fees, one after another in number, then the pair."""
    pieces = replace(EXCHANGE_FEES, fills=replace(TERMS.fills, pieces_max=20, seed=2))
    before = venue(USDT="101")
    after, moves = place_list(before, ListPlacement("l", legs_of("0.998"), FOK), QUOTE, pieces, START_MS)
    made = trades(moves)
    assert len(made) > 3
    assert [t.trade_id for t in made] == list(range(1, len(made) + 1))
    assert len({t.price for t in made}) > 3
    assert max(t.price for t in made) <= FOK.price
    assert sum(t.qty for t in made) == 1
    assert all(t.fee == (t.qty * D("0.001")).quantize(D("0.00000001"), "ROUND_DOWN") for t in made)
    assert statuses(after) == {"entry": "FILLED", "stop": "NEW", "target": "NEW"}
    assert after.balances["USDT"].free == 101 - sum(t.qty * t.price for t in made)


def test_a_leg_filled_in_part_and_cancelled_keeps_what_it_sold():
    """The sister was gone with the first share; cancelling frees the rest and ends the list."""
    before = place_pair(venue(BTC="150"), *legs_of("150"), "list", QUOTE, TERMS, START_MS)[0]
    before, (sold,) = play(before, bar("100 106 99 101"))
    after, _ = cancel(before, "BTCUSDT", "target", START_MS)
    assert (ended(after, "target").status, ended(after, "target").filled_qty) == (Status.CANCELED, sold.qty)
    assert ended(after, "stop").status is Status.EXPIRED
    assert after.balances["BTC"] == Balance(150 - sold.qty)
    assert not after.lists
    with pytest.raises(Refused, match="Unknown order"):
        cancel(after, "BTCUSDT", "target", START_MS)


def test_a_stop_left_behind_can_be_cancelled():
    """Triggered below its limit it rests there; cancelling gives the coin back for another sale."""
    before = place_pair(venue(BTC="1"), STOP, TARGET, "list", QUOTE, TERMS, START_MS)[0]
    before, made = play(before, bar("90 91 89 90"))
    assert not made
    after, _ = cancel(before, "BTCUSDT", "stop", START_MS)
    assert statuses(after) == {"stop": "CANCELED", "target": "EXPIRED"}
    assert after.balances["BTC"] == Balance(D(1))
