"""The assistant wakes in one order, tries again without doing twice, works by schedule or in lock-step, and rests."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from core.domain import events as ev
from core.domain.errors import BadData, NeedsOwner, OutcomeUnknown, RetryLater
from core.domain.orders import OrderState, Purpose
from core.domain.state import Config, Limits, TradingState
from core.run import assistant as assistant_module
from core.run.analysts import Analysts
from core.run.assistant import Assistant, Parts
from core.run.desk import Asked, Desk
from core.run.engine import Engine, restore
from core.run.executor import Executor
from core.run.feed import Feed
from core.run.questions import About
from core.run.reconcile import Reconcile
from core.run.rules import Rules
from core.run.vitals import Vitals
from tests.run.fakes import Exchange, HandClock, ListMarket, MemoryBars, MemoryJournal, NoRecords
from tests.run.forecasting import the_rule
from tests.run.history import BARS, PAST, SYMBOLS
from tests.run.samples import HOUR, of_purpose, seen
from tests.run.shell import kinds, running, tells, until

BUSY = RetryLater("no network", 0.0)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(assistant_module, "RETRY_S", (0.0,))
    monkeypatch.setattr(assistant_module, "KEY_RETRY_S", 0.0)


class World:
    """What survives a restart, and the world outside."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.journal = MemoryJournal()
        self.store = MemoryBars()
        self.market = ListMarket(self.clock, BARS)
        self.exchange = Exchange(self.clock)
        self.config = Config(approve_auto=True)

    async def assistant(self) -> Assistant:
        """An assistant restored from the journal, not yet awake."""
        engine = Engine(self.journal, await restore(self.journal))
        reconcile = Reconcile(engine, self.exchange, self.clock)
        executor = Executor(engine, self.exchange, self.clock, follow=reconcile.symbol)
        self.rules = Rules(engine, self.market, self.clock, SYMBOLS, "USDT")
        vitals = Vitals()
        vitals.expect("start", 300.0)
        about = About("paper", "", SYMBOLS, HOUR)

        async def before(bars) -> None:
            await reconcile.poll()

        return Assistant(
            Parts(
                engine=engine,
                executor=executor,
                reconcile=reconcile,
                rules=self.rules,
                feed=Feed(
                    engine,
                    self.market,
                    self.store,
                    Analysts(SYMBOLS, HOUR, self.store, 0.7, the_rule()),
                    self.clock,
                    symbols=SYMBOLS,
                    span=HOUR,
                    history_bars=PAST,
                    before=before,
                    pace=executor.settled,
                ),
                desk=Desk(engine, self.clock, self.store, NoRecords(), about, vitals.checks, reconcile, self.market),
                vitals=vitals,
                journal=self.journal,
                records=NoRecords(),
                market=self.market,
                broker=self.exchange,
                clock=self.clock,
                about=about,
                wanted=ev.Configured(self.clock.now(), "start", self.config),
            )
        )

    @contextlib.asynccontextmanager
    async def running(self):
        """An assistant whose engine and executor run, not yet awake."""
        one = await self.assistant()
        async with running(*one.parts().values()):
            yield one


FIRST = ["Configured", "InstrumentsSeen", *["TradesBegan"] * len(SYMBOLS), "BalancesSeen", "PeersSeen"]


@pytest.fixture
def world():
    return World()


async def test_the_first_start_learns_configuration_rules_and_balances_in_this_order(world):
    """Nothing is decided before it is known what may be traded, how, and with what."""
    async with world.running() as one:
        await one.wake()
        await one.awake()
    assert kinds(world.journal) == FIRST
    assert one.engine.state.balances == {"USDT": 10_000}
    assert {len(kept) for kept in world.store.bars.values()} == {PAST}


