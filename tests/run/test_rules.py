"""The exchange's rules are read again before they are needed, and told only where they changed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain import events as ev
from core.domain.errors import BadData, OutcomeUnknown, RetryLater
from core.domain.orders import OrderState, Purpose
from core.run.rules import FRESH_FOR, Rules
from tests.run.fakes import ListMarket
from tests.run.samples import bar
from tests.run.shell import Shell, kinds, shell

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def rules_of(one: Shell) -> tuple[Rules, ListMarket]:
    """Rules read from a market that holds two symbols."""
    market = ListMarket(one.clock, {symbol: [bar(0, symbol=symbol)] for symbol in SYMBOLS})
    return Rules(one.engine, market, one.clock, SYMBOLS, "USDT"), market


async def test_rules_are_posted_when_new_and_when_changed_and_not_otherwise():
    """A changed filter is known before the next button; no news costs no line in the journal."""
    async with shell() as one:
        rules, market = rules_of(one)
        await rules.read()
        await rules.read()
        assert kinds(one.journal) == ["InstrumentsSeen"]
        market.rules["ETHUSDT"] = replace(market.rules["ETHUSDT"], notional_min=Decimal(10))
        await rules.read()
        assert one.state.instruments["ETHUSDT"].notional_min == 10
    assert kinds(one.journal) == ["InstrumentsSeen"] * 2


async def test_rules_that_were_just_read_are_not_read_again():
    """Whoever needs them asks for fresh ones; the exchange is asked once in a while."""
    async with shell() as one:
        rules, market = rules_of(one)
        await rules.freshen()
        market.rules["ETHUSDT"] = replace(market.rules["ETHUSDT"], status="BREAK")
        one.clock.at += FRESH_FOR / 2
        await rules.freshen()
        assert one.state.instruments["ETHUSDT"].status == "TRADING"
        one.clock.at += FRESH_FOR / 2
        await rules.freshen()
        assert one.state.instruments["ETHUSDT"].status == "BREAK"


@pytest.mark.parametrize("trouble", [RetryLater("busy"), OutcomeUnknown("no answer"), BadData("no rules")])
async def test_rules_that_cannot_be_read_leave_the_last_ones_and_are_asked_for_the_next_time(trouble):
    """The exchange itself still refuses what old rules would let through."""
    async with shell() as one:
        rules, market = rules_of(one)
        await rules.read()
        market.down[""] = trouble
        one.clock.at += FRESH_FOR
        await rules.freshen()
        assert set(one.state.instruments) == set(SYMBOLS)
        market.down.clear()
        market.rules["ETHUSDT"] = replace(market.rules["ETHUSDT"], status="BREAK")
        await rules.freshen()
        assert one.state.instruments["ETHUSDT"].status == "BREAK"


async def test_a_pair_paid_in_another_asset_is_named():
    """Prices in another money would size everything wrongly."""
    async with shell() as one:
        rules, market = rules_of(one)
        market.rules["ETHUSDT"] = replace(market.rules["ETHUSDT"], quote="BTC")
        with pytest.raises(BadData, match="ETHUSDT is paid in BTC"):
            await rules.read()
    assert kinds(one.journal) == []


async def test_new_rules_touch_no_position_that_stands_well():
    """A filter that changed elsewhere moves no stop."""
    async with shell() as one:
        await one.open(lists=True)
        await one.look(0)
        sent = list(one.exchange.sent)
        changed = replace(one.state.instruments["BTCUSDT"], orders_max=100)
        await one.engine.post(ev.InstrumentsSeen(one.clock.now(), "rules", {"BTCUSDT": changed}))
        await one.settled()
        assert one.order(Purpose.STOP).state is OrderState.OPEN
    assert one.exchange.sent == sent
