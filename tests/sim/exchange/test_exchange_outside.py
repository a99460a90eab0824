"""What others do to the account and its rules while we trade: core.sim.exchange.standing, outside and world."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.decide.costs import Fees
from core.decide.venue import Placement
from core.domain.errors import BadData, Refused
from core.domain.orders import OrderKind, Side, Tif
from core.sim.exchange.standing import key_print
from core.sim.exchange.world import SimExchange
from tests.sim.exchange.exchange_rig import BALANCES, KEY, SECRET, exchange, served

D = Decimal
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def market(name="m", side=Side.BUY, qty="0.1"):
    return Placement("BTCUSDT", side, OrderKind.MARKET, name, qty=D(qty))


def resting(found, name="r", share="0.9"):
    price = (D(str(found.tape.last("BTCUSDT"))) * D(share)).quantize(D(1))
    return Placement("BTCUSDT", Side.BUY, OrderKind.LIMIT, name, D("0.1"), None, price)


def trailing(found, name="t"):
    price = (D(str(found.tape.last("BTCUSDT"))) * D("0.5")).quantize(D(1))
    kind = OrderKind.STOP_LOSS_LIMIT
    return Placement("BTCUSDT", Side.SELL, kind, name, D("0.05"), None, price, None, Tif.GTC, 500)


def a_whole_life(found):
    """Every kind of input there is."""
    found.submit(market())
    found.deposit("USDT", D(500))
    found.submit(trailing(found))
    found.advance()
    found.withdraw("USDT", D("0.5"))
    found.foreign_order(market("mine-no-more"))
    found.set_rules("BTCUSDT", notional_min=D(20), lists_max=3, orders_max=50)
    found.advance()
    found.set_fees(Fees(D("0.0002"), D("0.0004"), {"USDT": D(500)}))
    found.deposit("BNB", D(1))
    found.submit(resting(found))
    found.set_status("ETHUSDT", "HALT")
    found.set_rights(enableWithdrawals=True)
    found.cancel("BTCUSDT", "r")
    found.submit(market("later"))
    found.revoke_key()
    for _ in range(20):
        found.advance()


def picture(found):
    terms = {s: found.terms(s) for s in found.market.symbols}
    history = found.history
    return found.now(), found.venue, history.orders, history.every_trade, history.transfers, terms, found.rights


def test_a_start_finds_every_change_from_outside_again(tmp_path):
    """Transfers, foreign orders, rules, fees, rights, a revoked key, a trailed stop: all back from the log."""
    path = tmp_path / "inputs.jsonl"
    first = exchange(path=path)
    a_whole_life(first)
    again = exchange(path=path)
    assert picture(again) == picture(first)
    assert (first.keys, again.keys) == ({}, {})
    assert KEY not in path.read_text()
    assert key_print(KEY) in path.read_text()


def test_money_adds_up_over_trades_fees_and_transfers():
    """What is there is what was there, plus transfers, plus what trades brought and took, in every asset."""
    found = exchange()
    a_whole_life(found)
    expected = dict(BALANCES)
    for moved in found.history.transfers:
        expected[moved.asset] = expected.get(moved.asset, D(0)) + moved.amount
    for trade in found.history.every_trade:
        sign = 1 if trade.side is Side.BUY else -1
        for asset, amount in (
            ("BTC", sign * trade.qty),
            ("USDT", -sign * trade.qty * trade.price),
            (trade.fee_asset, -trade.fee),
        ):
            expected[asset] = expected.get(asset, D(0)) + amount
    assert found.totals() == {asset: amount for asset, amount in expected.items() if amount}
    assert {t.fee_asset for t in found.history.every_trade} == {"BTC", "BNB"}


def test_what_is_locked_cannot_be_withdrawn():
    """Money in an open order stays; the refusal changes nothing."""
    found = exchange()
    found.submit(resting(found))
    free = found.venue.balances["USDT"].free
    with pytest.raises(Refused, match="insufficient"):
        found.withdraw("USDT", free + 1)
    assert not found.history.transfers
    found.withdraw("USDT", free)
    assert found.venue.balances["USDT"].free == 0
    with pytest.raises(BadData, match="above 0"):
        found.deposit("USDT", D(0))


def test_a_foreign_order_never_bears_our_name():
    """A sale by hand has a client id of the exchange's own."""
    found = exchange()
    found.submit(market("fm-1"))
    found.foreign_order(market("fm-1", Side.SELL, "0.05"))
    ours, theirs = found.history.orders.values()
    assert (ours.client_id, theirs.client_id) == ("fm-1", "web_2")
    assert found.history.named("fm-1") == (ours,)


def test_a_name_used_again_is_told_twice():
    """A market order fills at once, so the exchange takes the same client id again: the truth shows both."""
    found = exchange()
    for _ in range(2):
        found.submit(market("twice"))
    assert [o.order_id for o in found.history.named("twice")] == [1, 2]
    assert found.history.named("never") == ()


