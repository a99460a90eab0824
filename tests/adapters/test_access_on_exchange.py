"""What the key may do, asked of the simulated exchange: with a wrong key nothing is signed but questions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from aiohttp import ClientSession, web

from core.adapters.binance import Binance
from core.adapters.binance_account import NEEDED, TOO_MUCH
from core.adapters.binance_gate import _GATES
from core.domain.effects import Tell
from core.domain.errors import NeedsOwner, RetryLater
from core.domain.market import to_ms
from core.domain.state import State, TradingState
from core.run.access import Access
from core.run.engine import Engine
from core.run.executor import Executor
from core.run.reconcile import Reconcile
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests.run.fakes import HandClock, MemoryJournal
from tests.run.samples import START, beginnings, opening, seen
from tests.run.shell import running

KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
SYMBOLS = ("BTCUSDT", "ETHUSDT")
PATH = "/sapi/v1/account/apiRestrictions"
Change = Callable[[dict[str, object]], object]


@dataclass
class Between:
    """Everything on its way to the exchange; ``change`` spoils what it says about the key's rights."""

    exchange: SimExchange
    url: str = ""
    change: Change = dict
    asked: list[str] = field(default_factory=list)

    def signed_changes(self) -> list[str]:
        """Signed requests that would change something, in order."""
        return [call for call in self.asked if not call.startswith("GET")]

    async def pass_on(self, request: web.Request) -> web.Response:
        """One request to the exchange and its answer back."""
        self.asked.append(f"{request.method} {request.path}")
        headers = {k: v for k, v in request.headers.items() if k.lower() in ("x-mbx-apikey", "content-type")}
        async with (
            ClientSession() as session,
            session.request(
                request.method, self.url + request.raw_path, data=await request.read(), headers=headers
            ) as answer,
        ):
            body = await answer.json()
            status = answer.status
        if request.path == PATH and status == 200:
            body = self.change(body)
        if isinstance(body, web.Response):
            return body
        if body is None:
            await asyncio.sleep(5)
        return web.json_response(body, status=status)


@asynccontextmanager
async def between() -> AsyncIterator[tuple[Between, Binance]]:
    """The simulated exchange behind a line that can spoil one answer, and the adapter before it."""
    market = SeededMarket(SYMBOLS, 7, 3_600_000, to_ms(START))
    money = {"USDT": Decimal(10_000)}
    exchange = SimExchange(market, start=START, speed=None, keys={KEY: SECRET}, balances=money)
    async with listening(exchange) as real:
        line = Between(exchange, real)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", line.pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        binance = Binance(url, HandClock(), KEY, SECRET, paced=False, timeout_s=1.0)
        try:
            yield line, binance
        finally:
            await binance.close()
            await runner.cleanup()
            _GATES.pop(url, None)


def access_of(binance: Binance) -> Access:
    """The look at the key before anything starts."""
    return Access(binance, Engine(MemoryJournal(), State()), HandClock())


async def test_the_key_of_a_careful_owner_is_admitted() -> None:
    """Spot trading from trusted addresses and nothing else."""
    async with between() as (line, binance):
        await access_of(binance).admit()
        assert line.asked == [f"GET {PATH}"]


@pytest.mark.parametrize("name", [*TOO_MUCH, *NEEDED])
async def test_each_wrong_right_is_refused_by_name_before_anything_is_signed(name: str) -> None:
    """One right too much or one too few, as the exchange itself tells it: the one request is the question."""
    async with between() as (line, binance):
        line.exchange.set_rights(**{name: name in TOO_MUCH})
        with pytest.raises(NeedsOwner, match=name):
            await access_of(binance).admit()
        assert line.asked == [f"GET {PATH}"]


def without(name: str) -> Change:
    """An answer in which one right is not mentioned."""
    return lambda said: {key: value for key, value in said.items() if key != name}


def with_(name: str, value: object) -> Change:
    """An answer in which one right is something else."""
    return lambda said: {**said, name: value}


