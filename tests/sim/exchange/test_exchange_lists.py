"""Entries that bring their protection, trailing stops, and races of cancels with fills, as clients see them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.decide.costs import Fees, Fills
from core.decide.venue import Placement
from core.domain.market import ZERO
from core.domain.orders import OrderKind, Side
from core.sim.exchange.user_stream import account_events
from core.sim.exchange.world import SimExchange
from tests.sim.exchange.exchange_rig import BALANCES, KEY, SECRET, START, seeded, served

D = Decimal
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}


def shares(found, **wanted):
    """Prices as shares of the last one, on the tick."""
    last = D(str(found.tape.last("BTCUSDT")))
    return {name: f"{last * D(share):.2f}" for name, share in wanted.items()}


def bracket(found, limit="1.002", quantity="0.0999", **changed):
    asked = {
        "symbol": "BTCUSDT", "listClientOrderId": "list", "workingType": "LIMIT", "workingSide": "BUY",
        "workingClientOrderId": "entry", "workingQuantity": "0.1", "workingTimeInForce": "FOK", "pendingSide": "SELL",
        "pendingQuantity": quantity, "pendingAboveType": "LIMIT_MAKER", "pendingAboveClientOrderId": "target",
        "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowClientOrderId": "stop", "pendingBelowTimeInForce": "GTC",
        **shares(found, workingPrice=limit, pendingAbovePrice="1.3", pendingBelowStopPrice="0.8",
                 pendingBelowPrice="0.5"),
        **changed,
    }  # fmt: skip
    return {name: value for name, value in asked.items() if value}


async def test_an_entry_fills_whole_and_stands_protected_in_one_answer():
    """Before the answer leaves, the pair is live with its own ids and the list runs."""
    async with served() as (found, plain):
        status, headers, answer = await plain.signed("POST", "/api/v3/orderList/otoco", **bracket(found))
        assert (status, headers["X-MBX-ORDER-COUNT-10S"]) == (200, "3")
        assert (answer["contingencyType"], answer["listOrderStatus"]) == ("OTO", "EXECUTING")
        reports = {r["clientOrderId"]: r for r in answer["orderReports"]}
        assert {name: r["status"] for name, r in reports.items()} == {"entry": "FILLED", "stop": "NEW", "target": "NEW"}
        assert reports["entry"]["timeInForce"] == "FOK"
        assert found.venue.balances["BTC"].locked == D("0.0999")


async def test_an_entry_that_does_not_fill_ends_with_all_it_would_have_brought():
    """EXPIRED three times, the list is done, nothing is open or locked."""
    async with served() as (found, plain):
        _, _, answer = await plain.signed("POST", "/api/v3/orderList/otoco", **bracket(found, limit="0.99"))
        assert answer["listOrderStatus"] == "ALL_DONE"
        assert [r["status"] for r in answer["orderReports"]] == ["EXPIRED"] * 3
        assert (await plain.signed("GET", "/api/v3/openOrders"))[2] == []
        assert found.totals() == BALANCES


async def test_a_list_sent_again_proves_that_it_stands():
    """The names of the open legs are taken: Duplicate order sent."""
    async with served() as (found, plain):
        asked = bracket(found)
        await plain.signed("POST", "/api/v3/orderList/otoco", **asked)
        assert await plain.error("POST", "/api/v3/orderList/otoco", **asked) == (400, -2010, "Duplicate order sent.")
        assert len(found.history.orders) == 3


async def test_a_trailing_leg_shows_how_far_and_since_when_it_follows():
    """trailingDelta and trailingTime in the answer, the order and openOrders."""
    async with served() as (found, plain):
        asked = bracket(found, pendingBelowStopPrice="", pendingBelowTrailingDelta="500")
        _, _, answer = await plain.signed("POST", "/api/v3/orderList/otoco", **asked)
        stop = next(r for r in answer["orderReports"] if r["clientOrderId"] == "stop")
        assert (stop["trailingDelta"], stop["trailingTime"]) == (500, found.tape.now_ms)
        found.advance()
        one = (await plain.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="stop"))[2]
        open_ones = (await plain.signed("GET", "/api/v3/openOrders"))[2]
        assert one in open_ones
        assert (one["trailingDelta"], one["stopPrice"]) == (500, "0.00000000")


async def test_a_trailing_order_that_waits_for_its_price_says_so():
    """trailingTime is -1 until the market met the stop price, and the moment of it afterwards."""
    async with served() as (found, plain):
        await plain.signed("POST", "/api/v3/order", **BUY)
        price = shares(found, price="0.5", stopPrice="0.9999")
        asked = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC",
                 "quantity": "0.05", "trailingDelta": "2000", "newClientOrderId": "t", **price}  # fmt: skip
        await plain.signed("POST", "/api/v3/order", **asked)

        async def since():
            shown = (await plain.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="t"))[2]
            return shown["trailingTime"]

        assert await since() == -1
        while D(str(found.market.row("BTCUSDT", found.tape.bar_ms).low)) > D(price["stopPrice"]):
            found.advance()
        met_in = found.tape.bar_ms
        found.advance()
        assert await since() == met_in + found.market.span_ms


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"pendingBelowStopPrice": ""}, -1102),
        ({"pendingBelowTrailingDelta": "1"}, -1013),
        ({"pendingAboveTrailingDelta": "100"}, -1106),
        ({"pendingAboveType": "LIMIT", "pendingAboveTimeInForce": "GTC"}, -1158),
        ({"workingType": "MARKET", "workingPrice": "", "workingTimeInForce": ""}, -1116),
        ({"workingTimeInForce": ""}, -1102),
        ({"pendingQuantity": "0.000001"}, -1013),
        ({"pendingQuantity": ""}, -1102),
    ],
)
async def test_a_wrong_list_gets_the_exchanges_own_code_and_buys_nothing(change, code):
    """A mistake in any leg refuses the whole."""
    async with served() as (found, plain):
        assert (await plain.error("POST", "/api/v3/orderList/otoco", **bracket(found, **change)))[:2] == (400, code)
        assert not found.history.orders


async def test_legs_on_the_wrong_side_have_their_own_codes():
    """A seller's limit belongs above, its stop loss below."""
    async with served() as (found, plain):
        await plain.signed("POST", "/api/v3/order", **BUY)
        wrong = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.05", "belowType": "LIMIT_MAKER",
                 "aboveType": "STOP_LOSS_LIMIT", "aboveTimeInForce": "GTC",
                 **shares(found, belowPrice="1.2", abovePrice="0.5", aboveStopPrice="0.8")}  # fmt: skip
        assert (await plain.error("POST", "/api/v3/orderList/oco", **wrong))[1] == -1166