async def test_a_pair_paid_in_another_asset_is_refused_at_the_start(world):
    """Money is counted in one asset: a price in bitcoin taken for one in dollars would size everything wrongly."""
    symbol = SYMBOLS[0]
    world.market.rules[symbol] = replace(world.market.rules[symbol], quote="BTC")
    async with world.running() as one:
        with pytest.raises(BadData, match=f"{symbol} is paid in BTC"):
            await one.wake()
    assert kinds(world.journal) == ["Configured"]


async def test_a_second_start_posts_only_what_is_new(world):
    """What is known already is not told again; balances that agree are no news."""
    for _ in range(2):
        async with world.running() as one:
            await one.wake()
    assert kinds(world.journal) == FIRST


async def fails_times(count: int, way, error: Exception):
    """``way``, failing the first ``count`` times."""
    left = count

    async def flaky(*asked):
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return await way(*asked)

    return flaky


@pytest.mark.parametrize("error", [BUSY, OutcomeUnknown("no answer")])
@pytest.mark.parametrize("stage", ["instruments", "bars", "balances"])
async def test_a_start_is_tried_again_while_the_exchange_is_away_and_nothing_is_posted_twice(world, stage, error):
    """No network at start is waited out, wherever in the start it goes missing."""
    side = world.exchange if stage == "balances" else world.market
    setattr(side, stage, await fails_times(3, getattr(side, stage), error))
    with capture_logs() as logs:
        async with world.running() as one:
            await one.wake()
    said = kinds(world.journal)
    assert said == FIRST
    waits = len([line for line in logs if line["event"] == "start-up is tried again"])
    # a read that failed for want of an answer is tried three times before the whole start is
    assert waits == (1 if stage == "balances" and error is BUSY else 3)


async def test_a_key_that_is_not_taken_at_the_start_is_tried_slowly_until_it_is_right(world):
    """Who mends the key on the exchange need not start the program again."""
    side = world.exchange
    side.balances = await fails_times(3, side.balances, NeedsOwner("the key is not valid"))
    async with world.running() as one:
        await asyncio.wait_for(one.wake(), 5)
        assert one.desk.health()[0].well
        assert one.engine.state.trading.state is TradingState.HALTED
    assert [tell.text for tell in tells(world.journal)] == ["Trading is now HALTED: the key is not valid."]


async def test_a_start_that_waits_says_why_and_is_alive(world):
    """Without a network /health tells the reason, and nobody restarts the process for it."""
    world.market.down[""] = BUSY
    async with world.running() as one:
        waking = asyncio.create_task(one.wake())
        await until(lambda: not one.desk.health()[0].well)
        assert (one.desk.health()[0].name, one.desk.health()[0].text) == ("start", "no network")
        world.market.down.clear()
        await asyncio.wait_for(waking, 5)
        assert one.desk.health()[0].well


async def test_changed_rules_are_told_and_unchanged_ones_are_not(world):
    """A symbol the exchange closes is known within the hour; no news costs no line."""
    async with world.running() as one:
        await one.wake()
        world.clock.pass_(minutes=20)
        await world.rules.freshen()
        assert kinds(world.journal) == FIRST
        closed = replace(world.market.rules["ETHUSDT"], status="BREAK")
        world.market.rules["ETHUSDT"] = closed
        world.clock.pass_(minutes=20)
        await world.rules.freshen()
    assert kinds(world.journal)[-1] == "InstrumentsSeen"
    assert one.engine.state.instruments["ETHUSDT"] == closed


async def test_a_limit_tightened_in_the_chat_outlives_a_restart(world):
    """The same configuration read again does not loosen what the owner tightened."""
    async with world.running() as one:
        await one.wake()
        await one.desk.tighten(Asked(1, "update:1"), "day_loss_max", "1%")
        await one.desk.set_time_zone(Asked(2, "update:2"), "Europe/Berlin")
    world.config = replace(world.config, approve_window_s=60)
    async with world.running() as again:
        await again.wake()
        assert again.engine.state.config.approve_window_s == 60
        assert again.engine.state.limits.day_loss_max == Decimal("0.01")
        assert again.engine.state.time_zone == "Europe/Berlin"


