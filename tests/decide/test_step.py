"""What each event does to the machine: core.decide.step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.codec import decode_state, encode_state
from core.decide.step import HANDLERS, step
from core.domain import events as ev
from core.domain.effects import Effect, Topic
from core.domain.errors import InvariantBroken
from core.domain.orders import Purpose, Side
from core.domain.state import Limits, State, TradingState
from tests.builders import START, a_bar, a_config, a_fill, a_forecast, a_state, an_order, seen
from tests.fakes import Life

D = Decimal


def losing(limits: Limits, close: str) -> Life:
    """A life whose BTC position of 2,000 fell to ``close`` without a stop being reached by the exchange."""
    life = Life(a_state(limits=limits))
    life.bar(forecast=a_forecast(loss_move=0.5, win_move=0.9, p_win=0.9, p_low=0.9))
    life.work()
    life.bar(close=close)
    return life


def test_every_event_has_a_handler():
    """No event can be posted that the machine does not know."""
    kinds = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, ev.Event)}
    assert kinds - {ev.Event, ev.OwnerEvent} == set(HANDLERS)


def test_a_step_changes_neither_state_nor_event():
    """The state before stays as it was: the same event on it gives the same answer again."""
    state, event = a_state(), seen(a_bar(), a_forecast())
    frozen = encode_state(state)
    assert step(state, event) == step(state, event)
    assert encode_state(state) == frozen


def test_every_event_counts_once():
    """The count of steps grows by one with every event, also with one that changes nothing."""
    life = Life(a_state())
    before = life.state.seq
    life.bar()
    life.post(seen(a_bar()))
    assert life.state.seq == before + 2


def test_who_moves_with_whom_is_kept_until_other_news_comes():
    """Only symbols of which there is news are named; the others keep whom they moved with."""
    life = Life(a_state())
    life.post(ev.PeersSeen(START, "peers", {"BTCUSDT": ("ETHUSDT",), "ETHUSDT": ("BTCUSDT",)}))
    life.post(ev.PeersSeen(START, "peers", {"ETHUSDT": ()}))
    assert life.state.peers == {"BTCUSDT": ("ETHUSDT",), "ETHUSDT": ()}


def test_an_older_bar_changes_nothing():
    """A bar that comes late or twice is not decided on."""
    life = Life(a_state())
    life.bar()
    life.bar()
    known = life.state
    for hour in (0, 1):
        assert life.post(seen(a_bar(hour=hour), a_forecast(hour=hour))) == ()
    assert replace(life.state, seq=known.seq) == known


def test_the_drawdown_halts_and_the_halt_survives_a_restart():
    """A fall beyond the limit halts; a restart and the same configuration do not lift it, only the owner does."""
    life = losing(Limits(drawdown_max=D("0.05"), day_loss_max=D(1)), "70")
    assert life.state.trading.state is TradingState.HALTED
    assert life.tells(Topic.STATE)[-1].urgent
    life.state = decode_state(encode_state(life.state))
    life.post(ev.Configured(life.now(), "start", life.state.config))
    life.bar("ETHUSDT", forecast=a_forecast("ETHUSDT"))
    assert life.decisions()[-1].refusal.code == "TRADING_HALTED"
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    life.bar("ETHUSDT", forecast=a_forecast("ETHUSDT", 1))
    assert life.state.trading.state is TradingState.ACTIVE
    assert life.sent(Purpose.ENTRY)[-1].symbol == "ETHUSDT"


def test_the_drawdown_halts_once():
    """A halt is told once, not at every bar below the limit."""
    life = losing(Limits(drawdown_max=D("0.05"), day_loss_max=D(1)), "70")
    life.bar(close="69")
    assert len(life.tells(Topic.STATE)) == 1


def test_a_pause_does_not_forgive_a_drawdown():
    """Pausing and resuming does not lower the peak the drawdown is measured from; lifting a halt does."""
    life = losing(Limits(drawdown_max=D("0.10"), day_loss_max=D(1)), "70")
    peak = life.state.day.peak_equity
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    assert life.state.day.peak_equity == peak
    life.bar(close="51")
    assert life.state.trading.state is TradingState.ACTIVE
    life.post(ev.OwnerSetLimits(life.now(), "chat", life.update(), Limits(drawdown_max=D("0.08"), day_loss_max=D(1))))
    life.bar(close="51")
    assert life.state.trading.state is TradingState.HALTED
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    assert life.state.day.peak_equity < peak


def test_the_daily_loss_blocks_until_the_next_utc_day():
    """After a day's loss beyond the limit nothing is bought until midnight UTC, then again."""
    life = losing(Limits(day_loss_max=D("0.03"), drawdown_max=D(1)), "70")
    codes = {}
    for _ in range(12):
        life.bar(close="70")
        life.hours["ETHUSDT"] = life.hours["BTCUSDT"] - 1
        life.bar("ETHUSDT", forecast=a_forecast("ETHUSDT", life.hours["ETHUSDT"]))
        decision = life.decisions()[-1]
        codes[decision.at.day] = [*codes.get(decision.at.day, []), decision.refusal.code if decision.refusal else ""]
    assert set(codes[1]) == {"DAY_LOSS"}
    assert codes[2][0] == ""


