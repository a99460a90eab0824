"""One order at a time against quotes and bars: core.decide.matching and core.decide.costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.costs import Fees, Fills, Terms
from core.decide.matching import cancel, on_bar, place
from core.decide.venue import Balance, Placement, Status
from core.domain.errors import Refused
from core.domain.orders import OrderKind, Side
from tests.decide.matching_rig import (
    EVEN,
    FREE,
    QUOTE,
    START_MS,
    TERMS,
    ask,
    bar,
    ended,
    play,
    put,
    totals,
    trades,
    venue,
    with_rules,
)

D = Decimal
PERMILLE = replace(TERMS, fees=Fees())


def refusal(before, order, quote=QUOTE, terms=TERMS):
    with pytest.raises(Refused) as caught:
        place(before, order, quote, terms, START_MS)
    return caught.value.code, caught.value.user_text


def test_a_market_buy_fills_at_once_at_the_ask():
    """What is bought at market is bought now, at the seller's price."""
    after, moves = place(venue(USDT="1000"), ask("MARKET", "BUY", "2"), QUOTE, TERMS, START_MS)
    assert [(t.qty, t.price, t.maker) for t in trades(moves)] == [(D(2), D("100.01"), False)]
    assert totals(after) == {"USDT": D("799.98"), "BTC": D(2)}


def test_a_market_order_for_money_buys_as_many_lots_as_the_money_pays():
    """Spending 100 never spends more than 100."""
    asked = Placement("BTCUSDT", Side.BUY, OrderKind.MARKET, "a", quote_qty=D(100))
    after, _ = place(venue(USDT="100"), asked, QUOTE, TERMS, START_MS)
    assert totals(after)["BTC"] == D("0.999")
    assert 0 <= totals(after)["USDT"] < D("0.2")


def test_fees_are_taken_from_what_is_received():
    """A buy pays its fee in the coin, a sale in the quote."""
    after, moves = place(venue(USDT="1000"), ask("MARKET", "BUY", "1"), QUOTE, PERMILLE, START_MS)
    assert [(t.fee, t.fee_asset) for t in trades(moves)] == [(D("0.001"), "BTC")]
    after, moves = place(after, ask("MARKET", "SELL", "0.999"), QUOTE, PERMILLE, START_MS)
    assert [(t.fee, t.fee_asset) for t in trades(moves)] == [(D("0.09989001"), "USDT")]


def test_bnb_pays_the_fee_while_there_is_enough_of_it():
    """With BNB at hand the coin bought stays whole; without it the fee comes out of the coin."""
    terms = replace(TERMS, fees=Fees(bnb_prices={"USDT": D(500)}))
    _, moves = place(venue(USDT="1000", BNB="1"), ask("MARKET", "BUY", "1"), QUOTE, terms, START_MS)
    assert [(t.fee, t.fee_asset) for t in trades(moves)] == [(D("0.00015001"), "BNB")]
    _, moves = place(venue(USDT="1000", BNB="0.0001"), ask("MARKET", "BUY", "1"), QUOTE, terms, START_MS)
    assert trades(moves)[0].fee_asset == "BTC"


def test_a_large_order_pays_the_square_root_of_its_size():
    """Four times the size doubles the impact."""
    terms = replace(TERMS, fills=Fills(volume_share=D(1), half_spread=D(0), impact=D(1)))
    prices = []
    for qty in ("10", "40"):
        _, moves = place(venue(USDT="100000"), ask("MARKET", "BUY", qty), QUOTE, terms, START_MS)
        prices.append(trades(moves)[0].price - QUOTE.ask)
    assert prices == [D("0.11"), D("0.21")]  # 100.01 * 1 % * sqrt(q / 1000), rounded up to the tick


def test_a_market_order_beyond_the_liquidity_fills_in_part_and_expires():
    """Nobody gets more than the market's share of volume; the rest is not filled by magic."""
    after, _ = place(venue(USDT="100000"), ask("MARKET", "BUY", "150"), QUOTE, TERMS, START_MS)
    assert (ended(after, "a").status, ended(after, "a").filled_qty) == (Status.EXPIRED, D(100))
    assert after.balances["USDT"].locked == 0


def test_a_resting_buy_locks_its_money_and_fills_when_the_price_comes():
    """Money for an open order is locked, and paid when the bar reaches its price."""
    before = put(venue(USDT="1000"), ask("LIMIT", "BUY", "2", "95"))
    assert before.balances["USDT"] == Balance(D(810), D(190))
    untouched, made = play(before, bar("100 101 96 99"))
    assert not made
    assert untouched is before
    after, made = play(before, bar("100 101 94 99"))
    assert [(t.price, t.maker) for t in made] == [(D(95), True)]
    assert totals(after) == {"USDT": D(810), "BTC": D(2)}


