"""The exchange's own word that something happened to our orders, over its WebSocket API.

Rule 1: a speed-up, never the proof: who hears something reads it from the exchange, and a poll finds what was missed.
Rule 2: this never ends by itself: a cut line, a silent one, a refusal, garbage, all end in the next try, 1 to 60 s
        later; a key that is refused is tried again every five minutes.
Rule 3: the line counts as alive only while the exchange answers on it; being connected proves nothing.
Rule 4: a frame nobody can read may have been an event: it is told as one.
Rule 5: a streak of failures is one line in the log, and so is its end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import structlog

from core.adapters.binance_errors import CLOCK_CODE, Answer, answer_of, error_of
from core.adapters.binance_wire import Wire
from core.adapters.httpline import LineFault, session
from core.domain.errors import NeedsOwner, RetryLater

SUBSCRIBE = "userDataStream.subscribe.signature"
OF_A_SYMBOL = frozenset({"executionReport", "listStatus"})
# comes with every execution, whose own report names the symbol
SAID_ALREADY = "outboundAccountPosition"
OVER = frozenset({"eventStreamTerminated", "serverShutdown"})
FRAME_MOST = 1 << 20
CONNECT_S = 15.0
_HELLO, _PING = "hello", "ping"
_LONG_S = 10**8
_WEB_SOCKET_ENDS = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)

log = structlog.get_logger()
Heard = Callable[[str], None]
Connected = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between pings, of silence until the line is given up, and between tries; ``refused_s`` for a bad key."""

    ping_s: float = 20.0
    silent_s: float = 60.0
    first_s: float = 1.0
    most_s: float = 60.0
    refused_s: float = 300.0


class _Cut(Exception):
    """The line is of no more use; the text says why."""


