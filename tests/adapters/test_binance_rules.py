"""The exchange's rules of a symbol, and what trading it costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.binance import Binance
from core.adapters.binance_rules import instrument_of
from core.domain.errors import BadData
from core.domain.market import Instrument
from tests.adapters.scripted_exchange import Said, ScriptedExchange, StandingClock, scripted_exchange

RULES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "api" / "exchangeInfo_spot_20pairs.json"
FEE = Decimal("0.001")


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange."""
    async with scripted_exchange() as exchange:
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it."""
    adapter = Binance(server.url, StandingClock(), "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests", paced=False)
    yield adapter
    await adapter.close()


@pytest.mark.skipif(not RULES.exists(), reason="the folder of captured exchange answers is not here")
async def test_the_real_exchanges_rules_are_understood(server: ScriptedExchange) -> None:
    """Tick, lot, least quantity and least notional of twenty real pairs."""
    rules = json.loads(RULES.read_text())
    server.answer("GET exchangeInfo", Said(rules))
    adapter = Binance(server.url, StandingClock(), paced=False)
    names = [symbol["symbol"] for symbol in rules["symbols"]]
    instruments = await adapter.instruments(names)
    await adapter.close()
    bitcoin = instruments["BTCUSDT"]
    assert (bitcoin.base, bitcoin.quote, bitcoin.status) == ("BTC", "USDT", "TRADING")
    assert (bitcoin.tick, bitcoin.lot, bitcoin.notional_min) == (Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    assert (bitcoin.maker_fee, bitcoin.taker_fee) == (Decimal("0.001"), Decimal("0.001"))
    assert all(i.tick > 0 and i.lot > 0 and i.qty_min > 0 and i.notional_min > 0 for i in instruments.values())
    assert len(instruments) == 20


def rules_of(*filters: dict[str, object]) -> dict[str, object]:
    """exchangeInfo of one symbol with these filters beside the two everyone has."""
    lot = {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "900", "stepSize": "0.10000000"}
    price = {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0.01000000"}
    symbol = {"symbol": "XUSDT", "baseAsset": "X", "quoteAsset": "USDT", "status": "BREAK"}
    return {"symbols": [{**symbol, "filters": [lot, price, *filters]}]}


async def test_the_accounts_own_fees_and_the_older_notional_filter_are_used(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Costs are what this account pays; a switched-off bound is no bound."""
    server.answer("GET exchangeInfo", Said(rules_of({"filterType": "MIN_NOTIONAL", "minNotional": "7.5"})))
    server.answer("GET account", Said({"commissionRates": {"maker": "0.00075", "taker": "0.00095"}, "balances": []}))
    found = (await binance.instruments(["XUSDT"]))["XUSDT"]
    assert (found.maker_fee, found.taker_fee) == (Decimal("0.00075"), Decimal("0.00095"))
    assert (found.notional_min, found.qty_max, found.status) == (Decimal("7.5"), Decimal(900), "BREAK")
    assert found.price_max > 1_000_000


async def test_a_quantity_fits_market_orders_too(server: ScriptedExchange, binance: Binance) -> None:
    """An exit at market must not be refused for its size."""
    market = {"filterType": "MARKET_LOT_SIZE", "minQty": "0.5", "maxQty": "129.5", "stepSize": "0"}
    server.answer("GET exchangeInfo", Said(rules_of(market)))
    server.answer("GET account", Said({"balances": []}))
    found = (await binance.instruments(["XUSDT"]))["XUSDT"]
    assert (found.qty_min, found.qty_max, found.lot) == (Decimal("0.5"), Decimal("129.5"), Decimal("0.1"))


def symbol_of(*filters: dict[str, object], **changes: object) -> Instrument:
    """The rules of one symbol with these filters."""
    found = rules_of(*filters)["symbols"]
    assert isinstance(found, list)
    return instrument_of({**found[0], **changes}, FEE, FEE)