def test_a_gap_through_a_limit_fills_at_the_open():
    """A market that opens below the buy price sells at the open, and the money saved is free again."""
    after, made = play(put(venue(USDT="1000"), ask("LIMIT", "BUY", "2", "95")), bar("90 91 89 90"))
    assert made[0].price == D(90)
    assert after.balances["USDT"] == Balance(D(820), D(0))


def test_an_open_finer_than_the_tick_is_rounded_against_us():
    """Recorded prices may be finer than the grid; a fill never is."""
    _, made = play(put(venue(USDT="1000"), ask("LIMIT", "BUY", "2", "95")), bar("90.001 91 89 90"))
    assert made[0].price == D("90.01")
    _, made = play(put(venue(BTC="2"), ask("LIMIT", "SELL", "2", "105")), bar("110.009 111 109 110"))
    assert made[0].price == D("110.00")


def test_an_order_gets_its_share_of_volume_bar_by_bar():
    """Ten per cent of each bar, the better priced and older order first."""
    before = put(
        venue(USDT="100000"), ask("LIMIT", "BUY", "150", "95", name="low"), ask("LIMIT", "BUY", "50", "96", name="high")
    )
    first, made = play(before, bar("100 101 94 99"))
    assert [(t.client_id, t.qty) for t in made] == [("high", D(50)), ("low", D(50))]
    _, made = play(first, bar("100 101 94 99", volume="300", hour=1))
    assert [(t.client_id, t.qty) for t in made] == [("low", D(30))]


def test_a_crossing_limit_takes_and_rests_with_the_remainder():
    """A limit above the ask fills like a market order as far as there is room, then waits."""
    before = put(venue(USDT="100000"), ask("LIMIT", "BUY", "150", "101"))
    (order,) = before.open["BTCUSDT"]
    assert (order.filled_qty, order.status) == (D(100), Status.PARTIALLY_FILLED)
    assert before.balances["USDT"].locked == D(50 * 101)


@pytest.mark.parametrize(("tif", "filled"), [("IOC", D(100)), ("FOK", D(0))])
def test_immediate_orders_never_rest(tif, filled):
    """IOC keeps what it got, FOK wants all or nothing."""
    after = put(venue(USDT="100000"), ask("LIMIT", "BUY", "150", "101", tif=tif))
    assert (ended(after, "a").status, ended(after, "a").filled_qty) == (Status.EXPIRED, filled)
    assert not after.open


def test_a_stop_sells_where_it_is_touched():
    """A touched stop becomes a limit order that takes at once."""
    before = put(venue(BTC="1"), ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95"))
    _, made = play(before, bar("100 101 95 99"))
    assert [(t.price, t.maker) for t in made] == [(D(95), False)]


def test_a_stop_pays_spread_and_impact_but_never_beyond_its_limit():
    """Slippage makes a stop worse, its limit says how much worse at most."""
    terms = Terms(TERMS.rules, FREE, Fills(volume_share=D(1), half_spread=D("0.001"), impact=D(1)))
    for limit, price in (("90", D("93.81")), ("94.5", D("94.5"))):
        before = put(venue(BTC="100"), ask("STOP_LOSS_LIMIT", "SELL", "100", limit, "95"))
        _, made = play(before, bar("100 101 95 99"), terms=terms)
        assert made[0].price == price


def test_a_gap_through_a_stop_fills_at_the_open():
    """When the night was bad, the stop sells at the morning's price."""
    before = put(venue(BTC="1"), ask("STOP_LOSS_LIMIT", "SELL", "1", "80", "95"))
    _, made = play(before, bar("90 92 88 91"))
    assert made[0].price == D(90)


def test_a_gap_beyond_the_stops_limit_leaves_it_behind():
    """A stop-limit that is jumped over does not sell until the price comes back."""
    before = put(venue(BTC="1"), ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95"))
    before, made = play(before, bar("90 92 88 91"))
    assert not made
    assert before.open["BTCUSDT"][0].triggered
    _, made = play(before, bar("91 96 90 95", hour=1))
    assert [(t.price, t.maker) for t in made] == [(D(94), True)]


def test_a_take_profit_triggers_on_the_way_up():
    """A take-profit waits above the price and then sells at its limit or better."""
    before = put(venue(BTC="1"), ask("TAKE_PROFIT_LIMIT", "SELL", "1", "104", "105"))
    assert not play(before, bar("100 104 95 99"))[1]
    _, made = play(before, bar("100 106 99 101"))
    assert made[0].price == D(105)


def test_a_stop_that_would_trigger_at_once_is_refused():
    """A stop on the wrong side of the market is a mistake, not an order."""
    wrong = ask("STOP_LOSS_LIMIT", "SELL", "1", "100", "101")
    assert refusal(venue(BTC="1"), wrong) == ("-2010", "Stop price would trigger immediately.")


def test_a_maker_order_that_would_take_is_refused():
    """Maker only means maker only."""
    wrong = ask("LIMIT_MAKER", "BUY", "1", "100.01")
    assert refusal(venue(USDT="1000"), wrong) == ("-2010", "Order would immediately match and take.")


def test_money_that_is_not_there_is_refused():
    """No order without its balance, and nothing changes by asking."""
    before = venue(USDT="100")
    said = ("-2010", "Account has insufficient balance for requested action.")
    assert refusal(before, ask("LIMIT", "BUY", "2", "95")) == said
    assert refusal(before, ask("MARKET", "BUY", "2")) == said
    assert before == venue(USDT="100")


def test_a_client_id_is_unique_among_open_orders_only():
    """A second order under an open id is refused; once the first is done, the id is free again."""
    before = put(venue(USDT="1000"), ask("LIMIT", "BUY", "1", "95"))
    assert refusal(before, ask("LIMIT", "BUY", "1", "95")) == ("-2010", "Duplicate order sent.")
    after, _ = cancel(before, "BTCUSDT", "a", START_MS)
    assert put(after, ask("LIMIT", "BUY", "1", "95")).open


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (ask("LIMIT", "BUY", "1", "95.001"), "PRICE_FILTER"),
        (ask("LIMIT", "BUY", "1", "600"), "PERCENT_PRICE_BY_SIDE"),
        (ask("LIMIT", "BUY", "1", "19"), "PERCENT_PRICE_BY_SIDE"),
        (ask("LIMIT", "BUY", "0.0015", "95"), "LOT_SIZE"),
        (ask("MARKET", "BUY", "0.0005"), "LOT_SIZE"),
        (ask("LIMIT", "BUY", "0.01", "95"), "NOTIONAL"),
        (ask("MARKET", "BUY", "0.01"), "NOTIONAL"),
    ],
)
def test_filters_refuse_by_name(order, name):
    """Each of the exchange's filters answers with its own name."""
    assert refusal(venue(USDT="1000"), order) == ("-1013", f"Filter failure: {name}")


