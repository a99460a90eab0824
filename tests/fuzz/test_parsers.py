"""Nothing the exchange can say is an error of ours: every answer and every frame is a value or refused with a reason.

Each test draws answers near a good one, for that is where a parser believes too much, and some that are like nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import binance_errors as errors
from core.adapters import binance_parse as parse
from core.adapters.binance_account import HARMLESS, NEEDED, TOO_MUCH, fees_of, rights_of
from core.adapters.binance_proof import proven, proven_cancel, proven_list
from core.adapters.binance_rules import instrument_of
from core.adapters.binance_stream import BinanceStream, _Cut, _decoded
from core.adapters.binance_wire import _Client
from core.domain.errors import FirstmateError
from core.domain.orders import Order, OrderKind, Purpose, Side
from tests.fuzz.shapes import JSON, SCALARS, altered, drawn, spoiled

MANY = drawn(200)
NOW_MS = 1_704_067_200_000
MINUTE = timedelta(minutes=1)
D = Decimal
ORDER = {
    "symbol": "BTCUSDT", "orderId": 7, "orderListId": -1, "clientOrderId": "fm-1-e", "transactTime": NOW_MS,
    "price": "100.00", "origQty": "1.0", "executedQty": "0.5", "status": "PARTIALLY_FILLED", "type": "LIMIT",
    "side": "BUY", "stopPrice": "0.0", "workingTime": NOW_MS, "trailingDelta": 5, "updateTime": NOW_MS,
}  # fmt: skip
LIST = {
    "orderListId": 1, "listStatusType": "EXEC_STARTED", "listOrderStatus": "EXECUTING", "symbol": "BTCUSDT",
    "orders": [{"symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "fm-1-e"}], "orderReports": [ORDER],
}  # fmt: skip
TRADE = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 7, "price": "100", "qty": "1", "commission": "0.1",
    "commissionAsset": "BNB", "time": NOW_MS, "isBuyer": True, "isMaker": False,
}  # fmt: skip
SYMBOL = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "ocoAllowed": True,
    "otoAllowed": True, "allowTrailingStop": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "100", "stepSize": "0"},
        {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"},
        {"filterType": "TRAILING_DELTA", "minTrailingBelowDelta": 10, "maxTrailingBelowDelta": 2000},
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ],
}  # fmt: skip
RIGHTS = {**dict.fromkeys((*TOO_MUCH, *HARMLESS), False), **dict.fromkeys(NEEDED, True), "createTime": NOW_MS}
FEE = {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}
OURS = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.ENTRY, D(1), datetime(2024, 1, 1, tzinfo=UTC))
ANSWERS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "bars": (
        [[NOW_MS + n * 60_000, "1", "3", "0.5", "2", "10", 0, "0", 1, "0", "0", "0"] for n in range(3)],
        lambda said: parse.bars_of(said, "BTCUSDT", MINUTE, NOW_MS + 10**7),
    ),
    "quote": (
        {"symbol": "BTCUSDT", "bidPrice": "1", "askPrice": "2", "bidQty": "1", "askQty": "1"},
        lambda said: parse.quote_of(said, NOW_MS),
    ),
    "depth": ({"bids": [["1", "2"]], "asks": [["3", "4"]]}, lambda said: parse.depth_of(said, "BTCUSDT", 5)),
    "order": (ORDER, parse.report_of),
    "trade": (TRADE, lambda said: parse.fill_of(said, "fm-1-e")),
    "balances": ({"balances": [{"asset": "BTC", "free": "1", "locked": "0"}]}, parse.balances_of),
    "rules": (SYMBOL, lambda said: instrument_of(said, D("0.001"), D("0.001"))),
    "rights": ({**RIGHTS, "tradingAuthorityExpirationTime": NOW_MS}, rights_of),
    "fees": ({"standardCommission": FEE, "taxCommission": FEE}, fees_of),
    "proof": (ORDER, lambda said: proven(said, OURS)),
    "proof of a list": (LIST, lambda said: proven_list(said, [OURS])),
    "proof of a cancel": ({**ORDER, "origClientOrderId": "fm-1-e"}, lambda said: proven_cancel(said, "fm-1-e")),
}


def outcome(read: Callable[[Any], object], said: Any) -> object:
    """What comes of an answer: a value, or the sentence of one of our own errors, fit for a phone and a terminal."""
    try:
        return read(said)
    except FirstmateError as error:
        refused = error.user_text
    assert refused.isprintable()
    assert 0 < len(refused) < 2000
    return None


@pytest.mark.parametrize("name", ANSWERS)
def test_the_good_answer_is_taken(name: str) -> None:
    """What is drawn near is near something that works."""
    good, read = ANSWERS[name]
    read(good)


@pytest.mark.parametrize("name", ANSWERS)
@MANY
@given(data=st.data())
def test_an_answer_that_is_spoiled_is_a_value_or_refused(name: str, data: st.DataObject) -> None:
    """Fields gone, other types, numbers no exchange has, names with line breaks."""
    good, read = ANSWERS[name]
    outcome(read, data.draw(spoiled(good)))


@MANY
@given(SCALARS, SCALARS)
def test_every_number_that_is_taken_can_be_reckoned_with(price: object, qty: object) -> None:
    """What passes has a size: sums, products and whole parts of it are no surprise."""
    for read in (parse.number, parse.amount, parse.whole):
        with contextlib.suppress(ValueError):
            value = D(read(price)) * D(read(qty))
            assert value.is_finite()
            assert len(f"{value:f}") < 200


REFUSAL = {"code": -2010, "msg": "Account has insufficient balance for requested action."}


@MANY
@given(
    status=st.sampled_from([200, 301, 400, 401, 403, 404, 409, 418, 429, 451, 500, 503, 999, -1]),
    wait=st.none() | st.text(max_size=12) | st.sampled_from(["5", "-1", "9" * 400, "1e9", "٣", "Wed, 21 Oct 2026"]),
    body=spoiled(REFUSAL),
    client_id=st.sampled_from([None, "fm-1-e"]),
)
def test_every_refusal_means_something(status: int, wait: str | None, body: object, client_id: str | None) -> None:
    """Whatever status, header and body say: one of our errors, printable, with a wait nobody can make endless."""
    answer = errors.answer_of(status, {} if wait is None else {"Retry-After": wait}, body)
    assert answer.retry_after_s is None or 1 <= answer.retry_after_s <= 3 * 86_400
    error = errors.error_of(answer, client_id)
    assert isinstance(error, FirstmateError)
    assert error.user_text.isprintable()
    assert len(error.user_text) < 500


@MANY
@given(altered(msgspec.json.encode(LIST)) | st.binary(max_size=200) | JSON.map(lambda v: repr(v).encode()))
def test_the_text_of_an_answer_is_read_or_no_json(body: bytes) -> None:
    """ccxt hands on what it cannot read as no answer; nothing else may come out of the decoder."""
    with contextlib.suppress(ValueError, RecursionError):
        _Client.on_json_response(body.decode("utf-8", "replace"))


class _Line:
    """Stands for the wire below a stream: notes what it is told."""

    def __init__(self) -> None:
        self.gate = self
        self.waits: list[float] = []

    def shut(self, wait_s: float) -> None:
        """A ban was heard of."""
        self.waits.append(wait_s)

    async def resync(self) -> None:
        """The clock was refused."""


FRAMES = [
    {"subscriptionId": 0, "event": {"e": "executionReport", "s": "BTCUSDT", "E": NOW_MS}},
    {"id": "hello", "status": 200, "result": {"subscriptionId": 0}},
    {
        "id": "hello",
        "status": 429,
        "error": {"code": -1003, "msg": "Too many", "data": {"serverTime": 1, "retryAfter": 5000}},
    },
    {"id": None, "status": 400, "error": {"code": -1021, "msg": "late"}},
    {"id": "ping", "status": 200, "result": {}},
]


@MANY
@given(data=st.data())
async def test_every_frame_is_heard_or_ends_the_line(data: st.DataObject) -> None:
    """Any text, bytes or object: an event, a reason to look everywhere, or the end of this connection."""
    frame = data.draw(spoiled(data.draw(st.sampled_from(FRAMES))))
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        frame = msgspec.json.encode(frame)
    if data.draw(st.booleans()) and isinstance(frame, bytes):
        frame = data.draw(altered(frame))
    line, heard = _Line(), list[str]()
    stream = BinanceStream("ws://127.0.0.1:9", line)  # type: ignore[arg-type]
    with contextlib.suppress(FirstmateError, _Cut):
        await stream._frame(frame, heard.append, lambda: None)
    assert all(isinstance(symbol, str) for symbol in heard)
    assert all(1 <= wait <= 3 * 86_400 for wait in line.waits)


@MANY
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300), JSON))
def test_a_frame_is_an_object_or_nothing(frame: object) -> None:
    """Bytes that are no text, text that is no JSON, JSON that is no object."""
    assert _decoded(frame) is None or isinstance(_decoded(frame), dict)
