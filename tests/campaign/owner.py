"""The owner of one life, and a plain chat between them and the program: a phone that survives whatever happens to it.

Rule 1: the owner knows only what was delivered; what they typed waits until it is handled, and may be handed over
        twice, as a chat does after a crash.
Rule 2: what the owner does at the exchange itself is told to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Any, Protocol

from core.decide.venue import Placement
from core.domain.effects import Topic
from core.domain.errors import FirstmateError, Refused
from core.domain.market import ZERO
from core.domain.orders import OrderKind, Side
from core.domain.state import TradingState
from core.ports import Outbox, Parcel
from core.run.desk import Asked, Desk
from core.sim.exchange.world import SimExchange
from tests.campaign.process import Process, outside

MOODS = ("pause", "panic", "tighten", "move_stop", "sell", "cancel", "deposit", "withdraw", "foreign", "halt", "rules")


@dataclass(frozen=True, slots=True)
class Said:
    """One update: its number, a verb and what it is about."""

    update_id: int
    verb: str
    about: str = ""


class Outlet(Protocol):
    """The owner's end of a chat."""

    note: Callable[[str], None]
    on_signal: Callable[[str], None]
    on_halt: Callable[[], None]

    def say(self, verb: str, about: str = "") -> None:
        """Type a command or press a button."""


@dataclass(slots=True)
class Phone:
    """Messages the owner has, and updates that wait for the program."""

    rng: Random
    note: Callable[[str], None]
    share: Callable[[], float]
    got: list[Parcel] = field(default_factory=list)
    waiting: dict[int, Said] = field(default_factory=dict)
    handled: list[Said] = field(default_factory=list)
    on_signal: Callable[[str], None] = lambda ref: None
    on_halt: Callable[[], None] = lambda: None
    _next: int = 1

    def say(self, verb: str, about: str = "") -> None:
        """Type a command or press a button."""
        said = Said(self._next, verb, about)
        self._next += 1
        self.waiting[said.update_id] = said
        self.note(f"OWNER {said.update_id} {verb} {about}")

    async def deliver(self, process: Process, outbox: Outbox) -> None:
        """The courier's part, over a chat that fails: until cancelled."""
        while True:
            await asyncio.sleep(0.9)
            for parcel in await outbox.pending(20):
                await process.reach()
                luck = self.rng.random() / max(self.share(), 1e-9)
                if luck < 0.3:  # lost on the way there, or asked for patience
                    await asyncio.sleep(self.rng.uniform(0.5, 5.0))
                    break
                self._receive(parcel)
                if luck < 0.6:  # its receipt is lost: it comes again
                    await asyncio.sleep(self.rng.uniform(0.1, 2.0))
                    break
                await outbox.delivered(parcel.parcel_id, len(self.got))

    def _receive(self, parcel: Parcel) -> None:
        self.got.append(parcel)
        self.note(f"  phone: {parcel.tell.topic} {parcel.tell.ref} {parcel.tell.text[:100]}")
        tell = parcel.tell
        if tell.topic is Topic.SIGNAL:
            self.on_signal(tell.ref)
        elif tell.topic is Topic.STATE and TradingState.HALTED in (tell.ref, tell.text):
            self.on_halt()

    async def listen(self, process: Process, desk: Desk) -> None:
        """The gate's part: each waiting update once, noted after it is handled; until cancelled."""
        while True:
            await asyncio.sleep(0.8)
            for said in list(self.waiting.values()):
                await process.reach()
                if not await desk.seen(said.update_id):
                    answer = await self._handled(said, desk)
                    self.note(f"  answer to {said.update_id}: {answer[:100]}")
                    await desk.note(said.update_id, said.verb)
                if self.rng.random() / max(self.share(), 1e-9) > 0.7:  # else it is handed over once more
                    await process.reach()
                    self.waiting.pop(said.update_id, None)

    async def _handled(self, said: Said, desk: Desk) -> str:
        asked = Asked(said.update_id, f"update:{said.update_id}")
        try:
            return str(await VERBS[said.verb](desk, asked, said.about))
        except FirstmateError as error:
            return f"refused: {error.user_text}"


async def _tighten(desk: Desk, asked: Asked, about: str) -> str:
    return await desk.tighten(asked, "symbol_exposure_max", about)


async def _move_stop(desk: Desk, asked: Asked, about: str) -> str:
    """Move the stop of the first position up by a share of its way to the price, or let it trail."""
    symbol = next(iter(sorted(desk.state.positions)), "")
    if not symbol:
        return "nothing to move"
    if about == "trail":
        return await desk.move_stop(asked, symbol, about)
    stop, mark = desk.state.positions[symbol].stop, desk.state.marks[symbol].bar.close
    price = desk.state.instruments[symbol].floor_price(stop + (mark - stop) * Decimal(about))
    return await desk.move_stop(asked, symbol, format(price, "f"))


VERBS: dict[str, Callable[[Desk, Asked, str], Any]] = {
    "approve": lambda desk, asked, about: desk.approve(asked, about),
    "skip": lambda desk, asked, about: desk.skip(asked, about),
    "pause": lambda desk, asked, about: desk.pause(asked),
    "resume": lambda desk, asked, about: desk.resume(asked),
    "panic": lambda desk, asked, about: desk.panic(asked),
    "tighten": _tighten,
    "move_stop": _move_stop,
}