def test_the_market_lot_filter_caps_market_orders_only():
    """A size too big for a market order may still be a limit order."""
    terms = with_rules(market_qty_max=D(1))
    said = refusal(venue(USDT="1000"), ask("MARKET", "BUY", "2"), terms=terms)
    assert said == ("-1013", "Filter failure: MARKET_LOT_SIZE")
    assert put(venue(USDT="1000"), ask("LIMIT", "BUY", "2", "95"), terms=terms).open


def test_open_orders_and_stops_are_counted():
    """The exchange allows so many orders, and fewer stops."""
    terms = with_rules(orders_max=2, stops_max=1)
    before = put(venue(BTC="9"), ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95", name="s"), terms=terms)
    another = ask("STOP_LOSS_LIMIT", "SELL", "1", "94", "95", name="s2")
    assert refusal(before, another, terms=terms)[1] == "Filter failure: MAX_NUM_ALGO_ORDERS"
    before = put(before, ask("LIMIT", "SELL", "1", "110"), terms=terms)
    assert refusal(before, ask("LIMIT", "SELL", "1", "110", name="c"), terms=terms)[1] == (
        "Filter failure: MAX_NUM_ORDERS"
    )


def test_cancelling_gives_the_money_back():
    """A cancelled order locks nothing; cancelling it twice is refused."""
    before = put(venue(USDT="1000"), ask("LIMIT", "BUY", "2", "95"))
    after, _ = cancel(before, "BTCUSDT", "a", START_MS)
    assert after.balances["USDT"] == Balance(D(1000), D(0))
    assert ended(after, "a").status is Status.CANCELED
    with pytest.raises(Refused) as caught:
        cancel(after, "BTCUSDT", "a", START_MS)
    assert (caught.value.code, caught.value.user_text) == ("-2011", "Unknown order sent.")


def test_an_order_does_not_meet_a_bar_that_closed_before_it_was_placed():
    """The past cannot fill an order of today."""
    after, _ = place(venue(USDT="1000"), ask("LIMIT", "BUY", "1", "95"), QUOTE, TERMS, START_MS + 3_600_000)
    assert not trades(on_bar(after, bar("100 101 90 99"), TERMS)[1])


def test_a_bar_without_volume_fills_nothing():
    """Zero volume beside an outage is no market."""
    before = put(venue(USDT="1000"), ask("LIMIT", "BUY", "1", "95"))
    assert not play(before, bar("90 90 90 90", volume="0"))[1]


def test_a_halted_symbol_takes_no_orders():
    """A symbol that does not trade says so."""
    halted = replace(TERMS.rules.instrument, status="BREAK")
    terms = Terms(replace(TERMS.rules, instrument=halted), FREE, EVEN)
    assert refusal(venue(USDT="1000"), ask("LIMIT", "BUY", "1", "95"), terms=terms) == ("-1013", "Market is closed.")
