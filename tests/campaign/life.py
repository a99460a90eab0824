"""One seed, one life: a market, an exchange, a network, a disk, a phone, and the program among them; then judgement.

Rule 1: trouble first, calm afterwards; what is not in order once it had time to settle is a violation.
Rule 2: the same seed gives the same trace, line by line, wherever and however often it is lived.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from core.adapters.clock import WallClock
from core.adapters.journal import SqliteJournal
from core.adapters.statefolder import Stores
from core.compose import Whole
from core.decide.costs import Fees
from core.decide.transfers import accept
from core.decide.venue import VenueTrade
from core.domain.effects import Tell
from core.domain.errors import StoreUnusable
from core.domain.market import from_ms, to_ms
from core.domain.state import State
from core.ports import Committed
from core.run.assistant import Assistant
from core.run.replay import again
from core.run.supervisor import run_together
from core.sim.exchange.face import Ask, Face
from core.sim.exchange.fault_plan import Kind
from core.sim.exchange.faults import FaultyLine
from core.sim.exchange.world import SimExchange
from tests.campaign import invariants
from tests.campaign.bounds import Bounds
from tests.campaign.invariants import Uptime, Violation, Witness
from tests.campaign.loop import live
from tests.campaign.market import HISTORY, SPAN_MS, Zigzag
from tests.campaign.owner import Owner, Phone
from tests.campaign.plan import Plan, plan_of
from tests.campaign.process import Process, Reaper, outside, sorted_out
from tests.campaign.shell import MARK, Surroundings, composed, quiet, stood_in
from tests.campaign.store import Disk, InlineDatabase, rows
from tests.campaign.wire import KEY, SECRET, Network, SimStream, SteppedClock, connect

BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTLES_WITHIN_S = 25 * 60
KEPT_LINES = 60
# what is to be left at its time limit is gone so much later, whatever the exchange does meanwhile
LEFT_WITHIN_S = 600.0


@dataclass(slots=True)
class Result:
    """What came of one life; ``digest`` is the SHA-256 of its trace, ``before`` what led to its first violation."""

    seed: int
    digest: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)
    intents: int = 0
    orders: int = 0
    kills: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    fees: Counter[str] = field(default_factory=Counter)
    protected_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)


class Life:
    """Everything of one life and its end."""

    def __init__(self, plan: Plan, say: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.result = Result(plan.seed)
        self._say = say
        self._digest = hashlib.sha256()
        self._loop = asyncio.get_running_loop()
        self._loop.set_task_factory(sorted_out)
        self._over = False
        self._heard = 0
        self._process: Process | None = None
        self._live_line = True
        self._stepped = State()
        self.bounds = Bounds()
        self._build()

    def _build(self) -> None:
        plan, loop = self.plan, self._loop
        begin_ms = to_ms(BEGIN)
        spare = SETTLES_WITHIN_S // 60 + 10
        self.market = Zigzag(
            plan.symbols, plan.seed, begin_ms - HISTORY * SPAN_MS, HISTORY + plan.bars + spare, plan.swing, plan.thin
        )
        fees = Fees() if plan.fee_in == "own" else Fees(bnb_prices={"USDT": Decimal("580")})
        self.exchange = SimExchange(
            self.market, start=BEGIN, speed=1.0, keys={KEY: SECRET}, balances=plan.coins, fees=fees, clock=loop.time
        )
        for symbol in plan.without_lists:
            self.exchange.set_rules(symbol, lists=False)
        self.clock = SteppedClock(begin_ms, loop)
        self.line = FaultyLine(Face(self.exchange), plan.faults, plan.seed, told=self._failed)
        self.network = Network(self.line, Random(f"network {plan.seed}"), self.note)
        self.reaper = Reaper(list(plan.kills))
        disk_rng = Random(f"disk {plan.seed}")
        self.disks = [Disk("main", disk_rng, plan.disk_full), Disk("bars", disk_rng)]
        self.uptime = Uptime()
        self.witness = Witness(self.exchange, MARK, loop.time, self.uptime)
        self.exchange.listeners.append((self._moved, lambda: None))
        phone_rng = Random(f"phone {plan.seed}")
        self.phone = Phone(phone_rng, self.note, lambda: self.line.share)
        self.telegram = self._telegram(phone_rng) if plan.telegram else None
        owner_rng = Random(f"owner {plan.seed}")
        self.owner = Owner(self.telegram or self.phone, self.exchange, owner_rng, plan.bars * 60.0, plan.moods, MARK)
        self.here = Surroundings(self.market, plan, self.clock.true_ms, self._unforeseen)

    def _telegram(self, rng: Random) -> Any:
        from tests.campaign.chat import Telegram  # aiogram costs a second: only lives with a real chat pay it

        return Telegram(lambda: from_ms(self.clock.true_ms()), rng, self.note, lambda: self.line.share)

    # what is written down

    def note(self, text: str) -> None:
        """One line of the trace."""
        line = f"{self._loop.time():9.3f} {text}"
        self._digest.update(f"{line}\n".encode())
        self.result.trace.append(line)
        if self._say is not None:
            self._say(line)
        elif len(self.result.trace) > 4 * KEPT_LINES:
            del self.result.trace[:-KEPT_LINES]

    def _failed(self, kind: Kind, ask: Ask) -> None:
        self.note(f"  fault {kind}: {ask.method} {ask.path}")
        if kind is Kind.STALE and ask.path.endswith("/openOrders"):
            self.witness.misled_at = self._loop.time()

    def _violated(self, kind: str, text: str) -> None:
        if (kind, text) not in self.result.violations:
            self.result.violations.append((kind, text))
            self.note(f"VIOLATION {kind}: {text}")
            self.result.before = self.result.before or self.result.trace[-KEPT_LINES:]

    def _unforeseen(self, where: str, error: BaseException) -> None:
        self._violated("unforeseen", f"{where}: {type(error).__name__}: {error}")

    def _moved(self, moves: Any) -> None:
        for move in moves:
            order = getattr(move, "order", None)
            if order is not None:
                self.note(f"  exchange: {move.motion} {order.client_id} {order.filled_qty}/{order.qty} {order.status}")
        self._judge(lambda: self.witness.moved(moves))

    def _judge(self, look: Callable[[], None]) -> None:
        try:
            look()
        except Violation as violation:
            self._violated(violation.kind, str(violation).partition(": ")[2])
            if violation.kind == "unprotected":  # told here: once is enough
                self.witness.told[""] = self._loop.time()

    def _hear(self, line: Committed) -> None:
        """Take in one committed line, from the running engine or, after a kill, from the disk."""
        if line.seq <= self._heard:
            return
        self._heard = line.seq
        names = " ".join(type(effect).__name__ for effect in line.effects)
        self.note(f"{line.seq:5d} {type(line.event).__name__} {_about(line.event)} => {names}")
        before = self._stepped
        try:
            self._stepped, _ = again(before, line)
        except Exception as error:
            self._violated("replay", f"line {line.seq}: {type(error).__name__}: {error}")
        for effect in line.effects:
            if isinstance(effect, Tell):
                self.note(f"      tell {'!' if effect.urgent else ''}{effect.topic} {effect.ref} {effect.text[:140]}")
            entry = invariants.entry_of(effect)
            if entry is not None and self._live_line:
                self._judge(partial(invariants.check_entry, before, entry, self.witness))
                self._judge(partial(self.bounds.check_entry, before, self._stepped, line.event, entry))
        self._judge(partial(self.bounds.check_line, before, self._stepped, line.event))
        self.bounds.heard(line)
        self.witness.alarmed = {symbol for symbol, held in self._stepped.positions.items() if held.alarmed}
        self.witness.heard(line, invariants.entry_of)

    # the program

    async def _program(self, process: Process) -> None:
        main, bars = (InlineDatabase(disk, process, self.reaper) for disk in self.disks)
        self._live_line = False  # what was committed before the last kill is judged late: the world has moved on
        async for line in SqliteJournal(main).events_after(self._heard):  # type: ignore[arg-type]
            self._hear(line)
        self._live_line = True
        clock = WallClock(self.clock.wall, self._loop.time, await SqliteJournal(main).last_at())  # type: ignore[arg-type]
        binance = connect(self.network, clock, process, self.reaper, partial(self._violated, "impatient"))
        stream = SimStream(self.exchange, Random(f"stream {process.number}"), lambda: self.line.share, process)
        stores = Stores(main, bars)  # type: ignore[arg-type]
        whole = await composed(self.plan, stores, clock, binance, stream)
        assistant = whole.assistant
        assistant.engine.listen(self._hear)
        parts = {
            **assistant.parts(),
            **self._chat(process, whole),
            "assistant": lambda: assistant.work(lambda: None, 10.0),
            "awake": lambda: self._await_awake(process, assistant),
        }
        await run_together(parts, asyncio.Event())

    def _chat(self, process: Process, whole: Whole) -> dict[str, Callable[[], Any]]:
        """The bot in front of the chat, or a plain outlet in the place of both."""
        if self.telegram is None:
            desk = whole.assistant.desk
            deliver = partial(self.phone.deliver, process, whole.outbox)
            return {"courier": deliver, "chat": partial(self.phone.listen, process, desk)}
        from tests.campaign.chat import parts

        return parts(self.telegram, process, whole, self._loop.time)

    async def _await_awake(self, process: Process, assistant: Assistant) -> None:
        await assistant.awake()
        self.uptime.awake = self._loop.time()
        self.note(f"AWAKE after {self._loop.time() - process.started:.3f} s")
        if process.number > 1:
            self.result.recovered_s.append(self._loop.time() - process.started)
        await asyncio.Event().wait()

    async def _run_program(self) -> None:
        """Start it, and start it again whenever it ended, as the machine's supervisor does."""
        rng = Random(f"starts {self.plan.seed}")
        await asyncio.sleep(self.plan.first_start_s)
        for number in range(1, 200):
            process = Process(number, self._loop.time(), self.note)
            self.uptime.since, self.uptime.awake = process.started, None
            self._process = process
            self.note(f"START {number}")
            main = process.start(self._program(process))
            died = asyncio.ensure_future(process.dead.wait())
            try:
                await asyncio.wait([main, died], return_when=asyncio.FIRST_COMPLETED)
                self.uptime.since = None
                self.result.kills += died.done()
                if not died.done():
                    self._ended(main)
            finally:
                died.cancel()
                await process.bury()
            await asyncio.sleep(rng.choice((0.5, 2.0, rng.uniform(2, 60))))

    def _ended(self, main: asyncio.Task[None]) -> None:
        error = main.exception()
        if not isinstance(error, StoreUnusable):
            self._violated("crash", f"the program ended: {type(error).__name__}: {error}")
        else:
            self.note(f"ENDED {error}")

    # the world

    async def _trouble(self) -> None:
        for at, off_s in self.plan.clock_steps:
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            self.clock.off_s = off_s
            self.note(f"CLOCK is off by {off_s:.3f} s")

    async def _kill_in_time(self) -> None:
        """Kills of this life that have a moment instead of a step."""
        kills = sorted((k for k in self.plan.kills if k.what == "time"), key=lambda k: k.at)
        for kill in kills:
            await asyncio.sleep(max(0.0, kill.at - self._loop.time()))
            if self._process is not None:
                self._process.die("at its time")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.exchange.now_ms()
            self._judge(self.witness.look)

    async def run(self) -> Result:
        """Live it."""
        tasks = [
            outside(job())
            for job in (self._run_program, self._trouble, self._kill_in_time, self._watch, self.owner.live)
        ]
        try:
            for _ in range(self.plan.bars):
                await asyncio.sleep(60.0)
            await self._calm_down()
            await self._settle()
        finally:
            for task in tasks:
                task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        return self._summed_up()

    async def _calm_down(self) -> None:
        self.note("CALM")
        self.line.share = 0.0
        self.reaper.kills.clear()
        self.disks[0].full = 0.0
        self.clock.off_s = 0.0
        self.here.calm = True

    async def _settle(self) -> None:
        """Wait until everything is in order; what is still not in order at the end is a violation."""
        wrong: list[tuple[str, str]] = []
        for _ in range(SETTLES_WITHIN_S // 20):
            await asyncio.sleep(20.0)
            wrong = self._out_of_order()
            if not wrong:
                return
        for kind, text in wrong:
            self._violated(kind, text)

    def _out_of_order(self) -> list[tuple[str, str]]:
        disk, witness = self.disks[0], self.witness
        self.exchange.now_ms()
        journaled = {n: (s, Decimal(q)) for n, s, q in rows(disk, "SELECT client_id, state, filled_qty FROM orders")}
        found = [("stuck", text) for text in invariants.stuck(journaled, witness)]
        # what the owner was asked about is theirs to answer
        state, _ = accept(self._stepped, from_ms(self.exchange.tape.now_ms))
        found += [("money", text) for text in invariants.difference(state.balances, self.exchange.totals())]
        fills = {
            (s, int(t)): (Decimal(q), Decimal(p), Decimal(f), a)
            for s, t, q, p, f, a in rows(disk, "SELECT symbol, trade_id, qty, price, fee, fee_asset FROM fills")
        }
        found += [("fills", text) for text in self._fills_differ(fills)]
        found += [("kept", text) for text in witness.kept(self.plan.horizon[1] * 60.0 + LEFT_WITHIN_S)]
        found += [("message", text) for text in self._never_arrived()]
        found += [("phantom", text) for text in witness.phantoms()]
        found += [
            ("unprotected", f"{symbol}: {witness.bare(symbol)} is bare at the end and nobody was told")
            for symbol in witness.bares
            if witness.bare(symbol) > 0 and not witness.knows(symbol)
        ]
        return found

    def _never_arrived(self) -> list[str]:
        """Messages that left the list of those to deliver and never reached the phone, a line each."""
        if self.telegram is not None:
            return []
        sent = {i for (i,) in rows(self.disks[0], "SELECT id FROM outbox WHERE sent_ms IS NOT NULL")}
        return [f"message {i} never arrived" for i in sorted(sent - {parcel.parcel_id for parcel in self.phone.got})]

    def _fills_differ(self, fills: dict[tuple[str, int], tuple[Decimal, Decimal, Decimal, str]]) -> list[str]:
        real = {(t.symbol, t.trade_id): (t.qty, t.price, t.fee, t.fee_asset) for t in self.witness.trades}
        found = [
            f"{key} is booked as {fills[key]}, the exchange has {real.get(key)}"
            for key in fills
            if real.get(key) != fills[key]
        ]
        ours = {(t.symbol, t.trade_id) for t in self.witness.trades if self.witness.ours(t.client_id)}
        return found + [f"trade {key} was never booked" for key in sorted(ours - fills.keys())]

    def _summed_up(self) -> Result:
        result, witness = self.result, self.witness
        commands = [key for (key,) in rows(self.disks[0], "SELECT key FROM journal WHERE key LIKE 'update:%'")]
        for key in invariants.counted(commands):
            self._violated("command", f"{key} had an effect more than once")
        strangers = {f"update:{number}" for number in self.telegram.strange} if self.telegram else set()
        for key in sorted(strangers & set(commands)):
            self._violated("stranger", f"{key} of a stranger had an effect")
        result.intents, result.orders = len(witness.intents), witness.orders
        result.protected_s = witness.protected_s
        result.fees = Counter(_paid_in(trade) for trade in witness.trades)
        result.faults = Counter({str(kind): n for kind, n in self.line.counted.items()})
        result.seconds = self._loop.time()
        result.digest = self._digest.hexdigest()
        for disk in self.disks:
            disk.close()
        del result.trace[: -(10**9) if self._say else -KEPT_LINES]
        return result


def _paid_in(trade: VenueTrade) -> str:
    """Whether a trade's fee was paid in BNB, the asset traded or the money it is traded for."""
    if trade.fee_asset == "BNB":
        return "BNB"
    return "base" if trade.symbol.startswith(trade.fee_asset) else "quote"


def _about(event: object) -> str:
    for name in ("client_id", "intent", "symbol"):
        if value := getattr(event, name, ""):
            return str(value)
    fill = getattr(event, "fill", None)
    bar = getattr(event, "bar", None)
    return f"{fill.symbol} {fill.trade_id} {fill.side} {fill.qty} @ {fill.price}" if fill else bar.symbol if bar else ""


def live_once(seed: int, *, faults: bool = True, say: Callable[[str], None] | None = None) -> Result:
    """The life of one seed."""
    quiet()

    async def main() -> Result:
        life = Life(plan_of(seed, faults=faults), say)
        with stood_in(life.here, asyncio.get_running_loop()):
            return await life.run()

    result: Result = live(seed, main)
    return result