SPOILED: dict[str, Change] = {
    **{f"without {name}": without(name) for name in (*TOO_MUCH, *NEEDED)},
    **{f"{name} as text": with_(name, "false") for name in (*TOO_MUCH, *NEEDED)},
    "null": with_("enableWithdrawals", None),
    "a number": with_("ipRestrict", 1),
    "a new right": with_("enableTeleport", True),
    "a new right, unclear": with_("permitsTeleport", "no"),
    "expired": with_("tradingAuthorityExpirationTime", to_ms(START)),
    "an end nobody can read": with_("tradingAuthorityExpirationTime", "soon"),
    "nothing": lambda said: {},
    "a list": lambda said: [said],
    "a refusal": lambda said: web.json_response({"code": -2015, "msg": "Invalid API-key"}, status=401),
    "no such path": lambda said: web.Response(status=404, text="not here"),
    "another refusal": lambda said: web.json_response({"code": -1100, "msg": "Illegal"}, status=400),
}
UNREACHED: dict[str, Change] = {
    "an error": lambda said: web.Response(status=500, text="oops"),
    "half an answer": lambda said: web.Response(text='{"ipRestrict": tr', content_type="application/json"),
    "no answer": lambda said: None,
    "another address": lambda said: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}),
}


@pytest.mark.parametrize("spoiled", SPOILED)
async def test_rights_that_are_not_told_plainly_are_refused(spoiled: str) -> None:
    """Missing, of another type, unknown, expired or refused: live does not begin, and one line says why."""
    async with between() as (line, binance):
        line.change = SPOILED[spoiled]
        with pytest.raises(NeedsOwner) as refused:
            await access_of(binance).admit()
        assert "key cannot be used" in refused.value.user_text
        assert line.asked == [f"GET {PATH}"]


@pytest.mark.parametrize("unreached", UNREACHED)
async def test_rights_that_cannot_be_asked_for_admit_nobody(unreached: str) -> None:
    """Errors, cut answers and silence are asked again; until there is an answer nothing begins."""
    async with between() as (line, binance):
        line.change = UNREACHED[unreached]
        with pytest.raises(RetryLater):
            await access_of(binance).admit()
        assert set(line.asked) == {f"GET {PATH}"}


FLIPS: dict[str, Change] = {
    **{name: with_(name, True) for name in TOO_MUCH},
    **{f"not {n}": with_(n, False) for n in NEEDED},
}


@pytest.mark.parametrize("flip", [None, *FLIPS, "without enableMargin", "a new right", "a refusal"])
async def test_a_key_that_turns_wrong_while_running_signs_no_order_from_then_on(flip: str | None) -> None:
    """Orders left before; after the hourly look the owner is told once, urgently, and nothing is ordered any more."""
    async with between() as (line, binance):
        clock, journal = HandClock(), MemoryJournal()
        engine = Engine(journal, State())
        reconcile = Reconcile(engine, binance, clock)
        executor = Executor(engine, binance, clock, follow=reconcile.symbol)
        access = Access(binance, engine, clock)
        async with running(engine.run, executor.run):

            async def look(symbol: str) -> list[str]:
                before = len(line.signed_changes())
                event = seen(0, symbol=symbol)
                clock.at = event.at
                await engine.post(event)
                while not (engine.idle and executor.idle):
                    await engine.settled()
                    await executor.settled()
                return line.signed_changes()[before:]

            for event in (*opening(*SYMBOLS), *beginnings(*SYMBOLS)):
                await engine.post(event)
            assert await look("BTCUSDT") != []
            if flip:
                line.change = {**SPOILED, **FLIPS}[flip]
            await access.watch()
            await access.watch()
            ordered = await look("ETHUSDT")
        told = [e for row in journal.lines for e in row.effects if isinstance(e, Tell) and e.ref == "HALTED"]
        assert bool(ordered) == (flip is None)
        assert [(tell.urgent, "key cannot be used" in tell.text) for tell in told] == ([(True, True)] if flip else [])
        assert (engine.state.trading.state is TradingState.HALTED) == bool(flip)
