"""The paper twin's account: what it begins with is kept, and money can be moved while orders stand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import StoreUnusable
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.sim.twin import TwinBroker, open_twin
from tests.run.fakes import HandClock, MemoryJournal
from tests.run.samples import HOUR, START
from tests.run.twin_world import Shelf, Street

D = Decimal
amounts = st.decimals(D(-20_000), D(20_000), places=2)


@pytest.fixture
def shelf():
    return Shelf(MemoryJournal())


async def account(shelf: Shelf, balances: Mapping[str, Decimal] | None = None) -> TwinBroker:
    clock = HandClock()
    street = Street(clock, "BTCUSDT")
    return await open_twin(street, clock, HOUR, balances or {"USDT": D(10_000)}, save=shelf.save, load=shelf.load)


def resting(price: str = "90", qty: str = "10") -> Order:
    """A limit buy far under the market, which holds 900 USDT."""
    return Order(
        "fm-BTCUSDT-1-e0",
        "BTCUSDT",
        Side.BUY,
        OrderKind.LIMIT,
        Purpose.ENTRY,
        D(qty),
        START,
        price=D(price),
        state=OrderState.PLANNED,
    )


async def test_what_it_began_with_outlives_a_restart_before_the_first_order(shelf):
    """Live earned money in between: the twin still has what it had."""
    await account(shelf, {"USDT": D(500), "BTC": D(1), "DUST": D(0)})
    again = await account(shelf, {"USDT": D(99_999)})
    assert await again.balances() == {"USDT": D(500), "BTC": D(1)}


async def test_a_transfer_is_kept(shelf):
    """Paid in and out, the account is found as it was left."""
    first = await account(shelf)
    assert await first.transfer("USDT", D(250)) == D(250)
    assert await first.transfer("BNB", D(2)) == D(2)
    assert await first.transfer("USDT", D(-50)) == D(-50)
    assert await (await account(shelf)).balances() == {"USDT": D(10_200), "BNB": D(2)}


async def test_no_more_is_paid_out_than_is_free(shelf):
    """What an open order holds stays, and the order with it."""
    twin = await account(shelf)
    await twin.submit(resting())
    assert await twin.transfer("USDT", D(-50_000)) == D(-9100)
    assert await twin.balances() == {"USDT": D(900)}
    assert len(await twin.open_orders("BTCUSDT")) == 1
    assert await twin.transfer("USDT", D(-1)) == 0


@given(st.lists(amounts, max_size=12))
async def test_money_adds_up_whatever_is_moved(moves):
    """The account holds what it began with and what was moved, to the last unit, and is never overdrawn."""
    twin = await account(Shelf(MemoryJournal()))
    moved = [await twin.transfer("USDT", amount) for amount in moves]
    total = (await twin.balances()).get("USDT", D(0))
    assert total == 10_000 + sum(moved) >= 0
    assert all(got == asked or asked < got <= 0 for got, asked in zip(moved, moves, strict=True))


async def test_a_book_that_cannot_be_read_is_told(shelf):
    """Half a file is not guessed at."""
    await shelf.save(b'{"venue":')
    with pytest.raises(StoreUnusable, match="remove its folder"):
        await account(shelf)
