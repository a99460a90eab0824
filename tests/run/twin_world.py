"""Live and its paper twin in memory: each with its own clock, market, account and journal, on the same bars."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain import events as ev
from core.domain.effects import Decided, TradeDone
from core.domain.market import Bar, Instrument, Quote
from core.domain.orders import Fill
from core.domain.state import State, Trade
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.reconcile import Reconcile
from core.run.twin import Twin, TwinKept, TwinParts
from core.sim.twin import TwinBroker, open_twin
from tests.run.fakes import HandClock, MemoryJournal
from tests.run.samples import CASH, HOUR, START, forecast, instrument, opening
from tests.run.shell import running, until


class Street:
    """A market at one price; ``dearer`` is by which fraction it asks more and bids less than that.

    ``late_ms`` pass before it says what it costs; ``down`` is raised instead, ``rules_down`` instead of its rules.
    """

    def __init__(self, clock: HandClock, *symbols: str) -> None:
        self.clock = clock
        self.price = Decimal(100)
        self.dearer = Decimal(0)
        self.late_ms = 0
        self.rules = {symbol: instrument(symbol, "0.001") for symbol in symbols}
        self.down: Exception | None = None
        self.rules_down: Exception | None = None

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        if self.rules_down:
            raise self.rules_down
        return {symbol: self.rules[symbol] for symbol in symbols}

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        if self.down:
            raise self.down
        self.clock.pass_(milliseconds=self.late_ms)
        bid, ask = self.price * (1 - self.dearer), self.price * (1 + self.dearer)
        return {symbol: Quote(symbol, START, bid, ask) for symbol in symbols}

    async def bars(self, symbol: str, span: timedelta, since: datetime | None, limit: int) -> Sequence[Bar]:
        return [quiet(hour, symbol=symbol) for hour in range(-limit, 0)]

    async def depth(self, symbol: str, levels: int) -> None:
        raise NotImplementedError

    async def server_time(self) -> datetime:
        return START


class Shelf:
    """Where an account keeps its book, with how many lines ``journal`` had at each change."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.bodies: list[tuple[int, bytes]] = []

    async def save(self, body: bytes) -> None:
        self.bodies.append((len(self.journal.lines), body))

    async def load(self) -> bytes | None:
        return self.bodies[-1][1] if self.bodies else None