def test_a_clock_that_steps_back_does_not_forgive_the_days_loss():
    """Only a later UTC day starts a new count."""
    life = losing(Limits(day_loss_max=D("0.01"), drawdown_max=D(1)), "90")
    day = life.state.day
    life.post(ev.BarSeen(life.now() - timedelta(days=1), "late", a_bar("ETHUSDT", 5), None))
    assert life.state.day.start_equity == day.start_equity


def test_a_halt_cannot_be_turned_into_a_pause():
    """Pause while halted changes nothing: only resume lifts a halt."""
    life = Life(a_state())
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    assert life.state.trading.state is TradingState.HALTED


def test_a_pause_keeps_protection_and_exits_working():
    """While paused, what is held keeps its pair and is still sold at its time."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.work()
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    for _ in range(12):
        life.bar()
    life.work()
    assert [t.why for t in life.closed()] == ["time"]


def test_limits_set_in_the_chat_survive_a_restart_with_the_same_configuration():
    """The owner's word in the chat holds until the configuration itself says something new."""
    mine, newer = Limits(day_loss_max=D("0.01")), Limits(day_loss_max=D("0.02"))
    life = Life(a_state())
    life.post(ev.OwnerSetLimits(life.now(), "chat", life.update(), mine))
    life.post(ev.Configured(life.now(), "start", life.state.config))
    assert life.state.limits == mine
    life.post(ev.Configured(life.now(), "start", replace(life.state.config, limits=newer)))
    assert life.state.limits == newer


def test_a_limit_tightened_in_the_chat_is_not_loosened_by_another_setting():
    """Changing one limit in the configuration leaves the others as the owner last set them."""
    life = Life(a_state())
    mine = replace(life.state.limits, day_loss_max=D("0.01"))
    life.post(ev.OwnerSetLimits(life.now(), "chat", life.update(), mine))
    configured = replace(life.state.config, limits=replace(life.state.config.limits, kelly_fraction=D("0.5")))
    life.post(ev.Configured(life.now(), "start", configured))
    assert (life.state.limits.day_loss_max, life.state.limits.kelly_fraction) == (D("0.01"), D("0.5"))


def test_a_pause_is_answered_and_not_told_again():
    """Whoever pauses or resumes gets the answer to the command and no second message; a halt by a limit is told."""
    life = Life(a_state())
    assert life.post(ev.OwnerPaused(life.now(), "chat", life.update())) == ()
    assert life.post(ev.OwnerResumed(life.now(), "chat", life.update())) == ()
    assert losing(Limits(drawdown_max=D("0.01"), day_loss_max=D(1)), "90").tells(Topic.STATE)[0].urgent


