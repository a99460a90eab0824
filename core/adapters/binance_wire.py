"""One account's line to the exchange: ccxt signs, paces and sends; what comes back is judged by our own table.

Rule 1: nothing is ever sent twice from here, neither by ccxt nor by the connection pool below it.
Rule 2: every call passes the gate of its address, and what changes something passes it first.
Rule 3: numbers in an answer are strings or Decimal, never float.
Rule 4: no redirect is followed, and an answer is only so long (``httpline``).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import structlog

from core.adapters import slim_ccxt
from core.adapters.binance_errors import CLOCK_CODE, Answer, answer_of, error_of, not_sent, unsure
from core.adapters.binance_gate import Gate, gate_of
from core.adapters.binance_parse import usable, whole
from core.adapters.binance_signing import signing_of
from core.adapters.httpline import LineFault, session
from core.domain.errors import BadData, FirstmateError, NeedsOwner
from core.domain.market import to_ms
from core.ports import Clock

log = structlog.get_logger()
Params = Mapping[str, str | int]
ccxt: Any = slim_ccxt.load()
OFF_MOST_MS = 500
_CHANGES: ContextVar[bool] = ContextVar("_CHANGES", default=False)
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class _Answered(Exception):
    """An answer that is not a plain success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Lost(Exception):
    """No answer at all; ``sent`` is whether the request may have left."""

    def __init__(self, sent: bool, what: str) -> None:
        super().__init__(what)
        self.sent = sent
        self.what = what


class _Client(ccxt.binance):  # type: ignore[misc]
    """ccxt's Binance, with its guesses about errors taken out and our clock put in."""

    gate: Gate
    clock: Clock
    session: Any

    def milliseconds(self) -> int:
        return to_ms(self.clock.now())

    @staticmethod
    def on_json_response(body: str) -> object:
        try:
            return _DECODER.decode(body)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None

    async def throttle(self, cost: float | None = None) -> None:
        await self.gate.turn(cost or 1.0, at_once=_CHANGES.get())

    def open(self, lazy: bool = False) -> None:
        before = self.session
        super().open(lazy)
        if self.session is not before:
            # the one ccxt just made would follow a redirect, key and all
            self.session.detach()
            self.session = session(self.tcp_connector)
            # aiohttp repeats a DELETE by itself when a kept connection turns out closed
            self.session._retry_connection = False

    def handle_errors(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *_: Any
    ) -> None:
        failed = isinstance(response, dict) and "code" in response and "msg" in response
        if code >= 300 or response is None or failed:
            raise _Answered(answer_of(code, headers, response))

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.gate.check()
        try:
            return await super().fetch(url, method, headers, body)
        except _Answered as answered:
            if answered.answer.status in (403, 418, 429):
                self.gate.shut(answered.answer.retry_after_s or 1.0)
            raise
        except Exception as error:
            # whatever broke, the request may have left: only what is known to come before sending proves otherwise
            cause = error.__cause__ or error
            never = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | socket.gaierror)
            raise _Lost(not never, str(cause) if isinstance(cause, LineFault) else type(cause).__name__) from None


