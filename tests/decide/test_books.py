"""Money to the last unit: hundreds of fills, fees in three assets, dust, trades by hand and transfers."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random

import pytest

from core.domain.market import ZERO
from core.domain.orders import Side
from tests.decide.story import INITIAL, PLAYS, Story, draw, settle_accounts

FILLS = 200
# a busy account: mostly trades, many of them in pieces, with everything else in between
BUSY = {
    "bars": 8,
    "work": 12,
    "trade": 16,
    "look": 6,
    "end": 1,
    "approve": 1,
    "tick": 1,
    "stop": 1,
    "transfer": 2,
    "by hand": 6,
    "balances": 3,
}


def busy_life(dice: Random, fills: int, *, alone: bool = False) -> Story:
    """A life until that many trades have happened and were looked at; ``alone`` nobody else touches the account."""
    story = Story(True, dice)
    moves = {move: weight for move, weight in BUSY.items() if not (alone and move in ("transfer", "by hand"))}
    while len(story.exchange.trades) < fills:
        PLAYS[draw(dice, moves)](story, dice)
    settle_accounts(story)
    return story


def ledger(story: Story) -> dict[str, Decimal]:
    """What the account must hold by the exchange's own list of trades, fees and transfers, counted apart from it."""
    total: dict[str, Decimal] = defaultdict(Decimal, INITIAL)
    for asset, amount in story.moved.items():
        total[asset] += amount
    for fill in story.exchange.trades:
        sign = 1 if fill.side is Side.BUY else -1
        total[fill.symbol.removesuffix("USDT")] += sign * fill.qty
        total["USDT"] -= sign * fill.qty * fill.price
        total[fill.fee_asset] -= fill.fee
    return {asset: amount for asset, amount in total.items() if amount}


@pytest.mark.parametrize("seed", range(3))
def test_books_and_exchange_agree_to_the_last_unit_of_every_asset(seed: int):
    """After hundreds of trades of every kind, our books, the exchange and its list of trades hold the same."""
    story = busy_life(Random(seed), FILLS)
    ours = {asset: amount for asset, amount in story.state.balances.items() if amount}
    theirs = {asset: amount for asset, amount in story.exchange.held.items() if amount}
    assert ours == theirs == ledger(story)
    assert len({fill.fee_asset for fill in story.exchange.trades}) >= 3
    assert any(not fill.client_id.startswith("fm-") for fill in story.exchange.trades)
    assert any(trade.dust for trade in story.closed())


@pytest.mark.parametrize("seed", range(2))
def test_every_closed_trade_adds_up_by_its_own_fills(seed: int):
    """What was bought is what was sold, what paid fees in the coin itself, and the dust that was named."""
    story = busy_life(Random(100 + seed), FILLS, alone=True)
    assert len(story.closed()) > 3
    for trade in story.closed():
        fills = [fill for fill in story.exchange.trades if trade.intent in fill.client_id]
        base = trade.symbol.removesuffix("USDT")
        bought = sum((fill.qty for fill in fills if fill.side is Side.BUY), ZERO)
        sold = sum((fill.qty for fill in fills if fill.side is Side.SELL), ZERO)
        paid = sum((fill.fee for fill in fills if fill.fee_asset == base), ZERO)
        assert bought == trade.qty
        assert trade.dust == max(ZERO, bought - sold - paid)
        assert dict(trade.fees).get(base, ZERO) == paid
