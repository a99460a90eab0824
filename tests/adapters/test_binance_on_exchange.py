"""The adapter against the simulated exchange: a whole small trading day through ccxt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.binance import Binance
from core.domain.errors import BadData, NeedsOwner, Refused, RetryLater
from core.domain.market import Instrument, to_ms
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side, Tif
from core.ports import Rights
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
SYMBOLS = ("BTCUSDT", "ETHUSDT")


class ExchangeClock:
    """The exchange's own time, as a demo has it."""

    speed = float("inf")

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange

    def now(self) -> datetime:
        """What its clock shows."""
        return self._exchange.now()


@pytest.fixture
def exchange() -> SimExchange:
    """An exchange whose time moves bar by bar."""
    market = SeededMarket(SYMBOLS, 7, 3_600_000, to_ms(START))
    money = {"USDT": Decimal(100_000), "BTC": Decimal(1)}
    return SimExchange(market, start=START, speed=None, keys={KEY: SECRET}, balances=money)


@pytest.fixture
async def url(exchange: SimExchange) -> AsyncIterator[str]:
    """Where it answers."""
    async with listening(exchange) as address:
        yield address


@pytest.fixture
async def binance(exchange: SimExchange, url: str) -> AsyncIterator[Binance]:
    """The adapter with the account's key."""
    adapter = Binance(url, ExchangeClock(exchange), KEY, SECRET, paced=False)
    yield adapter
    await adapter.close()


async def plan(binance: Binance, kind: OrderKind, side: Side, share: str = "1", **more: object) -> Order:
    """An order of about 1,000 USDT at ``share`` of the price now, on the exchange's grids."""
    rules = (await binance.instruments(["BTCUSDT"]))["BTCUSDT"]
    price = (await binance.quotes(["BTCUSDT"]))["BTCUSDT"].mid
    name = str(more.pop("name", "fm-1-e"))
    at = rules.round_price(price * Decimal(share)) if kind is not OrderKind.MARKET else None
    stop = rules.round_price(price * Decimal(str(more.pop("trigger")))) if "trigger" in more else None
    qty = rules.floor_qty(1000 / price)
    return Order(name, "BTCUSDT", side, kind, Purpose.ENTRY, qty, START, price=at, stop_price=stop)


async def test_bars_follow_the_exchanges_clock_and_are_the_markets_own(exchange: SimExchange, binance: Binance) -> None:
    """Each closed hour is there at once, the running one never."""
    for _ in range(3):
        exchange.advance()
        bars = await binance.bars("BTCUSDT", HOUR, None, 5)
        assert bars[-1].close_at == exchange.now()
        assert len(bars) == 5
    row = exchange.market.row("BTCUSDT", to_ms(bars[-1].open_at))
    assert row is not None
    assert float(bars[-1].close) == row.close


async def test_rules_and_quotes_are_readable(binance: Binance) -> None:
    """Ticks, lots and both sides of the book come as usable numbers."""
    rules = await binance.instruments(SYMBOLS)
    quotes = await binance.quotes(SYMBOLS)
    assert all(isinstance(rule, Instrument) and rule.tick > 0 for rule in rules.values())
    assert all(quote.bid < quote.ask for quote in quotes.values())
    assert len((await binance.depth("BTCUSDT", 5)).bids) == 5


async def test_an_unknown_symbol_is_refused_with_a_hint(binance: Binance) -> None:
    """The hint names what is traded there."""
    with pytest.raises(BadData, match="did you mean BTCUSDT"):
        await binance.instruments(["BTCUSD"])


async def test_a_market_order_fills_and_its_money_adds_up(exchange: SimExchange, binance: Binance) -> None:
    """Quantity, price and fee of the fills are the change of the balances, to the last unit."""
    before = await binance.balances()
    order = await plan(binance, OrderKind.MARKET, Side.BUY)
    report = await binance.submit(order)
    fills = await binance.trades("BTCUSDT", "")
    after = await binance.balances()
    assert (report.state, report.filled_qty) == (OrderState.FILLED, order.qty)
    assert {fill.client_id for fill in fills} == {"fm-1-e"}
    fees = {asset: sum(f.fee for f in fills if f.fee_asset == asset) for asset in ("BTC", "USDT")}
    assert after["BTC"] - before["BTC"] == sum(f.qty for f in fills) - fees["BTC"]
    assert before["USDT"] - after["USDT"] == sum(f.quote_qty for f in fills) + fees["USDT"]
    assert after == exchange.totals()


async def test_a_limit_order_rests_is_found_and_cancelled_once(binance: Binance) -> None:
    """Open, seen, gone; the second cancel finds nothing."""
    order = await plan(binance, OrderKind.LIMIT, Side.BUY, "0.8")
    assert (await binance.submit(order)).state is OrderState.OPEN
    assert [report.client_id for report in await binance.open_orders("BTCUSDT")] == ["fm-1-e"]
    await binance.cancel("BTCUSDT", "fm-1-e")
    found = await binance.find("BTCUSDT", "fm-1-e")
    assert found is not None
    assert (found.client_id, found.state) == ("fm-1-e", OrderState.CANCELED)
    with pytest.raises(Refused) as raised:
        await binance.cancel("BTCUSDT", "fm-1-e")
    assert raised.value.code == "-2011"
    assert await binance.find("BTCUSDT", "never-sent") is None


