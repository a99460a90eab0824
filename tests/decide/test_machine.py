"""The whole machine under random play on a fake exchange: money, protection, names, purity."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.codec import decode_state, encode_effects, encode_state
from core.decide.step import step
from core.domain import events as ev
from core.domain.orders import OrderState
from core.domain.state import TradingState
from tests.builders import SYMBOLS
from tests.decide.story import PAIR, Story, play, settle_accounts
from tests.fakes import orders_of

# a whole random life a seed: deep paths matter more here than small ones
dices = st.randoms(use_true_random=True)


@settings(max_examples=120, deadline=None)
@given(dices)
def test_money_protection_and_halts_hold_on_every_path(dice: Random):
    """Whatever happens in whatever order, money adds up, nothing bought stands alone, and a halt buys nothing."""
    story = Story(dice.random() < 0.5, dice)
    for _ in range(dice.randint(20, 120)):
        play(story, dice)
    settle_accounts(story)
    story.all_is_protected()
    story.money_adds_up()
    sent = [replace(o, asked_at=None, state=OrderState.PLANNED, reason="") for e in story.effects for o in orders_of(e)]
    once = [o.client_id for o in sent if o.purpose not in PAIR]
    assert len(once) == len(set(once))
    # a pair in doubt is sent again as it was, never another one under its names
    assert len({o.client_id for o in sent}) == len(set(sent))
    for decision in story.decisions():
        assert decision.intent if decision.refusal is None else decision.refusal.code and decision.refusal.sentence


@settings(max_examples=60, deadline=None)
@given(dices)
def test_every_position_comes_to_its_end(dice: Random):
    """After any beginning, panic and an honest exchange leave nothing held, nothing open and nothing wanted."""
    story = Story(True, dice)
    for _ in range(dice.randint(5, 80)):
        play(story, dice)
    settle_accounts(story)
    story.post(ev.OwnerPanicked(story.now(), "chat", story.update()))
    for _ in range(4):
        story.work()
        story.fill_market()
        for symbol in SYMBOLS:
            story.look()
            story.bar(symbol, story.exchange.prices[symbol])
    story.work()
    assert story.state.positions == {}
    assert story.state.orders == {}
    assert not [k for k in story.exchange.orders.values() if k.rest]
    assert story.state.trading.state is TradingState.HALTED


@settings(max_examples=40, deadline=None)
@given(dices)
def test_the_same_events_give_the_same_machine_also_across_restarts(dice: Random):
    """Stepping the same events again, with a restart before each, gives the same effects byte for byte."""
    story = Story(True, dice)
    start = story.state
    for _ in range(dice.randint(10, 60)):
        play(story, dice)
    state, effects = start, []
    for event in story.events:
        state, more = step(decode_state(encode_state(state)), event)
        effects += more
    assert encode_effects(effects) == encode_effects(story.effects)
    assert encode_state(state) == encode_state(story.state)


@settings(max_examples=40, deadline=None)
@given(dices)
def test_what_was_seen_before_changes_nothing_but_the_count(dice: Random):
    """The same bar, the same trade and the same press again leave everything as it is, without an effect."""
    story = Story(dice.random() < 0.5, dice)
    for _ in range(dice.randint(10, 60)):
        play(story, dice)
    for event in [e for e in story.events if isinstance(e, ev.BarSeen | ev.Filled) or hasattr(e, "update_id")]:
        again, effects = step(story.state, event)
        assert effects == ()
        assert replace(again, seq=story.state.seq) == story.state
