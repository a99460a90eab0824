"""Orders tied together: OCO, OTO, OTOCO in core.decide.matching."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.costs import Fees
from core.decide.matching import cancel, place_list, place_pair
from core.decide.venue import Balance, ListKind, ListMove, ListPlacement, Status
from core.domain.errors import Refused
from tests.decide.matching_rig import (
    QUOTE,
    START_MS,
    TERMS,
    ask,
    bar,
    ended,
    play,
    put,
    totals,
    venue,
)

D = Decimal
STOP = ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95", name="stop")
TARGET = ask("LIMIT_MAKER", "SELL", "1", "105", name="target")
ENTRY = ask("LIMIT", "BUY", "1", "98", name="entry")


def pair(**held):
    return place_pair(venue(**held), STOP, TARGET, "list", QUOTE, TERMS, START_MS)[0]


def chain(legs=(STOP, TARGET), terms=TERMS, entry=ENTRY, **held):
    return place_list(venue(**held), ListPlacement("list", legs, entry), QUOTE, terms, START_MS)[0]


def statuses(after):
    return {o.client_id: o.status.value for o in (*after.finished, *after.open.get("BTCUSDT", ()))}


def test_a_pair_locks_what_one_leg_needs():
    """One coin is enough for a stop and a target on that coin."""
    after = pair(BTC="1")
    assert after.balances["BTC"] == Balance(D(0), D(1))
    assert [o.kind for o in after.lists.values()] == [ListKind.OCO]


def test_the_target_filling_ends_the_stop():
    """One cancels the other, and the list is done."""
    after, made = play(pair(BTC="1"), bar("100 106 99 101"))
    assert [(t.client_id, t.price) for t in made] == [("target", D(105))]
    assert statuses(after) == {"stop": "EXPIRED", "target": "FILLED"}
    assert not after.lists
    assert totals(after) == {"USDT": D(105)}


def test_a_bar_that_touches_both_is_a_loss():
    """When nobody knows which came first, the stop did."""
    after, made = play(pair(BTC="1"), bar("100 106 94 101"))
    assert [(t.client_id, t.price) for t in made] == [("stop", D(95))]
    assert statuses(after) == {"stop": "FILLED", "target": "EXPIRED"}


def test_a_pair_that_fills_in_part_has_lost_its_sister():
    """The first share of a fill ends the other leg; the rest of the coin stays locked for this one."""
    big = replace(STOP, qty=D(150)), replace(TARGET, qty=D(150))
    before = place_pair(venue(BTC="150"), *big, "list", QUOTE, TERMS, START_MS)[0]
    after, made = play(before, bar("100 106 99 101"))
    assert [(t.client_id, t.qty) for t in made] == [("target", D(100))]
    assert after.balances["BTC"] == Balance(D(0), D(50))
    assert statuses(after) == {"stop": "EXPIRED", "target": "PARTIALLY_FILLED"}


def test_cancelling_a_leg_cancels_the_list():
    """There is no half of a pair."""
    after, moves = cancel(pair(BTC="1"), "BTCUSDT", "target", START_MS)
    assert statuses(after) == {"stop": "CANCELED", "target": "CANCELED"}
    assert after.balances["BTC"] == Balance(D(1), D(0))
    assert isinstance(moves[-1], ListMove)
    assert moves[-1].orders.done


BUY_STOP = ask("STOP_LOSS_LIMIT", "BUY", "1", "106", "105", name="stop")
BUY_TARGET = ask("LIMIT_MAKER", "BUY", "1", "95", name="target")


def buying_pair(cash="200"):
    return place_pair(venue(USDT=cash), BUY_STOP, BUY_TARGET, "list", QUOTE, TERMS, START_MS)[0]


def test_a_buying_pair_locks_what_its_dearer_leg_may_cost():
    """A breakout or a dip, whichever comes: the money for the dearer one is set aside."""
    before = buying_pair()
    assert before.balances["USDT"] == Balance(D(94), D(106))
    with pytest.raises(Refused, match="insufficient balance"):
        buying_pair(cash="105")
    after, made = play(before, bar("100 101 94 99"))
    assert [(t.client_id, t.price) for t in made] == [("target", D(95))]
    assert after.balances["USDT"] == Balance(D(105), D(0))
    after, made = play(before, bar("100 105 99 101"))
    assert [(t.client_id, t.price) for t in made] == [("stop", D(105))]
    assert after.balances["USDT"] == Balance(D(95), D(0))


def test_a_cheaper_leg_left_waiting_holds_no_more_than_it_needs():
    """Once only the dip can still be bought, the money for the breakout is free again."""
    cheap = ask("TAKE_PROFIT_LIMIT", "BUY", "1", "90", "95", name="target")
    before = place_pair(venue(USDT="200"), BUY_STOP, cheap, "list", QUOTE, TERMS, START_MS)[0]
    after, made = play(before, bar("100 101 94 99"))
    assert not made
    assert after.balances["USDT"] == Balance(D(110), D(90))


def test_a_short_entry_gapping_over_its_stop_buys_back_at_the_open():
    """The mirror of a long: a stop above, jumped over by the very open that filled the entry."""
    stop = ask("STOP_LOSS_LIMIT", "BUY", "1", "120", "105", name="stop")
    target = ask("LIMIT_MAKER", "BUY", "1", "95", name="target")
    entry = ask("LIMIT", "SELL", "1", "102", name="entry")
    _, made = play(chain((stop, target), entry=entry, BTC="1", USDT="100"), bar("110 111 109 110"))
    assert [(t.client_id, t.price) for t in made] == [("entry", D(110)), ("stop", D(110))]


def test_a_pair_on_one_side_of_the_market_is_refused():
    """Both legs below the price is no pair, and neither of them exists afterwards."""
    low = ask("LIMIT_MAKER", "SELL", "1", "99", name="target")
    before = venue(BTC="1")
    with pytest.raises(Refused) as caught:
        place_pair(before, STOP, low, "list", QUOTE, TERMS, START_MS)
    assert caught.value.user_text == "The relationship of the prices for the orders is not correct."
    assert before == venue(BTC="1")


def test_a_pair_needs_its_balance_and_distinct_names():
    """Refused as a whole, with the exchange's reasons."""
    with pytest.raises(Refused, match="insufficient balance"):
        pair(BTC="0.5")
    twin = replace(TARGET, client_id="stop")
    with pytest.raises(Refused, match="Duplicate"):
        place_pair(venue(BTC="1"), STOP, twin, "list", QUOTE, TERMS, START_MS)