async def test_a_cancelled_list_names_its_orders_as_they_were():
    """clientOrderId is the request's, origClientOrderId the order's."""
    async with served() as (found, plain):
        await plain.signed("POST", "/api/v3/orderList/otoco", **bracket(found))
        path = "/api/v3/order"
        _, _, answer = await plain.signed(
            "DELETE", path, symbol="BTCUSDT", origClientOrderId="stop", newClientOrderId="c"
        )
        assert answer["listOrderStatus"] == "ALL_DONE"
        assert {(r["origClientOrderId"], r["clientOrderId"], r["status"]) for r in answer["orderReports"]} == {
            ("stop", "c", "CANCELED"),
            ("target", "c", "CANCELED"),
        }


async def test_a_cancel_that_comes_after_the_fill_is_refused():
    """-2011: who reads the order then sees it filled."""
    async with served() as (found, plain):
        await plain.signed("POST", "/api/v3/orderList/otoco", **bracket(found))
        while found.venue.open:
            found.advance()
        for name in ("stop", "target", "entry"):
            path, asked = "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": name}
            assert (await plain.error("DELETE", path, **asked))[1] == -2011
        assert (await plain.error("DELETE", "/api/v3/orderList", symbol="BTCUSDT", orderListId=1))[1] == -2011
        ended = {o.client_id: o.status.value for o in found.history.orders.values()}
        assert sorted(ended.values()) == ["EXPIRED", "FILLED", "FILLED"]


async def test_an_order_test_looks_at_no_balance():
    """A sale of a coin we do not hold passes order/test: only form and size are looked at."""
    async with served() as (found, plain):
        asked = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC",
                 "quantity": "0.05", **shares(found, price="0.5", stopPrice="0.8")}  # fmt: skip
        assert (await plain.signed("POST", "/api/v3/order/test", **asked))[2] == {}
        assert (await plain.error("POST", "/api/v3/order", **asked))[1] == -2010


def test_fills_in_pieces_pay_their_fees_in_bnb_one_by_one():
    """Each trade has its own fee; where the BNB ends, the rest is paid in the coin."""
    fees = Fees(bnb_prices={"USDT": D(500)})
    found = SimExchange(
        seeded(),
        start=START,
        speed=None,
        keys={KEY: SECRET},
        balances={"USDT": D(100_000), "BNB": D("0.005")},
        fees=fees,
        fills=Fills(pieces_max=20, seed=2),
    )
    found.submit(Placement("BTCUSDT", Side.BUY, OrderKind.MARKET, "m", qty=D("0.1")))
    made = found.history.every_trade
    assert len(made) > 5
    assert {t.fee_asset for t in made} == {"BNB", "BTC"}
    assert found.totals()["BTC"] == D("0.1") - sum((t.fee for t in made if t.fee_asset == "BTC"), ZERO)
    assert found.totals().get("BNB", ZERO) == D("0.005") - sum((t.fee for t in made if t.fee_asset == "BNB"), ZERO)


async def test_the_user_stream_tells_of_trailing():
    """d is the distance, D since when; an ordinary order has neither."""
    async with served() as (found, plain):
        told = []
        found.listeners.append((lambda moves: told.extend(account_events(found, moves)), lambda: None))
        asked = bracket(found, pendingBelowStopPrice="", pendingBelowTrailingDelta="500")
        await plain.signed("POST", "/api/v3/orderList/otoco", **asked)
        last = {e["c"]: e for e in told if e["e"] == "executionReport"}
        assert (last["stop"]["d"], last["stop"]["D"]) == (500, found.tape.now_ms)
        assert "d" not in last["target"]