def test_every_filter_the_exchange_enforces_is_in_the_rules() -> None:
    """Nothing is offered that would then be refused."""
    below = {"minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000}
    sides = {"bidMultiplierUp": "1.2", "bidMultiplierDown": "0.2", "askMultiplierUp": "5", "askMultiplierDown": "0.8"}
    found = symbol_of(
        {"filterType": "PERCENT_PRICE_BY_SIDE", **sides, "avgPriceMins": 5},
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "90000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "120", "stepSize": "0"},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 100},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 3},
        {"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 1, "maxTrailingAboveDelta": 2, **below},
        allowTrailingStop=True,
        ocoAllowed=True,
        otoAllowed=True,
    )
    prices = (found.buy_price_max, found.sell_price_min, found.sell_price_max)
    assert prices == (Decimal("1.2"), Decimal("0.8"), Decimal(5))
    assert (found.notional_min, found.notional_max, found.market_qty_max) == (5, 90000, 120)
    assert (found.orders_max, found.stops_max) == (100, 3)
    assert (found.trail_min_bips, found.trail_max_bips, found.lists) == (10, 2000, True)


def test_the_older_filter_of_prices_bounds_both_sides() -> None:
    """One pair of multiples for whoever buys or sells."""
    found = symbol_of({"filterType": "PERCENT_PRICE", "multiplierUp": "1.3", "multiplierDown": "0.7"})
    assert (found.buy_price_max, found.sell_price_min, found.sell_price_max) == (
        Decimal("1.3"),
        Decimal("0.7"),
        Decimal("1.3"),
    )


def test_a_filter_that_is_not_there_leaves_the_usual_bound() -> None:
    """Most symbols have the same ones."""
    bare = Instrument("X", "X", "USDT", Decimal(1), Decimal(1), Decimal(1), Decimal(1))
    found = symbol_of()
    for name in ("buy_price_max", "sell_price_min", "sell_price_max", "notional_max", "orders_max", "stops_max"):
        assert getattr(found, name) == getattr(bare, name)
    assert (found.trail_min_bips, found.trail_max_bips, found.lists) == (0, 0, True)


@pytest.mark.parametrize("said", [{"ocoAllowed": False, "otoAllowed": True}, {"otoAllowed": False}])
def test_where_one_kind_of_list_is_not_allowed_there_are_none(said: dict[str, object]) -> None:
    """An entry with its exits needs both kinds."""
    assert symbol_of(**said).lists is False


def test_a_symbol_that_allows_no_trailing_has_no_distance_to_trail_at() -> None:
    """The filter alone is no leave."""
    trailing = {"filterType": "TRAILING_DELTA", "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000}
    found = symbol_of(trailing, allowTrailingStop=False)
    assert (found.trail_min_bips, found.trail_max_bips) == (0, 0)


def test_a_filter_that_cannot_be_read_is_bad_data() -> None:
    """A bound that is no number is not taken for none."""
    with pytest.raises(BadData):
        symbol_of({"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "much"})


def commission(maker: str, taker: str, **extra: object) -> Said:
    """account/commission of one symbol."""
    rates = {"maker": maker, "taker": taker, "buyer": "0.0001", "seller": "0.0002"}
    return Said({"symbol": "XUSDT", "standardCommission": rates, **extra})


async def test_the_fee_of_a_symbol_is_everything_that_may_be_taken(server: ScriptedExchange, binance: Binance) -> None:
    """Standard, special and tax, for the dearer side; a discount that may end is not counted on."""
    tax = {"maker": "0.00001", "taker": "0.00002", "buyer": "0", "seller": "0"}
    discount = {"enabledForAccount": True, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75"}
    server.answer("GET exchangeInfo", Said(rules_of()))
    server.answer("GET account/commission", commission("0.001", "0.002", taxCommission=tax, discount=discount))
    found = (await binance.instruments(["XUSDT"]))["XUSDT"]
    assert (found.maker_fee, found.taker_fee) == (Decimal("0.00121"), Decimal("0.00222"))


async def test_fees_are_not_asked_for_with_every_look_at_the_rules(server: ScriptedExchange, binance: Binance) -> None:
    """They change by the month, and each question weighs as much as ten others."""
    server.answer("GET exchangeInfo", Said(rules_of()))
    server.answer("GET account/commission", commission("0.001", "0.001"))
    for _ in range(3):
        await binance.instruments(["XUSDT"])
    assert server.count("GET account/commission") == 1


async def test_a_server_without_fees_by_symbol_is_asked_for_them_once(
    server: ScriptedExchange, binance: Binance
) -> None:
    """The account's own rates serve instead, from then on."""
    server.answer("GET exchangeInfo", Said(rules_of()))
    server.answer("GET account", Said({"commissionRates": {"maker": "0.0005", "taker": "0.0006"}, "balances": []}))
    for _ in range(2):
        found = (await binance.instruments(["XUSDT"]))["XUSDT"]
    assert (found.maker_fee, found.taker_fee) == (Decimal("0.0005"), Decimal("0.0006"))
    assert (server.count("GET account/commission"), server.count("GET account")) == (1, 1)


@pytest.mark.parametrize("body", [{}, {"standardCommission": {"maker": "0.001"}}, [], {"standardCommission": None}])
async def test_fees_that_cannot_be_read_are_bad_data(body: object, server: ScriptedExchange, binance: Binance) -> None:
    """A cost nobody knows is not taken for nothing."""
    server.answer("GET exchangeInfo", Said(rules_of()))
    server.answer("GET account/commission", Said(body))
    with pytest.raises(BadData):
        await binance.instruments(["XUSDT"])