def test_the_legs_wait_for_the_entry_to_fill_completely():
    """A partly filled entry has no protection yet: that is how the exchange works."""
    legs = replace(STOP, qty=D(150)), replace(TARGET, qty=D(150))
    before = chain(legs, entry=replace(ENTRY, qty=D(150)), USDT="100000")
    assert statuses(before) == {"entry": "NEW", "stop": "PENDING_NEW", "target": "PENDING_NEW"}
    half, _ = play(before, bar("100 101 97 99"))
    assert statuses(half)["stop"] == "PENDING_NEW"
    full, _ = play(half, bar("98 99 97 98", hour=1))
    assert statuses(full) == {"entry": "FILLED", "stop": "NEW", "target": "NEW"}
    assert full.balances["BTC"] == Balance(D(0), D(150))


def test_an_entry_can_be_stopped_in_its_own_bar_but_not_reach_its_target():
    """Inside one bar the worst order of events is assumed."""
    after, made = play(chain(USDT="1000"), bar("100 106 97 101"))
    assert [t.client_id for t in made] == ["entry"]
    after, made = play(chain(USDT="1000"), bar("100 106 94 101"))
    assert [(t.client_id, t.price) for t in made] == [("entry", D(98)), ("stop", D(95))]
    assert not after.open


def test_an_entry_filled_by_a_gap_below_its_stop_does_not_sell_at_the_stop():
    """Where the market opened below the stop, nobody pays the stop's price; the leg is left behind at its limit."""
    after, made = play(chain(USDT="1000"), bar("90 91 89 90"))
    assert [(t.client_id, t.price) for t in made] == [("entry", D(90))]
    assert after.open["BTCUSDT"][0].triggered
    assert statuses(after) == {"entry": "FILLED", "stop": "NEW", "target": "EXPIRED"}


def test_legs_that_the_fee_made_unaffordable_expire():
    """The fee came out of the coin, so a leg for the whole coin cannot be placed; the entry stays filled."""
    after, _ = play(chain(terms=replace(TERMS, fees=Fees()), USDT="1000"), bar("100 101 97 99"))
    after_fees, _ = play(
        chain(terms=replace(TERMS, fees=Fees()), USDT="1000"), bar("100 101 97 99"), terms=replace(TERMS, fees=Fees())
    )
    assert statuses(after)["stop"] == "NEW"
    assert statuses(after_fees) == {"entry": "FILLED", "stop": "EXPIRED", "target": "EXPIRED"}
    assert after_fees.balances["BTC"].total == D("0.999")


def test_an_entry_that_fills_at_once_places_its_legs_at_once():
    """A crossing entry is protected from the first moment."""
    after = chain(entry=replace(ENTRY, price=D(101)), USDT="1000")
    assert statuses(after) == {"entry": "FILLED", "stop": "NEW", "target": "NEW"}


def test_cancelling_the_entry_cancels_what_waits_for_it():
    """No leg outlives the entry it was meant for."""
    after, _ = cancel(chain(USDT="1000"), "BTCUSDT", "entry", START_MS)
    assert set(statuses(after).values()) == {"CANCELED"}
    assert after.balances["USDT"] == Balance(D(1000), D(0))


def test_one_pending_leg_is_enough():
    """OTO: an order that places a single other one."""
    after, _ = play(chain((STOP,), USDT="1000"), bar("100 101 97 99"))
    assert statuses(after) == {"entry": "FILLED", "stop": "NEW"}
    _, made = play(after, bar("98 99 94 95", hour=1))
    assert [t.client_id for t in made] == ["stop"]


def test_an_entry_that_never_rests_drops_its_legs():
    """An IOC entry that found nothing leaves nothing waiting."""
    after = chain(entry=replace(ENTRY, tif=ask("LIMIT", "BUY", "1", "98", tif="IOC").tif), USDT="1000")
    assert set(statuses(after).values()) == {"EXPIRED"}
    assert not after.lists


def test_an_ordinary_order_does_not_disturb_a_pair():
    """Two sales of different coins of the same kind live side by side."""
    after = put(pair(BTC="2"), ask("LIMIT", "SELL", "1", "104", name="other"))
    after, made = play(after, bar("100 104.5 99 101"))
    assert [t.client_id for t in made] == ["other"]
    assert statuses(after) == {"other": "FILLED", "stop": "NEW", "target": "NEW"}
    assert ended(after, "other").status is Status.FILLED
