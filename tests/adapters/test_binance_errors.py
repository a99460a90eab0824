"""Every row of the table of answers, asked for over a real connection."""

from __future__ import annotations

import json
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance import Binance
from core.adapters.binance_errors import Answer, Meaning, answer_of, error_of, meaning
from core.adapters.redaction import conceal
from core.domain.errors import FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from tests.adapters.scripted_exchange import CUT, HALF, HANG, Said, ScriptedExchange, StandingClock, scripted_exchange

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
BODIES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "api" / "error_bodies.jsonl"
ORDER = Order(
    "fm-1-e",
    "BTCUSDT",
    Side.BUY,
    OrderKind.LIMIT,
    Purpose.ENTRY,
    Decimal("0.1"),
    datetime(2023, 1, 1, tzinfo=UTC),
    Decimal(9),
)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange."""
    async with scripted_exchange() as exchange:
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it; impatient, because tests are."""
    adapter = Binance(server.url, StandingClock(), KEY, SECRET, paced=False, timeout_s=0.5)
    yield adapter
    await adapter.close()


def fault(code: int, text: str = "words of the exchange") -> dict[str, object]:
    """An error body as Binance writes it."""
    return {"code": code, "msg": text}


UNSURE = [
    *(Said(fault(code), 400) for code in (-1000, -1001, -1006, -1007, -1008, -1016)),
    *(
        Said(body, status)
        for status in (500, 502, 503, 504)
        for body in (fault(-2010), fault(-1013), "<html>bad</html>")
    ),
    Said(fault(-1007)),
    Said('{"orderId": 12, "clientOr'),
    Said(""),
    Said("[1, 2"),
    Said({"symbol": "BTCUSDT", "clientOrderId": "fm-1-e"}),
    Said({"symbol": "BTCUSDT", "clientOrderId": "of-another", "orderId": 5}),
    Said({"symbol": "BTCUSDT", "clientOrderId": "fm-1-e", "orderId": 5, "status": "NEVER_HEARD_OF"}),
    Said([]),
    Said("timed out", 408),
    Said(CUT),
    Said(HALF),
    Said(HANG),
]


@pytest.mark.parametrize("said", UNSURE, ids=lambda said: f"{said.status} {str(said.body)[:40]}")
async def test_an_answer_that_proves_nothing_leaves_the_order_unknown_and_is_not_repeated(
    said: Said, server: ScriptedExchange, binance: Binance
) -> None:
    """Unknown stays unknown until proven: a second send could be a second order."""
    server.answer("POST order", said)
    with pytest.raises(OutcomeUnknown) as raised:
        await binance.submit(ORDER)
    assert raised.value.client_id == "fm-1-e"
    assert server.count("POST order") == 1


@pytest.mark.parametrize(
    "said", [Said(CUT), Said(HANG), Said(fault(-1006), 400), Said("x", 500), Said('{"a')], ids=repr
)
async def test_a_cancel_without_a_proof_is_unknown_and_sent_once(
    said: Said, server: ScriptedExchange, binance: Binance
) -> None:
    """Not even the connection pool may repeat a cancel: its second answer would hide what the first did."""
    server.answer("GET order", Said(fault(-2013), 400))
    assert await binance.find("BTCUSDT", "fm-1-e") is None
    server.answer("DELETE order", said)
    with pytest.raises(OutcomeUnknown):
        await binance.cancel("BTCUSDT", "fm-1-e")
    assert server.count("DELETE order") == 1


@pytest.mark.parametrize("said", [Said("x", 503), Said(fault(-1001), 400), Said('{"a'), Said(HANG)], ids=repr)
async def test_a_read_without_an_answer_is_worth_another_try(
    said: Said, server: ScriptedExchange, binance: Binance
) -> None:
    """Reading twice harms nobody."""
    server.answer("GET account", said)
    with pytest.raises(RetryLater):
        await binance.balances()


