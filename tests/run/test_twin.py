"""The paper twin follows live on the same events, shows the difference, loses nothing, and never touches live."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from core.decide.step import step
from core.domain import events as ev
from core.domain.effects import Effect
from core.domain.errors import Refused, RetryLater, StoreUnusable
from core.domain.state import Limits, State, TradingState, Trust
from core.ports import Change
from core.run import twin as twin_module
from tests.run.samples import CASH, HOUR, START, opening
from tests.run.shell import until
from tests.run.twin_world import Live, Pair, Told, bars, decisions, quiet

D = Decimal


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(twin_module, "LOOK_S", 0.005)


@pytest.fixture
def pair():
    return Pair()


async def round_trips(pair: Pair, count: int = 1, first: int = 0) -> None:
    """Buy at 100 on one bar, reach the target on the next, again and again."""
    for hour in range(first, first + 2 * count, 2):
        await pair.see(hour, buy=True)
        await pair.see(hour + 1, high="106")


async def test_the_same_events_give_the_same_decisions_where_fills_agree(pair):
    """Six round trips and an owner's words: both sides decide alike to the last digit and earn the same."""
    async with pair.working():
        await pair.live.first_events()
        await round_trips(pair, 3)
        await pair.live.say(ev.OwnerPaused)
        await pair.see(6, buy=True)
        await pair.live.say(ev.OwnerResumed)
        await round_trips(pair, 3, first=7)
        compared = await pair.twin.compare()
    assert decisions(pair.journal) == decisions(pair.live.journal)
    assert len(compared.rows) == compared.summary.count == 6
    assert {(row.entry_slippage_bps, row.exit_slippage_bps, row.missed) for row in compared.rows} == {(0, 0, "")}
    assert [row.live_profit for row in compared.rows] == [row.twin_profit for row in compared.rows]
    assert (await pair.state()).balances == pair.live.state.balances


async def test_the_owner_approves_for_both(pair):
    """One press of the button orders on both sides, and a limit tightened holds on both."""
    async with pair.working():
        await pair.live.first_events(approve_auto=False)
        await pair.live.say(ev.OwnerSetLimits, replace(Limits(), symbol_exposure_max=D("0.1")))
        await pair.see(0, buy=True)
        (intent,) = pair.live.state.proposals
        await pair.live.say(ev.OwnerApproved, intent)
        await pair.caught_up()
        (row,) = (await pair.twin.compare()).rows
    assert (row.intent, row.missed, row.entry_slippage_bps) == (intent, "", 0)
    assert decisions(pair.journal) == decisions(pair.live.journal)


async def test_a_model_that_is_trusted_less_buys_less_on_both_sides(pair):
    """What the lab says of its model cuts paper as it cuts live, so that it shows as no difference."""
    half = Trust("abc", D("0.5"), "its forecasts drift")
    async with pair.working():
        await pair.live.first_events()
        await pair.live.engine.post(ev.LabSpoke(START, "lab", "Less trust.", half))
        await round_trips(pair)
        twin = await pair.state()
    assert twin.trust == half
    assert decisions(pair.journal) == decisions(pair.live.journal)


async def test_who_moves_with_whom_is_the_same_on_both_sides(pair):
    """A bucket of exposure that is full in live is full on paper."""
    async with pair.working():
        await pair.live.first_events()
        await pair.live.engine.post(ev.PeersSeen(START, "peers", {"BTCUSDT": ("ETHUSDT",)}))
        await pair.caught_up()
        twin = await pair.state()
    assert twin.peers == {"BTCUSDT": ("ETHUSDT",)}


async def test_a_slower_and_worse_fill_shows_as_slippage_and_delay(pair):
    """Live buys 400 ms later and 30 basis points dearer than paper, and earns less."""
    async with pair.working():
        await pair.live.first_events()
        pair.live.street.late_ms = 400
        pair.live.street.dearer = D("0.003")
        await round_trips(pair)
        (row,) = (await pair.twin.compare()).rows
    assert 29 < row.entry_slippage_bps < 31
    assert (row.live_delay_ms, row.twin_delay_ms) == (400, 0)
    assert row.live_profit < row.twin_profit


async def test_an_entry_live_could_not_get_is_missed_by_live(pair):
    """The exchange refused it; paper's trade shows what that cost."""
    async with pair.working():
        await pair.live.first_events()
        pair.live.street.down = Refused("Market is closed.", "-1013")
        await pair.see(0, buy=True)
        compared = await pair.twin.compare()
    assert [(row.missed, row.live_entry, bool(row.twin_entry)) for row in compared.rows] == [("live", None, True)]
    assert (compared.summary.count, compared.summary.missed_live) == (0, 1)


