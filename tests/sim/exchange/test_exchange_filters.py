"""Filters of a symbol: shown, enforced, and changed while it is traded."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.decide.venue import ListPlacement, Placement, Rules
from core.domain.errors import Refused
from core.domain.orders import OrderKind, Side
from tests.sim.exchange.exchange_rig import exchange, served

D = Decimal


def market(name="m", side=Side.BUY, qty="0.1"):
    return Placement("BTCUSDT", side, OrderKind.MARKET, name, qty=D(qty))


def test_a_market_order_knows_its_own_step():
    """MARKET_LOT_SIZE may have a step where LOT_SIZE has a finer one; 0 is none."""
    found = exchange()
    found.set_rules("BTCUSDT", market_step=D("0.01"))
    with pytest.raises(Refused, match="MARKET_LOT_SIZE"):
        found.submit(market(qty="0.015"))
    found.set_rules("BTCUSDT", market_step=D(0))
    assert found.submit(market(qty="0.015"))


def test_the_orders_of_a_list_count_together():
    """Two more stops than allowed, one list too many: refused before anything exists."""
    found = exchange()
    found.submit(market())

    def pair(name):
        last = D(str(found.tape.last("BTCUSDT")))
        stop, low, high = ((last * D(s)).quantize(D(1)) for s in ("0.9", "0.85", "1.2"))
        kind = OrderKind.STOP_LOSS_LIMIT
        legs = (
            Placement("BTCUSDT", Side.SELL, kind, f"{name}s", D("0.01"), None, low, stop),
            Placement("BTCUSDT", Side.SELL, OrderKind.LIMIT_MAKER, f"{name}t", D("0.01"), None, high),
        )
        return ListPlacement(name, legs)

    found.set_rules("BTCUSDT", lists_max=1)
    found.submit_list(pair("a"))
    for rule, changed in (
        ("MAX_NUM_ORDER_LISTS", {}),
        ("MAX_NUM_ALGO_ORDERS", {"stops_max": 1}),
        ("MAX_NUM_ORDERS", {"orders_max": 3}),
    ):
        found.set_rules("BTCUSDT", **changed)
        with pytest.raises(Refused, match=rule):
            found.submit_list(pair("b"))
    assert len(found.venue.open["BTCUSDT"]) == 2


def test_the_price_bands_differ_by_side():
    """PERCENT_PRICE_BY_SIDE: four multipliers of the market's price, each on its own."""
    found = exchange()
    found.submit(market())
    bands = {"buy_price_min": D("0.8"), "buy_price_max": D("1.1"), "sell_price_min": D("0.7"), "sell_price_max": D(2)}
    found.set_rules("BTCUSDT", **bands)
    last = D(str(found.tape.last("BTCUSDT")))

    def answer(side, share):
        name = f"{side}{share}".replace(".", "-")
        price = (last * D(share)).quantize(D(1))
        try:
            found.submit(Placement("BTCUSDT", Side(side), OrderKind.LIMIT, name, D("0.001"), None, price))
        except Refused as refused:
            return refused.user_text
        return ""

    refusal = "Filter failure: PERCENT_PRICE_BY_SIDE"
    asked = [("BUY", "0.79"), ("BUY", "0.81"), ("BUY", "1.09"), ("BUY", "1.11")]
    asked += [("SELL", "0.69"), ("SELL", "0.71"), ("SELL", "1.99"), ("SELL", "2.01")]
    assert [answer(*one) for one in asked] == [refusal, "", "", refusal] * 2


async def test_every_filter_is_told_and_follows_the_rules():
    """What exchangeInfo says is what is enforced, trailing and lists included."""
    async with served() as (found, plain):

        async def shown():
            (symbol,) = (await plain.get("/api/v3/exchangeInfo", symbol="BTCUSDT"))["symbols"]
            return symbol, {f["filterType"]: f for f in symbol["filters"]}

        symbol, filters = await shown()
        assert (symbol["otoAllowed"], symbol["ocoAllowed"], symbol["allowTrailingStop"]) == (True, True, True)
        assert set(filters) == {
            "PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL", "MAX_NUM_ORDERS",
            "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ORDER_LISTS", "TRAILING_DELTA",
        }  # fmt: skip
        assert filters["TRAILING_DELTA"]["maxTrailingBelowDelta"] == 2000
        found.set_rules("BTCUSDT", trail_max_bips=0, lists=False, sell_price_min=D("0.9"), market_step=D("0.01"))
        symbol, filters = await shown()
        assert (symbol["otoAllowed"], symbol["allowTrailingStop"], "TRAILING_DELTA" in filters) == (False, False, False)
        assert filters["PERCENT_PRICE_BY_SIDE"]["askMultiplierDown"] == "0.9"
        assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.01000000"


def test_every_rule_of_the_venue_can_be_changed():
    """Nothing about a symbol is fixed but its name."""
    found = exchange()
    now = found.terms("BTCUSDT").rules
    found.set_rules("BTCUSDT", buy_price_min=D("0.5"), notional_min_applies_to_market=False)
    assert found.terms("BTCUSDT").rules == Rules(
        now.instrument, buy_price_min=D("0.5"), notional_min_applies_to_market=False
    )


async def test_a_coarser_tick_is_the_books_own_at_once():
    """Prices that are shown can be asked for: the book stands on the grid that holds now."""
    async with served() as (found, plain):
        found.set_rules("BTCUSDT", tick=D("0.5"))
        best = await plain.get("/api/v3/ticker/bookTicker", symbol="BTCUSDT")
        assert [D(best[side]) % D("0.5") for side in ("bidPrice", "askPrice")] == [0, 0]
        assert best["bidPrice"] != best["askPrice"]