@pytest.mark.parametrize(
    ("code", "text", "word"),
    [
        (-1013, "Filter failure: NOTIONAL", " NOTIONAL"),
        (-1013, "Filter failure: LOT_SIZE", " LOT_SIZE"),
        (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", " PERCENT_PRICE_BY_SIDE"),
        (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS", " MAX_NUM_ALGO_ORDERS"),
        (-1013, "Invalid quantity.", ""),
        (-2010, "Account has insufficient balance for requested action.", " BALANCE"),
        (-1010, "Account has insufficient balance for requested action.", " BALANCE"),
        (-2010, "Stop price would trigger immediately.", " TRIGGERS"),
        (-2010, "Order would immediately match and take.", " CROSSES"),
        (-2010, "The relationship of the prices for the orders is not correct.", " PRICES"),
        (-2010, "Market is closed.", " CLOSED"),
        (-2010, "This symbol is not permitted for this account.", ""),
        (-1111, "Precision is over the maximum defined for this asset.", ""),
        (-1100, "Illegal characters found in a parameter.", ""),
        (-1121, "Invalid symbol.", ""),
        (-9999, "Something new", ""),
    ],
)
async def test_a_proven_refusal_carries_the_exchanges_number_and_words(
    code: int, text: str, word: str, server: ScriptedExchange, binance: Binance
) -> None:
    """The owner reads why; the machine knows that there is no order, and which rule it broke."""
    server.answer("POST order", Said(fault(code, text), 400))
    with pytest.raises(Refused, match=text.rstrip(".")) as raised:
        await binance.submit(ORDER)
    assert raised.value.code == f"{code}{word}"


async def test_a_cancel_of_what_is_gone_is_refused(server: ScriptedExchange, binance: Binance) -> None:
    """Never existed or already done: the trades will tell."""
    server.answer("DELETE order", Said(fault(-2011, "Unknown order sent."), 400))
    with pytest.raises(Refused) as raised:
        await binance.cancel("BTCUSDT", "fm-1-e")
    assert raised.value.code == "-2011"


@pytest.mark.parametrize("text", ["Market is closed.", "Order was not canceled due to cancel restrictions."])
async def test_a_cancel_that_was_refused_while_the_order_stands_is_no_proof_of_its_end(
    text: str, server: ScriptedExchange, binance: Binance
) -> None:
    """The number is that of an unknown order, the words are not: it is worth another try."""
    server.answer("DELETE order", Said(fault(-2011, text), 400))
    with pytest.raises(RetryLater, match="still stands"):
        await binance.cancel("BTCUSDT", "fm-1-e")


@pytest.mark.parametrize("text", ["This action is disabled on this account.", "Rest API trading is not enabled."])
@pytest.mark.parametrize("code", [-1010, -2010, -2011])
async def test_an_account_that_may_not_trade_needs_the_owner(
    code: int, text: str, server: ScriptedExchange, binance: Binance
) -> None:
    """No order of any size or price would be taken: it is not this one that is wrong."""
    server.answer("POST order", Said(fault(code, text), 400))
    with pytest.raises(NeedsOwner, match="account may not do"):
        await binance.submit(ORDER)


async def test_an_order_archived_long_ago_is_known_to_have_ended_empty(
    server: ScriptedExchange, binance: Binance
) -> None:
    """Its number says all there is: cancelled or expired, nothing filled."""
    text = "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
    server.answer("GET order", Said(fault(-2026, text), 400))
    found = await binance.find("BTCUSDT", "fm-1-e")
    assert found is not None
    assert (found.client_id, found.state, found.filled_qty) == ("fm-1-e", OrderState.CANCELED, Decimal(0))


@pytest.mark.parametrize("code", [-2014, -2015, -1022, -1002, -1099])
async def test_a_key_that_does_not_work_needs_the_owner_even_after_it_once_did(
    code: int, server: ScriptedExchange, binance: Binance
) -> None:
    """A key revoked while we run is not a passing overload."""
    server.answer("GET account", Said({"balances": []}), Said(fault(code), 401))
    assert await binance.balances() == {}
    with pytest.raises(NeedsOwner):
        await binance.balances()


@pytest.mark.parametrize("code", [-2010, -1010])
async def test_a_duplicate_proves_that_the_order_is_there(
    code: int, server: ScriptedExchange, binance: Binance
) -> None:
    """It is adopted, not refused."""
    server.answer("POST order", Said(fault(code, "Duplicate order sent."), 400))
    there = {"symbol": "BTCUSDT", "clientOrderId": "fm-1-e", "orderId": 7, "status": "NEW", "executedQty": "0.0"}
    server.answer("GET order", Said(there))
    assert (await binance.submit(ORDER)).exchange_id == "7"


@pytest.mark.parametrize("said", [Said(fault(-2013), 400), Said("x", 503), Said(fault(-1003), 429)], ids=repr)
async def test_a_duplicate_that_cannot_be_read_yet_is_unknown_never_refused(
    said: Said, server: ScriptedExchange, binance: Binance
) -> None:
    """Replicas lag; the order exists all the same."""
    server.answer("POST order", Said(fault(-2010, "Duplicate order sent."), 400))
    server.answer("GET order", said)
    with pytest.raises(OutcomeUnknown):
        await binance.submit(ORDER)


async def test_a_wrong_address_needs_the_owner(server: ScriptedExchange, binance: Binance) -> None:
    """A web page that is no exchange is a setting to correct."""
    with pytest.raises(NeedsOwner, match="FIRSTMATE_EXCHANGE_URL"):
        await binance.balances()


@pytest.mark.parametrize("said", [*UNSURE[:4], Said(fault(-2015), 401), Said(CUT), Said(fault(-1013), 400)], ids=repr)
async def test_no_secret_reaches_a_message_or_a_traceback(
    said: Said, server: ScriptedExchange, binance: Binance
) -> None:
    """Key, secret and signature stay out of whatever is logged or sent."""
    server.answer("POST order", said)
    try:
        await binance.submit(ORDER)
    except FirstmateError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error) + error.user_text
    sent = server.last("POST order")
    assert not any(secret in shown for secret in (KEY, SECRET, sent["signature"], "signature="))


def test_a_secret_with_a_sign_nobody_sees_in_it_is_masked() -> None:
    """A key is no less a key because the answer that quotes it hides a character in its middle."""
    hidden = "FAKE-KEY-in-a-quoted-answer"
    conceal(hidden)
    said = answer_of(400, {}, {"code": -1102, "msg": f"bad key {hidden[:8]}\u200b{hidden[8:]}"})
    assert said.text == "bad key [redacted]"


@pytest.mark.skipif(not BODIES.exists(), reason="the folder of captured exchange answers is not here")
def test_captured_answers_of_the_real_exchange_are_understood() -> None:
    """Bodies seen in the wild: filters and balance refuse, clocks and bans wait."""
    rows = [json.loads(line) for line in BODIES.read_text().splitlines() if line]
    expected = {-1013: Meaning.REFUSED, -2010: Meaning.REFUSED, -1021: Meaning.LATER, -1003: Meaning.LATER}
    for row in rows:
        assert meaning(answer_of(row["http"], {}, row["body"])) is expected[row["body"]["code"]]


@given(st.integers(200, 599), st.none() | st.integers(-99_999, -1), st.text(max_size=30))
def test_a_change_is_either_proven_not_done_or_unknown(status: int, code: int | None, text: str) -> None:
    """5xx and nameless successes are never taken for a refusal, and no answer is left without a meaning."""
    error = error_of(Answer(status, code, text), "fm-1-e")
    assert isinstance(error, OutcomeUnknown | RetryLater | Refused | NeedsOwner)
    if status >= 500 or (status < 400 and code is None):
        assert isinstance(error, OutcomeUnknown)
    assert not isinstance(error_of(Answer(status, code, text), None), OutcomeUnknown)


@pytest.mark.parametrize(("said", "seconds"), [("12", 12.0), ("", 30.0), ("soon", 30.0), ("999999999999", 259_200.0)])
def test_the_wait_is_what_the_exchange_says_within_three_days(said: str, seconds: float) -> None:
    """An odd header neither stops the process for ever nor lets it run on."""
    assert answer_of(429, {"Retry-After": said}, None).retry_after_s == seconds