class Wire:
    """Calls ccxt's implicit methods by name and raises the errors of ``core.domain.errors`` alone."""

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        api_key: str,
        secret: str,
        *,
        timeout_s: float,
        paced: bool,
        recv_window_ms: int,
    ) -> None:
        # ccxt writes whole requests, key included, at DEBUG
        logging.getLogger("ccxt").setLevel(logging.INFO)
        self.has_key = bool(api_key and secret)
        self._signing = signing_of(secret)
        self._client = _Client(_config(api_key, self._signing.secret, timeout_s, paced, recv_window_ms))
        self.gate = gate_of(_origin(base_url))
        self._client.gate = self.gate
        self._client.clock = clock
        if base_url.startswith("http:"):
            # the pause after closing is for TLS to say goodbye
            self._client.timeout_on_exit = 0
        root = base_url.rstrip("/")
        self._public = f"{root}/api/v3"
        self._client.urls["api"].update(public=self._public, private=self._public, sapi=f"{root}/sapi/v1")
        self._syncing = False

    async def read(self, method: str, params: Params | None = None) -> Any:
        """Parsed answer of a call that changes nothing. Raises RetryLater, Refused, BadData or NeedsOwner."""
        return await self._call(method, params or {}, None)

    async def change(self, method: str, client_id: str, params: Params) -> Any:
        """Parsed answer of a call about order ``client_id``. Raises also OutcomeUnknown; sent once at most."""
        before = _CHANGES.set(True)
        try:
            return await self._call(method, params, client_id)
        finally:
            _CHANGES.reset(before)

    def signed(self, params: Params) -> dict[str, str | int]:
        """``params`` as the WebSocket API wants them: with key, time, window and our proof over all, sorted by name."""
        client = self._client
        proof = {"apiKey": client.apiKey, "timestamp": self.now_ms(), "recvWindow": client.options["recvWindow"]}
        said = dict(sorted({**params, **proof}.items()))
        text = "&".join(f"{name}={value}" for name, value in said.items())
        return {**said, "signature": self._signing.of(text)}

    def now_ms(self) -> int:
        """The exchange's time as our clock and the last comparison have it, milliseconds."""
        return int(self._client.nonce())

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def sync_clock(self) -> float:
        """Learn the exchange's time; how far our clock is off, milliseconds, positive when fast.

        The exchange read its clock somewhere between question and answer: the middle errs by half the round trip.
        """
        off_ms = await self._compare_clocks()
        if abs(off_ms) > OFF_MOST_MS:
            log.warning("our clock and the exchange's differ", off_ms=round(off_ms))
        return off_ms

    async def _compare_clocks(self) -> float:
        before = self._client.milliseconds()
        # past the queue of paced calls, in which the question would grow old
        said = await self._judged(self._client.fetch(f"{self._public}/time"), None)
        after = self._client.milliseconds()
        with usable("the time"):
            off_ms = (before + after) / 2 - whole(said["serverTime"])
        self._client.options["timeDifference"] = round(off_ms)
        return float(off_ms)

    async def _call(self, method: str, params: Params, client_id: str | None) -> Any:
        if not method.startswith("public") and not self.has_key:
            raise NeedsOwner("This needs an API key of the exchange: none is set")
        return await self._judged(getattr(self._client, method)(dict(params)), client_id)

    async def _judged(self, call: Awaitable[Any], client_id: str | None) -> Any:
        try:
            return await call
        except _Answered as answered:
            answer = answered.answer
        except _Lost as lost:
            raise (unsure(lost.what, client_id) if lost.sent else not_sent(lost.what)) from None
        except ccxt.BaseError as error:
            # raised before ``fetch``: the request never left
            raise not_sent(type(error).__name__) from None
        if answer.code == CLOCK_CODE and not self._syncing:
            await self.resync()
        raise error_of(answer, client_id) from None

    async def resync(self) -> None:
        """After a refusal for the clock; where this fails, the next call is refused the same way and tries again."""
        self._syncing = True
        try:
            with suppress(FirstmateError):
                log.warning("the exchange refused our clock", off_ms=round(await self._compare_clocks()))
        finally:
            self._syncing = False


def _config(api_key: str, secret: str, timeout_s: float, paced: bool, recv_window_ms: int) -> dict[str, object]:
    return {
        "apiKey": api_key,
        "secret": secret,
        "timeout": int(timeout_s * 1000),
        "enableRateLimit": paced,
        "enableLastHttpResponse": False,
        "enableLastResponseHeaders": False,
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "maxRetriesOnFailure": 0,
            "recvWindow": recv_window_ms,
        },
    }


def _origin(base_url: str) -> str:
    """Scheme, host and port. Raises BadData on anything that is no web address."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise BadData(f"The exchange's address must look like https://api.binance.com, not {base_url!r}")
    return f"{parts.scheme}://{parts.netloc}"