class BinanceStream:
    """Listens at ``ws_url`` (".../ws-api/v3") with the key, clock and patience of ``wire``."""

    def __init__(self, ws_url: str, wire: Wire, pace: Pace = Pace()) -> None:
        self._url = ws_url
        self._wire = wire
        self._pace = pace
        self._failures = 0

    async def listen(self, heard: Heard, connected: Connected) -> None:
        """Call ``heard`` with the symbol of each event ("" = look everywhere), ``connected`` after each subscription.

        Raises nothing but CancelledError.
        """
        async with session() as line:
            while True:
                began = time.monotonic()
                why, wait_s = await self._try(line, heard, connected)
                if time.monotonic() - began > self._pace.most_s:
                    self._failures = 0
                self._tell(why)
                await asyncio.sleep(max(wait_s, self._backoff()))
                self._failures += 1

    def _backoff(self) -> float:
        """Seconds until the next try: doubled with each failure in a row."""
        return float(min(self._pace.most_s, self._pace.first_s * 2 ** min(self._failures, 16)))

    async def _try(self, line: aiohttp.ClientSession, heard: Heard, connected: Connected) -> tuple[str, float]:
        """One connection from its beginning to its end: why it ended, and the least seconds to wait after it."""
        try:
            self._wire.gate.check()
            await self._connection(line, heard, connected)
        except RetryLater as later:
            return later.user_text, later.retry_after_s
        except NeedsOwner as refused:
            log.error("the stream of our orders is refused", why=refused.user_text, next_try_s=self._pace.refused_s)
            return "", self._pace.refused_s
        except aiohttp.WSServerHandshakeError as refused:
            return f"HTTP {refused.status}", self._refusal(refused)
        except (_Cut, LineFault) as cut:
            return str(cut), 0.0
        except Exception as failure:  # whatever it was, the next connection may do better, and the poll goes on
            return type(failure).__name__, 0.0
        return "", 0.0

    def _tell(self, why: str) -> None:
        if why and self._failures == 0:
            log.info("the stream of our orders is cut, connecting again", why=why)
        elif why and self._failures == 1:
            log.warning("the stream of our orders fails again, trying on quietly", why=why)

    def _refusal(self, refused: aiohttp.WSServerHandshakeError) -> float:
        """Seconds to wait after the handshake was refused; a ban is one for the whole process."""
        answer = answer_of(refused.status, refused.headers or {}, None)
        if answer.status in (403, 418, 429):
            self._wire.gate.shut(answer.retry_after_s or self._pace.most_s)
        return answer.retry_after_s or 0.0

    async def _connection(self, line: aiohttp.ClientSession, heard: Heard, connected: Connected) -> None:
        """Subscribe and hand on what comes. Raises _Cut, RetryLater, NeedsOwner or what the line breaks with."""
        async with asyncio.timeout(CONNECT_S):
            socket = await line.ws_connect(
                self._url, autoping=False, max_msg_size=FRAME_MOST, timeout=aiohttp.ClientWSTimeout(ws_close=1.0)
            )
        try:
            await _ask(socket, _HELLO, SUBSCRIBE, self._wire.signed({}))
            await self._frames(socket, heard, connected)
        finally:
            await socket.close()

    async def _frames(self, socket: aiohttp.ClientWebSocketResponse, heard: Heard, connected: Connected) -> None:
        heard_at = pinged_at = time.monotonic()
        while True:
            now = time.monotonic()
            if now - pinged_at >= self._pace.ping_s:
                await _ask(socket, _PING, "ping", {})
                pinged_at = now
            due = min(heard_at + self._pace.silent_s, pinged_at + self._pace.ping_s)
            try:
                message = await socket.receive(timeout=max(0.001, due - now))
            except TimeoutError:
                # asked only when nothing waits to be read: this process may have been the one that stood still
                if time.monotonic() - heard_at >= self._pace.silent_s:
                    raise _Cut(f"nothing was heard for {self._pace.silent_s:.0f} s") from None
                continue
            if message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data)
                continue
            if message.type in _WEB_SOCKET_ENDS:
                raise _Cut(f"closed by the exchange ({socket.close_code})")
            heard_at = time.monotonic()
            await self._frame(message.data, heard, connected)

    async def _frame(self, data: object, heard: Heard, connected: Connected) -> None:
        """One frame: an event, or the answer to one of our two questions."""
        frame = _decoded(data)
        if frame is None:
            heard("")
        elif frame.get("id") == _HELLO or (frame.get("id") is None and "error" in frame):
            await self._welcome(frame)
            log.info("the stream of our orders is connected")
            connected()
        elif frame.get("id") != _PING:
            event = frame.get("event", frame)
            kind = str(event.get("e")) if isinstance(event, Mapping) else ""
            if kind in OVER:
                raise _Cut("the exchange ended it")
            symbol = event.get("s") if kind in OF_A_SYMBOL else ""
            if kind != SAID_ALREADY:
                heard(symbol if isinstance(symbol, str) else "")

    async def _welcome(self, frame: Mapping[str, Any]) -> None:
        """Nothing, when we are subscribed. Raises RetryLater or NeedsOwner."""
        if frame.get("status") == 200 and "result" in frame:
            return
        answer = _refused(frame)
        if answer.retry_after_s:
            self._wire.gate.shut(answer.retry_after_s)
        if answer.code == CLOCK_CODE:
            await self._wire.resync()
        raise error_of(answer, None)


async def _ask(socket: aiohttp.ClientWebSocketResponse, name: str, method: str, params: Mapping[str, Any]) -> None:
    await socket.send_str(msgspec.json.encode({"id": name, "method": method, "params": params}).decode())


def _decoded(data: object) -> Mapping[str, Any] | None:
    """The object in a frame, or None where there is none."""
    try:
        frame = msgspec.json.decode(data) if isinstance(data, str | bytes) else None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return frame if isinstance(frame, dict) else None


def _refused(frame: Mapping[str, Any]) -> Answer:
    """The refusal in a frame, with the seconds to wait where it names a moment."""
    error = frame.get("error")
    status = frame.get("status")
    answer = answer_of(status if isinstance(status, int) else 400, {}, error)
    data = error.get("data") if isinstance(error, Mapping) else None
    if isinstance(data, Mapping) and all(isinstance(data.get(n), int) for n in ("serverTime", "retryAfter")):
        left_s = (data["retryAfter"] - data["serverTime"] + 500) // 1000
        return answer_of(answer.status, {"Retry-After": str(min(max(1, left_s), _LONG_S))}, error)
    return answer
