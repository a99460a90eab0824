"""From a closed bar to a proposal or an order, and the owner's thumb: core.decide.entries through ``step``."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.codec import decode_state, encode_state
from core.domain import events as ev
from core.domain.effects import Topic
from core.domain.orders import OrderState, Purpose
from core.domain.state import Limits, Outcome, TradingState
from tests.builders import HOUR, a_config, a_forecast, a_state, an_order, with_lists
from tests.fakes import Life

D = Decimal


def asked(**changes: object) -> tuple[Life, str]:
    """A life whose owner is being asked about BTC at 100, and the name of that proposal."""
    life = Life(a_state(config=replace(a_config(approve_auto=False), **changes)))  # type: ignore[arg-type]
    life.bar(forecast=a_forecast())
    return life, life.tells(Topic.SIGNAL)[0].ref


def approve(life: Life, intent: str) -> None:
    """The owner presses Approve, a second later."""
    life.post(ev.OwnerApproved(life.now(), "chat", life.update(), intent))


def the_end_of(life: Life) -> tuple[Outcome, str, str]:
    """Outcome, code and sentence of the last decision kept, and that the owner was told the same sentence."""
    decision = life.decisions()[-1]
    assert decision.refusal is not None
    assert decision.refusal.sentence in life.tells(Topic.EXPIRED)[-1].text
    assert not life.sent(Purpose.ENTRY)
    assert not life.state.positions
    assert not life.state.proposals
    return decision.outcome, decision.refusal.code, decision.refusal.sentence


def test_a_signal_is_proposed_and_ordered_only_when_approved():
    """Without the owner's thumb nothing is sent; with it, exactly the proposed quantity."""
    life, intent = asked()
    assert not life.queue
    assert life.state.decisions["BTCUSDT"].outcome is Outcome.PROPOSED
    approve(life, intent)
    assert [o.qty for o in life.sent(Purpose.ENTRY)] == [life.decisions()[0].qty]
    assert life.tells(Topic.ORDERED)[0].ref == intent


def test_an_approval_is_kept_as_ordered():
    """After the thumb, /why says ordered, no longer proposed."""
    life, intent = asked()
    approve(life, intent)
    assert life.state.decisions["BTCUSDT"].outcome is Outcome.ORDERED
    assert [d.outcome for d in life.decisions()] == [Outcome.PROPOSED, Outcome.ORDERED]


