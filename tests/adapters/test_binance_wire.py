"""The line to the exchange: whose clock counts, who has to wait, and what is never sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from core.adapters.binance import Binance
from core.domain.errors import BadData, NeedsOwner, RetryLater
from core.domain.market import to_ms
from core.domain.orders import Order, OrderKind, Purpose, Side
from tests.adapters.scripted_exchange import Said, ScriptedExchange, StandingClock, scripted_exchange

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
ORDER = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.LIMIT, Purpose.ENTRY, Decimal("0.1"), NOW, Decimal(9))


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange."""
    async with scripted_exchange() as exchange:
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it, with a clock that agrees."""
    adapter = Binance(server.url, StandingClock(NOW), KEY, SECRET, paced=False)
    yield adapter
    await adapter.close()


def fault(code: int, text: str = "words of the exchange") -> dict[str, object]:
    """An error body as Binance writes it."""
    return {"code": code, "msg": text}


async def test_without_a_key_a_private_call_needs_the_owner_and_sends_nothing(server: ScriptedExchange) -> None:
    """Public data alone is a fair use."""
    adapter = Binance(server.url, StandingClock(), paced=False)
    with pytest.raises(NeedsOwner, match="API key"):
        await adapter.submit(ORDER)
    await adapter.close()
    assert server.asked == []


@pytest.mark.parametrize("status", [429, 418])
async def test_a_wish_to_be_left_alone_holds_for_every_account_of_the_process(
    status: int, server: ScriptedExchange, binance: Binance
) -> None:
    """A ban counts the address, not the key: who asks on is banned for longer."""
    other = Binance(server.url, StandingClock(), "FAKE-OTHER", "FAKE-OTHER", paced=False)
    server.answer("GET depth", Said(fault(-1003, "Way too much request weight used"), status, {"Retry-After": "77"}))
    with pytest.raises(RetryLater) as first:
        await binance.depth("BTCUSDT", 5)
    before = len(server.asked)
    for call in (binance.submit(ORDER), other.balances(), other.server_time()):
        with pytest.raises(RetryLater) as later:
            await call
        assert 60 < later.value.retry_after_s <= 77
    await other.close()
    assert first.value.retry_after_s == 77
    assert len(server.asked) == before


async def test_a_wrong_clock_is_compared_with_the_exchanges_and_the_next_call_passes(
    server: ScriptedExchange, binance: Binance
) -> None:
    """The order was not taken, and the same order sent again bears the right time."""
    server.answer("GET time", Said({"serverTime": 1_700_000_123_000}))
    taken = Said({"symbol": "BTCUSDT", "clientOrderId": "fm-1-e", "orderId": 7, "status": "NEW", "executedQty": "0"})
    ahead = fault(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    server.answer("POST order", Said(ahead, 400), taken)
    with pytest.raises(RetryLater):
        await binance.submit(ORDER)
    await binance.submit(ORDER)
    assert server.last("POST order")["timestamp"] == "1700000123000"


async def test_a_server_that_refuses_the_clock_even_of_the_question_for_the_time_is_asked_once(
    server: ScriptedExchange, binance: Binance
) -> None:
    """A broken exchange must not keep us asking it for ever."""
    server.answer("GET time", Said(fault(-1021), 400))
    server.answer("GET account", Said(fault(-1021), 400))
    with pytest.raises(RetryLater, match="-1021"):
        await binance.balances()
    assert (server.count("GET account"), server.count("GET time")) == (1, 1)


async def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    """Nothing listens there: the order is safe to send again later."""
    adapter = Binance("http://127.0.0.1:9", StandingClock(), KEY, SECRET, paced=False)
    with pytest.raises(RetryLater):
        await adapter.submit(ORDER)
    await adapter.close()


async def test_the_clock_is_compared_at_the_middle_of_the_round_trip(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Fast is positive, and the next request is signed with the exchange's time."""
    server.answer("GET time", Said({"serverTime": to_ms(NOW) - 1500}))
    server.answer("GET account", Said({"balances": []}))
    assert await binance.sync_clock() == 1500
    await binance.balances()
    assert server.last("GET account")["timestamp"] == str(to_ms(NOW) - 1500)


async def test_half_the_round_trip_is_not_taken_for_a_wrong_clock(server: ScriptedExchange) -> None:
    """A slow line of two seconds each way is no clock that is off."""
    clock = StandingClock(NOW)
    adapter = Binance(server.url, clock, paced=False)

    def slowly(_: dict[str, str]) -> object:
        clock.at += timedelta(seconds=4)
        return {"serverTime": to_ms(NOW + timedelta(seconds=2))}

    server.reply("GET time", slowly)
    assert await adapter.sync_clock() == 0
    await adapter.close()


@pytest.mark.parametrize("url", ["", "api.binance.com", "ftp://x", "https://user:pass@x", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    """One clear line naming what an address looks like."""
    with pytest.raises(BadData, match="must look like"):
        Binance(url, StandingClock())


async def test_a_refused_clock_is_one_line_in_the_log_with_how_far_it_was_off(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Who looks at it later knows by how much, and that it is mended."""
    server.answer("GET time", Said({"serverTime": to_ms(NOW) - 7000}))
    server.answer("GET account", Said(fault(-1021), 400))
    with capture_logs() as lines, pytest.raises(RetryLater):
        await binance.balances()
    assert [(line["log_level"], line["off_ms"]) for line in lines] == [("warning", 7000)]


@pytest.mark.parametrize(("off_ms", "lines"), [(0, 0), (500, 0), (-500, 0), (501, 1), (-501, 1), (86_400_000, 1)])
async def test_a_clock_more_than_half_a_second_off_is_logged(
    off_ms: int, lines: int, server: ScriptedExchange, binance: Binance
) -> None:
    """A second would be refused: half of one is worth a word."""
    server.answer("GET time", Said({"serverTime": to_ms(NOW) - off_ms}))
    with capture_logs() as said:
        assert await binance.sync_clock() == off_ms
    assert [line["off_ms"] for line in said] == [off_ms] * lines


@pytest.mark.parametrize("body", [{}, {"serverTime": "soon"}, {"serverTime": 1.5}, [], {"serverTime": None}])
async def test_a_time_that_is_none_moves_no_clock(body: object, server: ScriptedExchange, binance: Binance) -> None:
    """Bad data, and the next request is signed as before."""
    server.answer("GET time", Said(body))
    server.answer("GET account", Said({"balances": []}))
    with pytest.raises(BadData):
        await binance.sync_clock()
    await binance.balances()
    assert server.last("GET account")["timestamp"] == str(to_ms(NOW))


async def test_a_longer_ban_is_not_shortened_by_a_shorter_one(server: ScriptedExchange, binance: Binance) -> None:
    """Answers of calls that were on their way still come in."""
    server.answer("GET depth", Said(fault(-1003), 418, {"Retry-After": "900"}))
    with pytest.raises(RetryLater):
        await binance.depth("BTCUSDT", 5)
    binance._wire.gate.shut(5)
    with pytest.raises(RetryLater) as later:
        await binance.server_time()
    assert later.value.retry_after_s > 800