async def test_the_same_open_order_sent_again_is_adopted_not_doubled(binance: Binance) -> None:
    """The exchange's word that it has it already counts as having it."""
    order = await plan(binance, OrderKind.LIMIT, Side.BUY, "0.8")
    first, second = await binance.submit(order), await binance.submit(order)
    assert first.exchange_id == second.exchange_id
    assert len(await binance.open_orders("BTCUSDT")) == 1


async def test_a_protective_pair_stands_as_one_and_falls_as_one(binance: Binance) -> None:
    """Stop and target are both open; cancelling one takes the other along."""
    stop = await plan(binance, OrderKind.STOP_LOSS_LIMIT, Side.SELL, "0.89", trigger="0.9", name="fm-1-s")
    target = await plan(binance, OrderKind.LIMIT_MAKER, Side.SELL, "1.2", name="fm-1-t")
    reports = await binance.submit_pair(stop, target)
    assert [(r.client_id, r.state) for r in reports] == [("fm-1-s", OrderState.OPEN), ("fm-1-t", OrderState.OPEN)]
    assert len({report.list_id for report in reports}) == 1
    assert reports[0].list_id
    again = await binance.submit_pair(stop, target)
    assert [report.exchange_id for report in again] == [report.exchange_id for report in reports]
    await binance.cancel("BTCUSDT", "fm-1-s")
    assert await binance.open_orders("BTCUSDT") == []


async def bracket(binance: Binance, share: str) -> tuple[Order, Order, Order]:
    """An entry at ``share`` of the price, all at once or not at all, with the pair that protects it."""
    entry = replace(await plan(binance, OrderKind.LIMIT, Side.BUY, share), tif=Tif.FOK)
    stop = await plan(binance, OrderKind.STOP_LOSS_LIMIT, Side.SELL, "0.89", trigger="0.9", name="fm-1-s")
    target = await plan(binance, OrderKind.LIMIT_MAKER, Side.SELL, "1.2", name="fm-1-t")
    rules = (await binance.instruments(["BTCUSDT"]))["BTCUSDT"]
    kept = rules.floor_qty(entry.qty * Decimal("0.998"))
    return entry, replace(stop, qty=kept), replace(target, qty=kept)


async def test_an_entry_that_fills_is_protected_by_the_same_request(binance: Binance) -> None:
    """No moment between bought and protected, even if this process ends right here."""
    entry, stop, target = await bracket(binance, "1.01")
    reports = await binance.submit_bracket(entry, stop, target)
    assert [r.client_id for r in reports] == ["fm-1-e", "fm-1-s", "fm-1-t"]
    assert [r.state for r in reports] == [OrderState.FILLED, OrderState.OPEN, OrderState.OPEN]
    assert (reports[0].filled_qty, reports[1].qty) == (entry.qty, stop.qty)
    assert not any(report.waiting for report in reports)
    standing = await binance.open_orders()
    assert {r.client_id: (r.side, r.kind, r.qty) for r in standing} == {
        "fm-1-s": (Side.SELL, OrderKind.STOP_LOSS_LIMIT, stop.qty),
        "fm-1-t": (Side.SELL, OrderKind.LIMIT_MAKER, stop.qty),
    }


async def test_the_stop_of_an_entry_can_be_left_to_the_exchange_to_trail(binance: Binance) -> None:
    """It follows the price there, whether we run or not."""
    entry, stop, target = await bracket(binance, "1.01")
    rules = (await binance.instruments(["BTCUSDT"]))["BTCUSDT"]
    bips = max(rules.trail_min_bips, min(500, rules.trail_max_bips))
    reports = await binance.submit_bracket(entry, replace(stop, trail_bips=bips), target)
    assert (reports[0].state, reports[1].state) == (OrderState.FILLED, OrderState.OPEN)
    standing = {report.client_id: report for report in await binance.open_orders("BTCUSDT")}
    assert (standing["fm-1-s"].trail_bips, standing["fm-1-t"].trail_bips) == (bips, 0)


async def test_an_entry_that_cannot_fill_at_once_leaves_nothing_behind(binance: Binance) -> None:
    """All or nothing: no rest of it waits, and no protection of what was not bought."""
    before = await binance.balances()
    reports = await binance.submit_bracket(*await bracket(binance, "0.9"))
    assert reports[0].state is OrderState.EXPIRED
    assert await binance.open_orders() == []
    assert await binance.balances() == before