async def test_a_limit_changed_in_the_configuration_is_taken_over(world):
    """Raising a limit is done in the file, at the machine, and then it holds."""
    async with world.running() as one:
        await one.wake()
        await one.desk.tighten(Asked(1, "update:1"), "day_loss_max", "1%")
    world.config = replace(world.config, limits=Limits(day_loss_max=Decimal("0.05")))
    async with world.running() as again:
        await again.wake()
        assert again.engine.state.limits.day_loss_max == Decimal("0.05")


async def test_a_halt_outlives_a_restart(world):
    """After the panic button only the owner starts trading again, not the power coming back."""
    async with world.running() as one:
        await one.wake()
        await one.desk.panic(Asked(1, "update:1"))
    async with world.running() as again:
        await again.wake()
        assert again.engine.state.trading.state is TradingState.HALTED


async def test_a_beat_looks_at_the_bars_and_lets_everything_follow(world):
    """In lock-step market, machine and exchange take turns, each to its end."""
    async with world.running() as one:
        await one.wake()
        world.clock.pass_(hours=1)
        assert await one.beat() == 3
        assert one.engine.idle
        assert await one.beat() == 0
    assert kinds(world.journal)[len(FIRST) :] == ["BarSeen"] * 3


async def test_a_beat_books_what_the_market_did_before_the_bar_is_looked_at(world):
    """A target that was hit in an hour is booked before anything is decided on that hour."""
    async with world.running() as one:
        await one.wake()
        await one.engine.post(seen(-1))
        await one.settled()
        target = of_purpose(one.engine.state, Purpose.TARGET)
        assert target.state is OrderState.OPEN
        world.exchange.hit(target.client_id)
        world.clock.pass_(hours=1)
        await one.beat()
    said = kinds(world.journal)
    assert said.index("Filled", said.index("Filled") + 1) < said.index("BarSeen", said.index("BarSeen") + 1)
    assert "BTCUSDT" not in one.engine.state.positions


async def test_the_same_lock_step_run_twice_has_the_same_journal():
    """A run can be repeated: same market, same beats, same lines."""
    lives = []
    for _ in range(2):
        world = World()
        async with world.running() as one:
            await one.wake()
            for _ in range(12):
                world.clock.pass_(hours=1)
                await one.beat()
        lives.append(world.journal.lines)
    assert lives[0] == lives[1]


async def test_time_passes_only_for_what_waits(world):
    """A tick is posted while a proposal waits, and lets it expire; without one nothing is written."""
    world.config = Config(approve_auto=False)
    async with world.running() as one:
        await one.wake()
        await one.tick()
        assert "Ticked" not in kinds(world.journal)
        await one.engine.post(seen(0))
        assert one.engine.state.proposals
        world.clock.pass_(hours=2)
        await one.tick()
        assert not one.engine.state.proposals
    assert kinds(world.journal)[-1] == "Ticked"


async def test_at_work_every_job_runs_and_a_stop_saves(world):
    """Bars arrive without being asked for, and the way out leaves a snapshot."""
    async with world.running() as one:
        working = asyncio.create_task(one.work(lambda: None, 0.05))
        await asyncio.wait_for(one.awake(), 5)
        world.clock.pass_(hours=1)
        await until(lambda: "BarSeen" in kinds(world.journal))
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    names = {check.name for check in one.desk.health()}
    assert {"start", "bars", "guard", "reconcile", "expiry", "rules", "clock", "snapshot", "watchdog"} <= names
    assert world.journal.snapshots


async def test_the_watchdog_is_fed_from_the_first_moment(world):
    """A long start, or one without a network, is not taken for a standstill."""
    world.market.down[""] = BUSY
    fed = asyncio.Event()
    async with world.running() as one:
        working = asyncio.create_task(one.work(fed.set, 0.05))
        await asyncio.wait_for(fed.wait(), 5)
        assert "InstrumentsSeen" not in kinds(world.journal)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
