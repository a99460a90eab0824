"""The network between the real adapter and the simulated exchange, in process: ccxt signs, nothing is sent anywhere.

Rule 1: what left the program is on its way, whether the program lives to hear of it or not.
Rule 2: errors are aiohttp's own, because the adapter decides by them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from random import Random
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from core.adapters.binance import Binance
from core.adapters.clock import WallClock
from core.sim.exchange.face import Ask, Line, Reply
from core.sim.exchange.faults import Cut, Unreachable
from core.sim.exchange.user_stream import account_events
from core.sim.exchange.world import SimExchange
from tests.campaign.process import Process, Reaper, outside

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
_STARTS = count()
_NOBODY: Any = SimpleNamespace(host="127.0.0.1", port=1, ssl=False, is_ssl=False)


class SteppedClock:
    """The wall clock of the program's machine: the exchange's time, and how far it is off by now, seconds."""

    def __init__(self, start_ms: int, loop: asyncio.AbstractEventLoop) -> None:
        self._start_ms = start_ms
        self._loop = loop
        self.off_s = 0.0

    def true_ms(self) -> int:
        """The exchange's time."""
        return self._start_ms + int(self._loop.time() * 1000)

    def wall(self) -> float:
        """Seconds since the epoch, as this machine believes."""
        return self.true_ms() / 1000 + self.off_s


class Network:
    """Carries requests over ``line``, each with its own delay; ``note`` writes down what passed."""

    def __init__(self, line: Line, rng: Random, note: Callable[[str], None]) -> None:
        self._line = line
        self._rng = rng
        self._note = note

    def send(self, ask: Ask) -> asyncio.Task[Reply]:
        """The answer that is on its way from now on."""
        task = outside(self._carry(ask))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _carry(self, ask: Ask) -> Reply:
        name = _told(ask)
        await asyncio.sleep(self._rng.uniform(0.002, 0.06))
        try:
            reply = await self._line.ask(ask)
        except OSError as fault:
            self._note(f"  {name} -> {type(fault).__name__}")
            raise
        self._note(f"  {name} -> {reply.status} {_short(ask, reply)}")
        await asyncio.sleep(self._rng.uniform(0.002, 0.06))
        return reply


def _told(ask: Ask) -> str:
    given = ask.params()
    names = ("newClientOrderId", "workingClientOrderId", "belowClientOrderId", "origClientOrderId", "symbol", "fromId")
    words = [given[name] for name in names if name in given]
    return " ".join((ask.method, ask.path.removeprefix("/api/v3/"), *words))


def _short(ask: Ask, reply: Reply) -> str:
    if reply.status == 200 and ask.method == "GET":
        return f"{len(reply.body)} B"
    return reply.body[:90].decode("utf-8", "replace")


