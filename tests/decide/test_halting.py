"""When trading stops and who starts it again: core.decide.halting through ``step``."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.codec import decode_state, encode_state
from core.decide.halting import A_PAUSE
from core.domain import events as ev
from core.domain.effects import Cancel, Effect, Tell, Topic
from core.domain.orders import Purpose
from core.domain.state import TradingState
from tests.builders import a_forecast
from tests.decide.lives import BTC, LISTS, PAIR, a_life, asked, holding, lost, position
from tests.fakes import Life

D = Decimal


def lose_key(life: Life, text: str = "The key is not accepted.") -> tuple[Effect, ...]:
    """The exchange does not take our key any more."""
    return life.post(ev.AccessLost(life.now(), "act", text))


def test_a_lost_key_halts_once_and_is_told_once():
    """Every request that meets it says so; the owner hears it once, urgently."""
    life = holding()
    (tell,) = lose_key(life)
    assert isinstance(tell, Tell)
    assert (tell.topic, tell.urgent, life.state.trading.state) == (Topic.STATE, True, TradingState.HALTED)
    assert lose_key(life) == ()
    assert lose_key(life, "The key may withdraw.") != ()


def test_a_lost_key_sells_nothing_and_leaves_the_pair_standing():
    """What stands on the exchange goes on protecting: without a key nothing could take its place."""
    life = holding()
    lose_key(life)
    assert life.queue == []
    assert life.standing() == PAIR
    assert not position(life).leaving


def test_a_halt_for_a_lost_key_outlives_a_restart_and_is_lifted_by_the_owner_alone():
    """A key that works again does not start trading by itself."""
    life = a_life()
    lose_key(life)
    life.state = decode_state(encode_state(life.state))
    life.bar(forecast=a_forecast())
    assert life.decisions()[-1].refusal.code == "TRADING_HALTED"
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    assert life.state.trading.state is TradingState.ACTIVE


def test_who_lifts_a_pause_does_not_lift_the_halt_that_came_meanwhile():
    """A word that needed no proof when it was said lifts nothing that needs one when it is heard."""
    life = a_life()
    lose_key(life)
    assert life.post(ev.OwnerResumed(life.now(), "chat", life.update(), A_PAUSE)) == ()
    assert life.state.trading.state is TradingState.HALTED
    life.post(ev.OwnerResumed(life.now(), "chat", life.update(), "code"))
    assert life.state.trading.state is TradingState.ACTIVE


def tell_expiry(life: Life, expires_at: datetime) -> list[bool]:
    """What the owner is told of a key that will expire: for each message, whether it is urgent."""
    told = life.post(ev.KeyExpires(life.now(), "access", expires_at))
    assert all(isinstance(tell, Tell) and "right to trade ends" in tell.text for tell in told)
    return [tell.urgent for tell in told if isinstance(tell, Tell)]


def test_a_key_that_expires_is_told_daily_from_two_weeks_before_and_urgently_in_the_last_three_days():
    """Looked at every hour, told once a day; the moment it becomes urgent is never missed, and trading goes on."""
    life = a_life()
    expires_at = life.now() + timedelta(days=15, hours=12)
    told = []
    for _ in range(15 * 24 + 12):
        told += [
            (round((expires_at - life.now()) / timedelta(days=1), 1), urgent)
            for urgent in tell_expiry(life, expires_at)
        ]
        life.wait(timedelta(hours=1))
    assert [left for left, _ in told][:2] == [14, 13]
    assert [left for left, urgent in told if urgent] == [3, 2, 1]
    assert len(told) == 14
    assert life.state.trading.state is TradingState.ACTIVE


def test_a_key_that_becomes_urgent_within_a_day_of_the_last_word_is_told_at_once():
    """Three days and an hour before the end it was a quiet message; two hours later it is a loud one."""
    life = a_life()
    expires_at = life.now() + timedelta(days=3, hours=1)
    assert tell_expiry(life, expires_at) == [False]
    life.wait(timedelta(hours=2))
    assert tell_expiry(life, expires_at) == [True]
    assert tell_expiry(life, expires_at) == []


def test_what_was_told_of_an_expiry_outlives_a_restart():
    """A service that restarts every minute does not ring every minute."""
    life = a_life()
    expires_at = life.now() + timedelta(days=5)
    assert tell_expiry(life, expires_at) == [False]
    life.state = decode_state(encode_state(life.state))
    assert tell_expiry(life, expires_at) == []


@pytest.mark.parametrize("rules", [None, LISTS])
def test_panic_cancels_the_pair_then_sells_then_stays_halted(rules):
    """Everything is out of the market, nothing is left on the exchange, and nothing is bought again."""
    life = holding(rules)
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    assert [type(e) for e in life.queue] == [Cancel]
    life.work()
    assert (life.exchange.held["BTC"], life.standing(), life.state.positions) == (0, set(), {})
    life.bar(forecast=a_forecast(hour=1))
    assert len(life.sent(Purpose.ENTRY)) == 1


def test_panic_over_a_request_in_doubt_sells_what_it_bought():
    """An entry nobody could prove when the button was pressed is sold as soon as it turns out to have been filled."""
    life = asked(a_life(LISTS))
    life.tell_exchange(life.queue[0])
    lost(life)
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.look()
    life.work()
    life.look()
    life.work()
    assert [t.why for t in life.closed()] == ["panic"]
    assert (life.exchange.held["BTC"], life.standing()) == (0, set())


def test_panic_over_a_request_that_never_arrived_leaves_nothing():
    """Where nothing was bought there is nothing to sell."""
    life = asked(a_life(LISTS))
    entry = life.sent(Purpose.ENTRY)[0]
    lost(life)
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    life.work()
    life.post(ev.Absent(life.now(), "look", entry.client_id))
    assert (life.state.positions, life.state.orders) == ({}, {})
    assert not life.sent(Purpose.EXIT)


def test_a_pause_is_not_a_halt_and_a_halt_is_not_lifted_by_it():
    """Each word keeps its strength in whatever order they come."""
    life = holding()
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    assert life.state.trading.state is TradingState.REDUCING
    lose_key(life)
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    assert life.state.trading.state is TradingState.HALTED


def test_a_moved_stop_is_obeyed_while_halted():
    """A halt starts nothing new; making a position safer is no new risk."""
    life = holding()
    lose_key(life)
    life.post(ev.OwnerMovedStop(life.now(), "chat", life.update(), BTC, D(99)))
    life.work()
    assert life.standing() == PAIR
    assert position(life).stop == D(99)