class Owner:
    """Reads, decides, trades by hand now and then."""

    def __init__(self, phone: Outlet, exchange: SimExchange, rng: Random, ends_s: float, moods: int, mark: str) -> None:
        self._phone = phone
        self._exchange = exchange
        self._rng = rng
        self._ends_s = ends_s
        self._moods = moods
        self._mark = mark
        phone.on_signal = self._asked
        phone.on_halt = lambda: self._later(self._rng.uniform(5, 120), lambda: self._phone.say("resume"))

    def _asked(self, ref: str) -> None:
        verb = self._rng.choices(("approve", "skip", ""), (8, 1, 1))[0]
        if verb:
            self._later(self._rng.uniform(0.5, 50), lambda: self._phone.say(verb, ref))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()

        outside(wait())

    async def live(self) -> None:
        """Follow the moods of this life to their end."""
        times = sorted(self._rng.uniform(20, self._ends_s) for _ in range(self._moods))
        loop = asyncio.get_running_loop()
        for at in times:
            await asyncio.sleep(max(0.0, at - loop.time()))
            mood = self._rng.choice(MOODS)
            with suppress(Refused):
                getattr(self, f"_{mood}")()

    def _pause(self) -> None:
        self._phone.say("pause")
        self._later(self._rng.uniform(10, 120), lambda: self._phone.say("resume"))

    def _panic(self) -> None:
        self._phone.say("panic")
        self._later(self._rng.uniform(20, 180), lambda: self._phone.say("resume"))

    def _tighten(self) -> None:
        self._phone.say("tighten", self._rng.choice(("0.15", "0.1", "0.19")))

    def _move_stop(self) -> None:
        self._phone.say("move_stop", self._rng.choice(("0.2", "0.5", "0.9", "trail")))

    def _symbol(self) -> str:
        return self._rng.choice(self._exchange.market.symbols)

    def _free(self, symbol: str) -> Decimal:
        held = self._exchange.venue.balances.get(self._exchange.terms(symbol).instrument.base)
        return self._exchange.terms(symbol).instrument.floor_qty(held.free) if held else ZERO

    def _sell(self) -> None:
        """Sell by hand what is free of one asset."""
        self._exchange.now_ms()
        symbol = self._symbol()
        qty = self._free(symbol)
        if qty > 0:
            self._phone.note(f"BY HAND sells {qty} {symbol}")
            self._exchange.submit(Placement(symbol, Side.SELL, OrderKind.MARKET, self._name(), qty))

    def _cancel(self) -> None:
        """Cancel an order of the program by hand."""
        self._exchange.now_ms()
        orders = [o for each in self._exchange.venue.open.values() for o in each if o.client_id.startswith(self._mark)]
        if orders:
            order = self._rng.choice(orders)
            self._phone.note(f"BY HAND cancels {order.client_id}")
            self._exchange.cancel(order.symbol, order.client_id)

    def _foreign(self) -> None:
        """Place an order by hand that nobody told the program of."""
        self._exchange.now_ms()
        symbol = self._symbol()
        instrument = self._exchange.terms(symbol).instrument
        last = Decimal(repr(self._exchange.tape.last(symbol)))
        price = instrument.floor_price(last * Decimal("0.97"))
        qty = instrument.floor_qty(Decimal(50) / price)
        self._phone.note(f"BY HAND bids {qty} {symbol} at {price}")
        self._exchange.submit(Placement(symbol, Side.BUY, OrderKind.LIMIT, self._name(), qty, price=price))

    def _name(self) -> str:
        return f"web_{self._rng.randrange(10**9)}"

    def _asset(self) -> str:
        return self._rng.choice(("USDT", self._exchange.terms(self._symbol()).instrument.base))

    def _deposit(self) -> None:
        """Coins come; the quote asset by the hundred."""
        asset = self._asset()
        amount = Decimal(self._rng.choice(("0.5", "3", "0.00000001"))) * (100 if asset == "USDT" else 1)
        self._phone.note(f"BY HAND deposits {amount} {asset}")
        self._exchange.deposit(asset, amount)

    def _withdraw(self) -> None:
        """A part of what is free goes."""
        asset = self._asset()
        held = self._exchange.venue.balances.get(asset)
        amount = (held.free if held else ZERO) * Decimal(self._rng.choice(("0.05", "0.5", "1")))
        amount = amount.quantize(Decimal("0.00000001"), ROUND_DOWN)
        if amount > 0:
            self._phone.note(f"BY HAND withdraws {amount} {asset}")
            self._exchange.withdraw(asset, amount)

    def _halt(self) -> None:
        """The exchange stops a symbol for a while."""
        symbol = self._symbol()
        status = self._rng.choice(("HALT", "BREAK"))
        self._phone.note(f"EXCHANGE: {symbol} is {status}")
        self._exchange.set_status(symbol, status)
        self._later(self._rng.uniform(20, 300), lambda: self._exchange.set_status(symbol, "TRADING"))

    def _rules(self) -> None:
        """The exchange changes what it allows for a symbol, for a while."""
        symbol = self._symbol()
        instrument = self._exchange.terms(symbol).instrument
        name, new = self._rng.choice(
            (
                ("notional_min", instrument.notional_min * 10),
                ("qty_min", instrument.qty_min * 100),
                ("lot", instrument.lot * 10),
                ("tick", instrument.tick * 10),
                ("stops_max", 0),
                ("orders_max", 2),
                ("notional_max", instrument.notional_min * 20),
                ("qty_max", instrument.qty_min * 1000),
                ("market_qty_max", instrument.qty_min * 1000),
                ("buy_price_max", Decimal("1.001")),
                ("sell_price_max", Decimal("1.002")),
                ("sell_price_min", Decimal("0.999")),
                ("trail_max_bips", 0),
            )
        )
        before = getattr(instrument, name)
        self._phone.note(f"EXCHANGE: {name} of {symbol} is {new}")
        self._exchange.set_rules(symbol, **{name: new})
        self._later(self._rng.uniform(20, 600), lambda: self._exchange.set_rules(symbol, **{name: before}))