async def test_a_key_that_is_lost_stops_live_and_not_the_paper_beside_it(pair):
    """Paper needs no key: it goes on deciding and trading, and shows what live missed meanwhile."""
    async with pair.working():
        await pair.live.first_events()
        await pair.live.engine.post(ev.AccessLost(pair.live.clock.now(), "access", "The key may withdraw."))
        await pair.see(0, buy=True)
        compared = await pair.twin.compare()
        twin = await pair.state()
    assert (pair.live.state.trading.state, pair.live.state.positions) == (TradingState.HALTED, {})
    assert (twin.trading.state, list(twin.positions)) == (TradingState.ACTIVE, ["BTCUSDT"])
    assert [row.missed for row in compared.rows] == ["live"]


async def test_an_entry_paper_could_not_get_is_missed_by_the_twin(pair):
    """Where paper is the one left behind, that is told too."""
    async with pair.working():
        await pair.live.first_events()
        pair.street.down = Refused("Market is closed.", "-1013")
        await pair.see(0, buy=True)
        (row,) = (await pair.twin.compare()).rows
    assert (row.missed, row.twin_entry, bool(row.live_entry)) == ("twin", None, True)


async def test_after_a_restart_the_twin_catches_up(pair):
    """What live committed while no twin ran is followed from live's journal, each line once and in order."""
    async with pair.working():
        await pair.live.first_events()
        await round_trips(pair, 2)
    async with pair.working(alone=True):
        await pair.live.say(ev.OwnerSetLimits, replace(Limits(), orders_open_max=7))
        for hour in range(4, 8):
            await pair.live.see(quiet(hour))
    pair.clock.at = pair.live.clock.at
    async with pair.working():
        await pair.caught_up()
        state = await pair.state()
    assert (state.marks, state.limits) == (pair.live.state.marks, pair.live.state.limits)
    assert bars(pair.journal) == bars(pair.live.journal)


@pytest.mark.parametrize("line", range(4, 12))
async def test_a_kill_between_both_commits_loses_nothing(pair, line):
    """Wherever the twin's journal ends, live's next line is the one it goes on with."""
    async with pair.working():
        await pair.live.first_events()
        await round_trips(pair)
        await pair.live.say(ev.OwnerPaused)
        await pair.caught_up()
    left = pair.killed(line)
    async with left.working():
        await left.caught_up()
        state, held = await left.state(), await left.account.balances()
    assert bars(left.journal) == bars(pair.live.journal)
    assert state.trading.state is TradingState.REDUCING
    assert {asset: qty for asset, qty in state.balances.items() if qty} == held


async def test_a_twin_that_breaks_does_not_touch_live(pair):
    """Its disk is full: live trades on, nothing of it ends, and /health says so in one line."""
    async with pair.working() as tasks:
        await pair.live.first_events()
        await round_trips(pair)
        pair.journal.broken = StoreUnusable("the disk is full")
        with capture_logs() as logs:
            await pair.live.see(quiet(2), buy=True)
            await until(lambda: not pair.twin.check().well)
        await pair.live.see(quiet(3, high="106"))
        assert not any(task.done() for task in tasks)
        check = pair.twin.check()
        compared = await pair.twin.compare()
    assert len(await Told(pair.live.journal).trades(9)) == 2
    assert "the disk is full" in check.text
    assert "\n" not in check.text
    assert "the twin stopped" in [line["event"] for line in logs]
    assert compared.trouble == check.text


async def test_a_store_that_cannot_be_opened_does_not_keep_live_from_starting(pair):
    """The twin's database is torn: live begins and trades, and the twin says what is wrong."""
    pair.torn = StoreUnusable("twin/firstmate.db is torn: restore it.")
    async with pair.working() as tasks:
        await pair.live.first_events()
        await pair.live.see(quiet(0), buy=True)
        await until(lambda: not pair.twin.check().well)
        assert not any(task.done() for task in tasks)
        compared = await pair.twin.compare()
    assert pair.live.state.positions
    assert "is torn: restore it; live goes on" in compared.trouble
    assert (compared.rows, compared.since) == ((), None)