def test_an_automatic_assistant_orders_at_once():
    """Where the owner said so, a signal is an order without a question."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    assert len(life.sent(Purpose.ENTRY)) == 1
    assert life.decisions()[-1].outcome is Outcome.ORDERED
    assert not life.state.proposals


def test_approving_twice_orders_once():
    """A second press, of the same button or of a copy of it, sends nothing."""
    life, intent = asked()
    approve(life, intent)
    approve(life, intent)
    life.post(ev.OwnerApproved(life.now(), "chat", life.updates, intent))
    assert len(life.sent(Purpose.ENTRY)) == 1


def test_approving_what_was_never_asked_does_nothing():
    """A made-up proposal is not an order."""
    life, _ = asked()
    approve(life, "BTCUSDT-nothing")
    assert not life.queue


def test_an_approval_that_comes_too_late_is_not_ordered():
    """After its time a proposal cannot be approved any more, even when no clock tick removed it."""
    life, intent = asked(approve_window_s=60)
    life.at += timedelta(seconds=60)
    life.post(ev.OwnerApproved(life.at, "chat", life.update(), intent))
    assert the_end_of(life) == (Outcome.QUIET, "TOO_LATE", "The time to approve has run out.")


def test_an_approval_in_the_last_second_is_ordered():
    """A proposal holds up to its last moment."""
    life, intent = asked(approve_window_s=60)
    life.at += timedelta(seconds=58)
    approve(life, intent)
    assert len(life.sent(Purpose.ENTRY)) == 1


def test_a_proposal_nobody_answers_ends_with_its_time():
    """A proposal runs out by itself, once, and is told."""
    life, _ = asked()
    life.wait(HOUR)
    assert the_end_of(life)[1] == "TOO_LATE"
    life.wait(HOUR)
    assert len(life.tells(Topic.EXPIRED)) == 1


def test_a_skipped_proposal_is_gone():
    """Skip takes the proposal off the table for good."""
    life, intent = asked()
    life.post(ev.OwnerSkipped(life.now(), "chat", life.update(), intent))
    assert the_end_of(life) == (Outcome.QUIET, "SKIPPED", "Skipped.")
    approve(life, intent)
    assert not life.queue


@pytest.mark.parametrize("price", ["97", "98", "102", "105"])
def test_an_approval_after_the_price_moved_is_not_ordered(price: str):
    """At or below the stop, or half way to the target, it is another bet: not ordered, with both prices named."""
    life, intent = asked(approve_window_s=7200)
    life.bar(close=price)
    approve(life, intent)
    _, code, sentence = the_end_of(life)
    assert code == "PRICE_MOVED"
    assert price in sentence


def test_an_approval_after_a_small_move_is_gated_at_the_price_of_now():
    """A little later the price is a little higher: the quantity shrinks so that the limit still holds."""
    life, intent = asked(approve_window_s=7200)
    life.bar(close="101")
    approve(life, intent)
    [entry] = life.sent(Purpose.ENTRY)
    assert entry.qty < life.decisions()[0].qty
    assert entry.qty * 101 <= D(10_000) * D("0.2")


@pytest.mark.parametrize(("price", "ordered"), [("99", True), ("101.99", True), ("98", False), ("102", False)])
def test_an_approval_is_judged_at_the_price_of_the_moment_it_was_pressed(price: str, ordered: bool):
    """What it costs now decides, not the last closed bar: below the stop or half way to the target it is not bought."""
    life, intent = asked(approve_window_s=7200)
    life.post(ev.OwnerApproved(life.now(), "chat", life.update(), intent, D(price)))
    assert bool(life.sent(Purpose.ENTRY)) is ordered
    if not ordered:
        assert the_end_of(life)[1] == "PRICE_MOVED"


def test_an_approved_entry_is_limited_by_the_price_it_was_approved_at():
    """The owner agreed to the price of now; the order pays a little more than that at most."""
    life = Life(a_state(instruments={"BTCUSDT": with_lists()}, config=a_config(approve_auto=False)))
    life.bar(forecast=a_forecast())
    life.post(ev.OwnerApproved(life.now(), "chat", life.update(), life.tells(Topic.SIGNAL)[0].ref, D("100.8")))
    assert [o.price for o in life.sent(Purpose.ENTRY)] == [D("101.30")]


def test_a_symbol_whose_orders_still_stand_is_not_bought_again():
    """A sale that nobody has a position for any more must end before the symbol is entered anew."""
    life = Life(a_state())
    life.state = life.state.with_(orders={"x": an_order("x", state=OrderState.OPEN)})
    life.bar(forecast=a_forecast())
    assert life.decisions()[-1].refusal.code == "ALREADY_IN"


def test_an_approval_that_a_limit_no_longer_allows_is_not_ordered():
    """A limit tightened between question and answer is respected, and says so."""
    life, intent = asked()
    life.post(ev.OwnerSetLimits(life.now(), "chat", life.update(), Limits(gross_exposure_max=D(0))))
    approve(life, intent)
    assert the_end_of(life)[1] == "GROSS_EXPOSURE"


def test_an_approval_during_a_pause_is_not_ordered():
    """Pause means no new entry, also not by an older button."""
    life, intent = asked()
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    approve(life, intent)
    assert the_end_of(life)[1] == "TRADING_REDUCING"


def test_the_end_of_an_older_proposal_does_not_hide_what_was_decided_since():
    """/why answers for the newest bar; the end of the proposal is kept among the decisions all the same."""
    life, intent = asked(approve_window_s=7200)
    life.bar()
    newest = life.state.decisions["BTCUSDT"]
    life.post(ev.OwnerSkipped(life.now(), "chat", life.update(), intent))
    assert the_end_of(life)[1] == "SKIPPED"
    assert life.state.decisions["BTCUSDT"] == newest


def test_panic_takes_proposals_off_the_table():
    """After panic no older button orders anything."""
    life, intent = asked()
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    assert the_end_of(life)[1] == "PANIC"
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    approve(life, intent)
    assert not life.queue


def test_an_approval_survives_a_restart():
    """A proposal is still there after a restart, and its button still works once."""
    life, intent = asked()
    life.state = decode_state(encode_state(life.state))
    approve(life, intent)
    approve(life, intent)
    assert len(life.sent(Purpose.ENTRY)) == 1


def test_one_symbol_is_asked_about_once_at_a_time():
    """While a proposal waits, the same symbol is not proposed again."""
    life, _ = asked(approve_window_s=7200)
    life.bar(forecast=a_forecast(hour=1))
    assert len(life.tells(Topic.SIGNAL)) == 1
    assert life.decisions()[-1].refusal.code == "ALREADY_ASKED"


def test_one_symbol_is_bought_once_at_a_time():
    """While a symbol is held or being bought, it is not bought again."""
    life = Life(a_state())
    life.bar(forecast=a_forecast())
    life.bar(forecast=a_forecast(hour=1))
    assert len(life.sent(Purpose.ENTRY)) == 1
    assert life.decisions()[-1].refusal.code == "ALREADY_IN"


def test_a_refusal_is_told_once_as_long_as_it_is_the_same():
    """The same limit refusing bar after bar is pushed once; another one is news again."""
    life = Life(a_state(limits=Limits(gross_exposure_max=D(0))))
    for hour in range(4):
        life.bar(forecast=a_forecast(hour=hour))
    assert [t.decision.refusal.code for t in life.tells(Topic.REFUSAL)] == ["GROSS_EXPOSURE"]
    life.post(ev.OwnerPaused(life.now(), "chat", life.update()))
    for hour in range(4, 6):
        life.bar(forecast=a_forecast(hour=hour))
    assert [t.decision.refusal.code for t in life.tells(Topic.REFUSAL)] == ["GROSS_EXPOSURE", "TRADING_REDUCING"]


@pytest.mark.parametrize(
    ("forecast", "close", "code"),
    [
        (None, "100", "NO_FORECAST"),
        (a_forecast(fires=False), "100", "NO_SETUP"),
        (a_forecast(p_low=0.2), "100", "NO_EDGE"),
        (a_forecast(), "0.01", "BAD_BARRIERS"),
    ],
)
def test_a_look_without_an_order_says_why(forecast, close: str, code: str):
    """Every closed bar leaves a decision; without an order it has a code and one plain sentence."""
    life = Life(a_state())
    life.bar(close=close, forecast=forecast)
    [decision] = life.decisions()
    assert decision.refusal.code == code
    assert len(decision.refusal.sentence) > 4
    assert decision.outcome in {Outcome.QUIET, Outcome.REFUSED}
    assert life.state.decisions["BTCUSDT"] == decision


@pytest.mark.parametrize("name", ["kelly_fraction", "symbol_exposure_max", "target_volatility"])
def test_a_limit_of_zero_is_named_as_the_reason_not_the_market(name: str):
    """Where the owner's own setting leaves no size, the refusal says so instead of blaming the odds."""
    life = Life(a_state(limits=replace(Limits(), **{name: D(0)})))
    life.bar(forecast=a_forecast())
    assert life.decisions()[-1].refusal.code == "NO_SIZE"
    assert life.decisions()[-1].outcome is Outcome.REFUSED


def test_a_halted_assistant_never_enters_until_the_owner_resumes():
    """After panic no signal becomes an order or a question, bar after bar, until the owner lifts it."""
    life = Life(a_state())
    life.post(ev.OwnerPanicked(life.now(), "chat", life.update()))
    for hour in range(30):
        life.bar(forecast=a_forecast(hour=hour))
    assert not life.queue
    life.post(ev.OwnerResumed(life.now(), "chat", life.update()))
    assert life.state.trading.state is TradingState.ACTIVE
    life.bar(forecast=a_forecast(hour=30))
    assert len(life.sent(Purpose.ENTRY)) == 1