def test_a_halted_symbol_takes_no_order_fills_none_and_lets_cancel():
    """The price falls through a resting order while nobody trades; afterwards the order is still there."""
    found = exchange()
    last, opens, hour = D(str(found.tape.last("BTCUSDT"))), found.tape.bar_ms, found.market.span_ms
    lowest = min(D(str(found.market.row("BTCUSDT", opens + i * hour).low)) for i in range(100))
    assert lowest < last
    found.submit(replace(resting(found), price=((lowest + last) / 2).quantize(D(1))))
    found.set_status("BTCUSDT", "HALT")
    with pytest.raises(Refused, match="Market is closed") as refused:
        found.submit(market("late"))
    assert refused.value.code == "-1013"
    for _ in range(100):
        found.advance()
    assert [o.client_id for o in found.venue.open["BTCUSDT"]] == ["r"]
    found.cancel("BTCUSDT", "r")
    found.set_status("BTCUSDT", "TRADING")
    assert found.submit(market("again"))


def test_rules_change_while_orders_rest():
    """A larger minimum holds for the next order; what rests, rests. A rule nobody knows is refused."""
    found = exchange()
    found.submit(resting(found, "small"))
    found.set_rules("BTCUSDT", notional_min=D(1_000_000))
    with pytest.raises(Refused, match="NOTIONAL"):
        found.submit(resting(found, "next"))
    assert [o.client_id for o in found.venue.open["BTCUSDT"]] == ["small"]
    for wrong in ({"colour": "red"}, {"base": "X"}):
        with pytest.raises(BadData, match="is no rule"):
            found.set_rules("BTCUSDT", **wrong)
    with pytest.raises(BadData, match="is no right"):
        found.set_rights(enableFlying=True)


async def test_every_change_can_be_asked_for_over_the_wire():
    """A driver outside the process can do to the account what the world does, and read the truth."""
    async with served() as (found, plain):

        async def post(path, **params):
            status, _, body = await plain.ask("POST", f"/sim/v1/{path}", **params)
            assert status == 200, body
            return body

        await post("deposit", asset="BNB", amount="2")
        assert (await post("withdraw", asset="USDT", amount="1"))["totals"] == {"USDT": "99999", "BNB": "2"}
        await post("fees", taker="0.002", bnbPrice="400")
        assert (await post("foreign_order", **BUY))["clientOrderId"] == "web_1"
        await post("rules", symbol="BTCUSDT", notional_min="50", stops_max=2, lists="false")
        await post("status", symbol="ETHUSDT", status="BREAK")
        assert (await post("rights", enableFutures="true"))["enableFutures"] is True
        rules = found.terms("BTCUSDT").rules
        assert rules == replace(
            rules, instrument=replace(rules.instrument, notional_min=D(50), stops_max=2, lists=False)
        )
        assert found.terms("ETHUSDT").instrument.status == "BREAK"
        truth = await plain.get("/sim/v1/truth")
        assert [(o["clientOrderId"], o["status"]) for o in truth["orders"]] == [("web_1", "FILLED")]
        assert [(t["commissionAsset"], t["clientOrderId"]) for t in truth["trades"]] == [("BNB", "web_1")]
        assert [(t["asset"], t["amount"]) for t in truth["transfers"]] == [
            ("BNB", "2.00000000"),
            ("USDT", "-1.00000000"),
        ]
        await post("revoke_key")
        assert (await plain.signed("GET", "/api/v3/account"))[2]["code"] == -2015


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("deposit", {"asset": "USDT", "amount": "0"}),
        ("withdraw", {"asset": "USDT", "amount": "1000000"}),
        ("rules", {"symbol": "BTCUSDT"}),
        ("rules", {"symbol": "BTCUSDT", "lists": "maybe"}),
        ("rights", {}),
        ("status", {"symbol": "NOPE", "status": "HALT"}),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(path, params):
    """One line that says why, and nothing changed."""
    async with served() as (found, plain):
        status, _, body = await plain.ask("POST", f"/sim/v1/{path}", **params)
        assert status == 400
        assert body["msg"]
        assert (found.totals(), found.history.transfers) == (BALANCES, [])


async def test_a_key_without_a_right_is_answered_like_none():
    """-2015 for trading without the right to trade, for reading without the right to read; rights can still be read."""
    async with served() as (found, plain):
        found.set_rights(enableSpotAndMarginTrading=False)
        assert (await plain.error("POST", "/api/v3/order", **BUY))[:2] == (401, -2015)
        assert (await plain.signed("GET", "/api/v3/account"))[0] == 200
        found.set_rights(enableReading=False)
        assert (await plain.error("GET", "/api/v3/account"))[:2] == (401, -2015)
        _, _, rights = await plain.signed("GET", "/sapi/v1/account/apiRestrictions")
        assert (rights["enableReading"], rights["enableSpotAndMarginTrading"], rights["ipRestrict"]) == (
            False,
            False,
            True,
        )
        assert not found.history.orders


def test_a_key_that_was_taken_back_does_not_come_back_with_a_start(tmp_path):
    """Started again with the old key and a new one, only the new one opens."""
    path = tmp_path / "inputs.jsonl"
    first = exchange(path=path)
    first.revoke_key()
    first.close()
    again = exchange(path=path)
    assert again.keys == {}
    again.close()
    keys = {KEY: SECRET, "FAKE-KEY-new": SECRET}
    renewed = SimExchange(again.market, start=again.now(), speed=None, keys=keys, balances=BALANCES, path=path)
    assert renewed.keys == {"FAKE-KEY-new": SECRET}