def test_the_time_zone_of_the_chat_survives_a_restart():
    """So does the time zone."""
    life = Life(a_state())
    life.post(ev.OwnerSetTimeZone(life.now(), "chat", life.update(), "Europe/Madrid"))
    life.post(ev.Configured(life.now(), "start", a_config()))
    assert life.state.time_zone == "Europe/Madrid"


def test_balances_are_adopted_once():
    """The first look at the account is taken over; a later difference changes nothing at first sight."""
    life = Life(a_state())
    balances = life.state.balances
    assert life.post(ev.BalancesSeen(life.now(), "look", {"USDT": D(9_999), "BTC": D(0)})) == ()
    assert life.state.balances == balances
    assert life.post(ev.BalancesSeen(life.now(), "look", {"USDT": D(10_000), "BTC": D(0)})) == ()
    assert life.state.doubt is None


def foreign(life: Life, days: int) -> tuple[Effect, ...]:
    """A sale by the owner's own hand, so many days after the start."""
    order = an_order("web_1", side=Side.SELL)
    return life.post(ev.Filled(life.now(), "look", replace(a_fill(order), at=START + timedelta(days=days))))


def test_a_trade_by_the_owners_own_hand_is_booked_and_told():
    """Money that moved without us is money that moved."""
    life = Life(a_state(balances={"USDT": D(10_000), "BTC": D(1)}))
    assert len(foreign(life, 1)) == 1
    assert life.state.balances == {"USDT": D(10_100), "BTC": D(0)}


def test_a_trade_from_before_the_first_start_is_not_booked_again():
    """What was traded before the balances were first taken over is in them already."""
    life = Life(a_state(balances={"USDT": D(10_000), "BTC": D(1)}))
    assert foreign(life, -1) == ()
    assert life.state.balances == {"USDT": D(10_000), "BTC": D(1)}


def test_a_fill_of_a_symbol_nobody_watches_stops_the_engine():
    """A trade in a market we have no rules for cannot be booked: our books would be wrong."""
    with pytest.raises(InvariantBroken, match="not watched"):
        step(State(), ev.Filled(START, "look", a_fill(an_order())))


def test_news_of_an_order_nobody_holds_changes_nothing():
    """Answers about orders that left with their position are passed over."""
    life = Life(a_state())
    known = life.state
    for event in (
        ev.Accepted(START, "x", "gone", "1"),
        ev.Rejected(START, "x", "gone", "-2010", "no"),
        ev.Unknown(START, "x", "gone", "timeout"),
        ev.Absent(START, "x", "gone"),
        ev.Canceled(START, "x", "gone"),
        ev.CancelRefused(START, "x", "gone", "no"),
    ):
        assert life.post(event) == ()
    assert replace(life.state, seq=known.seq) == known


def test_a_reply_lost_after_the_order_was_found_is_not_alarming():
    """A timeout about an order that has since been found is neither told nor believed."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    entry = life.sent(Purpose.ENTRY)[0]
    life.post(ev.Accepted(life.now(), "look", entry.client_id, "1"))
    assert life.post(ev.Unknown(life.now(), "act", entry.client_id, "timeout")) == ()


def test_a_chat_update_acts_once():
    """The same update delivered twice, even after a restart, acts once."""
    life = Life(a_state())
    panic = ev.OwnerPanicked(life.now(), "chat", 7)
    assert life.post(panic)
    life.state = decode_state(encode_state(life.state))
    life.post(ev.OwnerResumed(life.now(), "chat", 8))
    assert life.post(panic) == ()
    assert life.state.trading.state is TradingState.ACTIVE


def test_answered_updates_are_kept_within_bounds():
    """Only the last few hundred answered updates are remembered."""
    life = Life(a_state())
    for update in range(1000):
        life.post(ev.OwnerSetTimeZone(START, "chat", update, "UTC"))
    assert len(life.state.updates) == 256
    assert life.state.updates[-1] == 999