class Told:
    """What stands in a journal, read as records are."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.hushed = 0

    async def trades(self, limit: int) -> Sequence[Trade]:
        effects = [effect for line in self.journal.lines for effect in line.effects]
        return [effect.trade for effect in effects if isinstance(effect, TradeDone)][::-1][:limit]

    async def fills(self, since: datetime, limit: int) -> Sequence[Fill]:
        fills = [event.fill for event in self.journal.events() if isinstance(event, ev.Filled)]
        return [fill for fill in fills if fill.at >= since][::-1][:limit]

    async def hush(self) -> int:
        self.hushed += 1
        return 0


def quiet(hour: int, close: str = "100", symbol: str = "BTCUSDT", low: str = "", high: str = "") -> Bar:
    """The bar that opens ``hour`` hours after START; it moves no further than it is told."""
    price = Decimal(close)
    bottom, top = Decimal(low or close), Decimal(high or close)
    return Bar(symbol, START + hour * HOUR, HOUR, price, max(price, top), min(price, bottom), price, Decimal(100_000))


@dataclass
class Live:
    """The side with the money, driven by hand as a feed would."""

    symbols: tuple[str, ...] = ("BTCUSDT",)
    clock: HandClock = field(default_factory=HandClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    account: TwinBroker | None = None
    engine: Engine = field(init=False)
    executor: Executor = field(init=False)
    reconcile: Reconcile = field(init=False)
    street: Street = field(init=False)
    update_id: int = 0

    def __post_init__(self) -> None:
        self.street = Street(self.clock, *self.symbols)

    async def open(self) -> None:
        """Engine and account, restored from what there is."""
        if self.account is None:
            shelf = Shelf(self.journal)
            cash = {"USDT": CASH}
            self.account = await open_twin(self.street, self.clock, HOUR, cash, save=shelf.save, load=shelf.load)
        self.engine = Engine(self.journal, await restore(self.journal))
        self.reconcile = Reconcile(self.engine, self.account, self.clock)
        self.executor = Executor(self.engine, self.account, self.clock, follow=self.reconcile.symbol)

    @property
    def state(self) -> State:
        return self.engine.state

    async def first_events(self, *, approve_auto: bool = True) -> None:
        """Configuration, rules and balances."""
        for event in opening(*self.symbols, approve_auto=approve_auto, fee="0.001"):
            await self.engine.post(event)
        await self.reconcile.full("start")

    async def see(self, bar: Bar, *, buy: bool = False) -> None:
        """A bar closes: it meets the open orders, then the machine."""
        self.clock.at = max(self.clock.at, bar.close_at)
        await self.account.on_bar(bar)
        await self.reconcile.poll()
        await self.settled()
        given, silence = (forecast(bar), "") if buy else (None, "nothing to see")
        await self.engine.post(ev.BarSeen(bar.close_at, f"bar:{bar.symbol}", bar, given, silence))
        await self.settled()

    async def say(self, kind: type[ev.OwnerEvent], *more: object) -> None:
        """The owner says something."""
        self.update_id += 1
        await self.engine.post(kind(self.clock.now(), "update", self.update_id, *more))
        await self.settled()

    async def settled(self) -> None:
        while not (self.engine.idle and self.executor.idle):
            await self.engine.settled()
            await self.executor.settled()


@dataclass
class Pair:
    """Both sides, and the twin's own world; ``torn`` is raised when its store is opened."""

    live: Live = field(default_factory=Live)
    clock: HandClock = field(default_factory=HandClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    torn: Exception | None = None
    shelf: Shelf = field(init=False)
    street: Street = field(init=False)
    records: Told = field(init=False)
    twin: Twin = field(init=False)
    account: TwinBroker = field(init=False)

    def __post_init__(self) -> None:
        self.street = Street(self.clock, *self.live.symbols)
        self.records = Told(self.journal)
        self.shelf = Shelf(self.journal)

    async def _open(self, balances: Mapping[str, Decimal]) -> TwinBroker:
        keep = {"save": self.shelf.save, "load": self.shelf.load}
        self.account = await open_twin(self.street, self.clock, HOUR, balances, **keep)
        return self.account

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[TwinKept]:
        if self.torn:
            raise self.torn
        yield TwinKept(self.journal, self.records, self._open)

    def make(self) -> Twin:
        """A twin of what is kept."""
        live = self.live
        self.twin = Twin(TwinParts(live.engine, live.journal, Told(live.journal), self.clock, self._opened))
        return self.twin

    @contextlib.asynccontextmanager
    async def working(self, *, alone: bool = False) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Live and a fresh twin running, from what is kept; without the twin where live is ``alone``."""
        await self.live.open()
        twin = () if alone else (self.make().run,)
        async with running(self.live.engine.run, self.live.executor.run, *twin) as tasks:
            yield tasks

    async def caught_up(self) -> None:
        """Wait until the twin has followed every line of live and come to rest after it."""
        followed = "0 lines behind live"
        await until(lambda: self.twin.check().text == followed)
        looks = self.records.hushed
        await until(lambda: self.records.hushed > looks + 1)

    async def see(self, hour: int, close: str = "100", symbol: str = "BTCUSDT", *, buy: bool = False, **moved: str):
        """A bar closes for both; both clocks and markets go there."""
        bar = quiet(hour, close, symbol, **moved)
        self.clock.at = max(self.clock.at, bar.close_at)
        self.street.price = self.live.street.price = bar.close
        await self.live.see(bar, buy=buy)
        await self.caught_up()

    async def state(self) -> State:
        """The twin's state, as its journal proves it."""
        return await restore(self.journal)

    def killed(self, line: int, live: Live | None = None) -> Pair:
        """What is left when the twin's journal ends at ``line``: its lines and its account's book up to there."""
        left = Pair(live or self.live, clock=HandClock(self.clock.at))
        left.journal.lines += self.journal.lines[:line]
        left.shelf.bodies += [(count, body) for count, body in self.shelf.bodies if count <= line]
        return left


def decisions(journal: MemoryJournal) -> list[tuple[object, ...]]:
    """What was decided on one side: bar, outcome, quantity, barriers, reason."""
    told = [e.decision for line in journal.lines for e in line.effects if isinstance(e, Decided)]
    return [(d.symbol, d.bar_open_at, d.outcome, d.qty, d.stop, d.target, d.refusal) for d in told]


def bars(journal: MemoryJournal) -> list[Bar]:
    """Every bar a machine has seen, in order."""
    return [event.bar for event in journal.events() if isinstance(event, ev.BarSeen)]