async def test_an_order_can_be_tried_out_and_nothing_is_placed(binance: Binance) -> None:
    """The exchange says what it would say, and forgets it."""
    order = await plan(binance, OrderKind.LIMIT, Side.BUY, "0.8")
    await binance.try_out(order)
    with pytest.raises(Refused, match="NOTIONAL"):
        await binance.try_out(replace(order, qty=Decimal("0.00001")))
    assert await binance.open_orders() == []
    assert await binance.find("BTCUSDT", order.client_id) is None


async def test_the_open_orders_of_every_symbol_come_in_one_answer(binance: Binance) -> None:
    """What the guard looks at every few seconds is one request, whatever is traded."""
    order = await plan(binance, OrderKind.LIMIT, Side.BUY, "0.8")
    rules = (await binance.instruments(["ETHUSDT"]))["ETHUSDT"]
    price = rules.round_price((await binance.quotes(["ETHUSDT"]))["ETHUSDT"].mid * Decimal("0.8"))
    other = replace(order, client_id="fm-2-e", symbol="ETHUSDT", price=price, qty=rules.floor_qty(1000 / price))
    await binance.submit(order)
    await binance.submit(other)
    found = await binance.open_orders()
    assert {(r.symbol, r.client_id, r.price) for r in found} == {
        ("BTCUSDT", "fm-1-e", order.price),
        ("ETHUSDT", "fm-2-e", price),
    }


@pytest.mark.parametrize("kind", [OrderKind.STOP_LOSS_LIMIT, OrderKind.TAKE_PROFIT_LIMIT])
async def test_a_conditional_order_is_taken(kind: OrderKind, binance: Binance) -> None:
    """It waits for its trigger."""
    trigger = "0.9" if kind is OrderKind.STOP_LOSS_LIMIT else "1.1"
    order = await plan(binance, kind, Side.SELL, trigger, trigger=trigger)
    assert (await binance.submit(order)).state is OrderState.OPEN


async def test_after_a_restart_every_fill_finds_its_order(exchange: SimExchange, url: str, binance: Binance) -> None:
    """A new process, knowing nothing, attributes every trade to the id we gave."""
    for name in ("fm-1-e", "fm-2-e", "fm-3-e"):
        await binance.submit(await plan(binance, OrderKind.MARKET, Side.BUY, name=name))
    fresh = Binance(url, ExchangeClock(exchange), KEY, SECRET, paced=False)
    fills = await fresh.trades("BTCUSDT", "")
    assert await fresh.newest_trade_id("BTCUSDT") == int(fills[-1].trade_id)
    assert await fresh.newest_trade_id("ETHUSDT") == -1
    await fresh.close()
    assert [*dict.fromkeys(fill.client_id for fill in fills)] == ["fm-1-e", "fm-2-e", "fm-3-e"]
    assert await binance.trades("BTCUSDT", fills[-1].trade_id) == []


async def test_too_little_money_and_too_small_an_order_are_proven_refusals(binance: Binance) -> None:
    """Nothing was placed, and the code says why."""
    order = await plan(binance, OrderKind.LIMIT, Side.BUY, "0.8")
    huge, tiny = replace(order, qty=order.qty * 200), replace(order, qty=Decimal("0.00001"))
    for wrong, code in ((huge, "-2010 BALANCE"), (tiny, "-1013 NOTIONAL")):
        with pytest.raises(Refused) as raised:
            await binance.submit(wrong)
        assert raised.value.code == code
    assert await binance.open_orders("BTCUSDT") == []


async def test_a_wrong_secret_needs_the_owner(exchange: SimExchange, url: str) -> None:
    """A signature that does not match is no passing trouble."""
    stranger = Binance(url, ExchangeClock(exchange), KEY, "FAKE-WRONG-SECRET", paced=False)
    with pytest.raises(NeedsOwner, match="secret"):
        await stranger.balances()
    await stranger.close()


async def test_at_the_walls_own_speed_the_real_clock_signs_requests() -> None:
    """As against Binance itself: our time, compared where it differs."""
    now = datetime.now(UTC)
    market = SeededMarket(("BTCUSDT",), 7, 60_000, to_ms(now), 100)
    exchange = SimExchange(market, start=now, speed=1.0, keys={KEY: SECRET}, balances={"USDT": Decimal(5)})

    class HourFast:
        """A clock that is an hour ahead."""

        speed = 1.0

        def now(self) -> datetime:
            """An hour from now."""
            return datetime.now(UTC) + HOUR

    async with listening(exchange) as url:
        adapter = Binance(url, HourFast(), KEY, SECRET, paced=False)
        with pytest.raises(RetryLater, match="-1021"):
            await adapter.balances()
        assert await adapter.balances() == {"USDT": Decimal(5)}
        assert await adapter.sync_clock() == pytest.approx(3_600_000, abs=2_000)
        await adapter.close()


async def test_the_rights_of_the_key_are_read_from_the_same_address(binance: Binance) -> None:
    """The simulated exchange gives the key what trading needs and nothing beyond."""
    assert await binance.rights() == Rights((), ())