class Session:
    """What stands in ccxt where aiohttp's session does, for one process."""

    headers: Mapping[str, str] = {}

    def __init__(self, network: Network, process: Process, reaper: Reaper, impatient: Callable[[str], None]) -> None:
        self._impatient = impatient
        self._patient_until = 0.0
        self._network = network
        self._process = process
        self._reaper = reaper

    def get(self, url: URL, **options: Any) -> _Call:
        return self._call("GET", url, **options)

    def post(self, url: URL, **options: Any) -> _Call:
        return self._call("POST", url, **options)

    def put(self, url: URL, **options: Any) -> _Call:
        return self._call("PUT", url, **options)

    def delete(self, url: URL, **options: Any) -> _Call:
        return self._call("DELETE", url, **options)

    def _call(
        self, method: str, url: URL, *, data: Any, headers: Mapping[str, str], timeout: Any, proxy: None
    ) -> _Call:
        body = data.decode() if isinstance(data, bytes) else data or ""
        ask = Ask(method, url.raw_path, url.raw_query_string, body, headers.get("X-MBX-APIKEY", ""))
        return _Call(self._asked(ask, timeout.total))

    async def _asked(self, ask: Ask, timeout_s: float) -> Reply:
        process, reaper = self._process, self._reaper
        await process.reach()
        left_s = self._patient_until - asyncio.get_running_loop().time()
        if left_s > 0.01:
            self._impatient(f"{ask.method} {ask.path} with {left_s:.1f} s of Retry-After left")
        reaper.calls += 1
        number = reaper.calls
        if reaper.meets("call", number, after=False):
            process.die(f"before request {number}")
        await process.reach()
        answer = self._network.send(ask)
        if reaper.meets("call", number, after=True):
            process.die(f"with request {number} on its way")
        await process.reach()
        try:
            async with asyncio.timeout(timeout_s):
                reply = await asyncio.shield(answer)
                self._asked_to_wait(reply)
                return reply
        except Cut:
            raise aiohttp.ServerDisconnectedError from None
        except Unreachable as fault:
            raise aiohttp.ClientConnectorError(_NOBODY, OSError(fault.errno, "refused")) from None
        finally:
            await process.reach()

    def _asked_to_wait(self, reply: Reply) -> None:
        wait_s = {name.lower(): value for name, value in reply.headers.items()}.get("retry-after", "")
        if reply.status in (418, 429) and wait_s.isdigit():
            now = asyncio.get_running_loop().time()
            self._patient_until = max(self._patient_until, now + int(wait_s))

    async def close(self) -> None:
        """Nothing is open."""


class _Call:
    """One request as ccxt wants it: an asynchronous context with the response in it."""

    def __init__(self, asked: Awaitable[Reply]) -> None:
        self._asked = asked

    async def __aenter__(self) -> _Response:
        return _Response(await self._asked)

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""


class _Response:
    """An answer as aiohttp shows it."""

    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.reason = "OK"
        self.headers = {"Content-Type": "application/json", **reply.headers}
        self._body = reply.body

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode("utf-8", errors)


def connect(
    network: Network, clock: WallClock, process: Process, reaper: Reaper, impatient: Callable[[str], None]
) -> Binance:
    """The real adapter, freshly made as at a start, over this network."""
    # a new process remembers no ban: patience is kept by address
    binance = Binance(f"http://start-{next(_STARTS)}.invalid", clock, KEY, SECRET, paced=False)
    client = binance._wire._client
    client.verify = False  # no certificates are read where nothing is encrypted
    client.own_session = False
    client.session = Session(network, process, reaper, impatient)
    process.left.append(lambda: setattr(client, "session", None))
    return binance


class SimStream:
    """The exchange's word that something happened to our orders: late, twice, out of order, silent, or cut."""

    def __init__(self, exchange: SimExchange, rng: Random, share: Callable[[], float], process: Process) -> None:
        self._rng = rng
        self._share = share
        self._exchange = exchange
        self._process = process

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Call ``heard`` with the symbol of each event and ``connected`` after each connection, until cancelled."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.1, 1.0))
            await self._process.reach()
            with suppress(Cut):
                connected()
                await self._until_cut(heard)

    async def _until_cut(self, heard: Callable[[str], None]) -> None:
        waiting: asyncio.Queue[str] = asyncio.Queue()
        silent = self._rng.random() < self._share()

        def tell(moves: Any) -> None:
            if moves and not silent:
                for event in account_events(self._exchange, moves):
                    if symbol := event.get("s"):
                        waiting.put_nowait(symbol)

        listener = (tell, lambda: None)
        self._exchange.listeners.append(listener)
        try:
            while True:
                symbol = await waiting.get()
                await self._deliver(symbol, heard)
        finally:
            self._exchange.listeners.remove(listener)

    async def _deliver(self, symbol: str, heard: Callable[[str], None]) -> None:
        luck = self._rng.random()
        share = self._share()
        if luck < share / 3:
            raise Cut
        await asyncio.sleep(self._rng.uniform(0.0, 0.2 if luck > share else 5.0))
        await self._process.reach()
        for _ in range(2 if luck < share else 1):
            heard(symbol)