async def test_a_market_out_of_reach_only_delays_the_twin(pair):
    """No network is no failure: it says why it waits and follows when the market is back."""
    async with pair.working():
        await pair.live.first_events()
        pair.street.rules_down = RetryLater("no network", 0.0)
        await pair.live.see(quiet(0))
        await until(lambda: not pair.twin.check().well)
        assert pair.twin.check().text == "waits: no network"
        pair.street.rules_down = None
        await pair.caught_up()
    assert bars(pair.journal) == bars(pair.live.journal)


async def test_live_never_waits_for_the_twin(pair):
    """While the twin cannot write a line, live commits hundreds, and the twin keeps none of them in memory."""
    async with pair.working():
        await pair.live.first_events()
        await pair.see(0)
        pair.journal.held.clear()
        for hour in range(1, 301):
            await pair.live.see(quiet(hour))
        behind = pair.twin.check().text
        pair.journal.held.set()
        await pair.caught_up()
    assert behind == "300 lines behind live"
    assert bars(pair.journal) == bars(pair.live.journal)


async def test_the_twin_begins_where_live_stands(pair):
    """Limits tightened, paused, money earned: the twin's first state is live's, without its past."""
    async with pair.working(alone=True):
        await pair.live.first_events()
        await pair.live.see(quiet(0), buy=True)
        await pair.live.see(quiet(1, high="106"))
        await pair.live.say(ev.OwnerSetLimits, replace(Limits(), orders_open_max=3))
        await pair.live.say(ev.OwnerPaused)
    pair.clock.at = pair.live.clock.at
    async with pair.working():
        await pair.caught_up()
        twin, compared = await pair.state(), await pair.twin.compare()
    live = pair.live.state
    assert (twin.balances, twin.limits, twin.trading.state) == (live.balances, live.limits, live.trading.state)
    assert (compared.rows, compared.since) == ((), twin.adopted_at)


async def test_a_symbol_added_later_is_traded_on_both_sides():
    """Its rules come after the twin's birth; its first order is booked there as in live."""
    pair = Pair(Live(("BTCUSDT", "ETHUSDT")))
    async with pair.working():
        for event in opening("BTCUSDT", fee="0.001"):
            await pair.live.engine.post(event)
        await pair.caught_up()
        await pair.live.engine.post(ev.InstrumentsSeen(START, "rules", pair.live.street.rules))
        await pair.live.reconcile.full("start")
        await pair.see(0, symbol="ETHUSDT", buy=True)
        (row,) = (await pair.twin.compare()).rows
    assert (row.symbol, row.missed, row.entry_slippage_bps) == ("ETHUSDT", "", 0)


async def test_a_deposit_in_live_is_followed(pair):
    """Half as much again is paid in: the twin is paid the same, and both sides size alike afterwards."""
    async with pair.working():
        await pair.live.first_events()
        await pair.see(0)
        await pair.live.account.transfer("USDT", CASH / 2)
        for hour in range(1, 6):
            await pair.live.reconcile.balances()
            await pair.see(hour)
        await pair.see(6, buy=True)
    live, twin = decisions(pair.live.journal)[-1], decisions(pair.journal)[-1]
    assert live == twin
    assert pair.live.state.positions["BTCUSDT"].cost > CASH * D("0.25")
    assert len([e for e in pair.journal.events() if isinstance(e, ev.BalancesSeen)]) < 6


async def test_a_halt_of_the_twin_alone_is_lifted(pair):
    """Nobody would lift a halt that live never had, so the twin goes on where live is at work."""
    async with pair.working():
        await pair.live.first_events()
        await pair.see(0)
    before, halt = await pair.state(), ev.OwnerPanicked(START + HOUR, "test", 99)
    await pair.journal.commit(Change(before, *stepped(before, halt)))
    async with pair.working():
        await until(lambda: isinstance(pair.journal.events()[-1], ev.OwnerResumed))
        assert (await pair.state()).trading.state is TradingState.ACTIVE


def stepped(state: State, event: ev.Event) -> tuple[State, ev.Event, tuple[Effect, ...]]:
    after, effects = step(state, event)
    return after, event, effects


async def test_another_journal_than_the_one_it_followed_stops_the_twin(pair):
    """A twin's folder beside a live that began anew is not guessed at: it names the fix."""
    async with pair.working():
        await pair.live.first_events()
        await round_trips(pair)
    left = pair.killed(len(pair.journal.lines), live=Live())
    async with left.working():
        await left.live.first_events()
        await until(lambda: not left.twin.check().well)
        assert "remove its folder" in left.twin.check().text
