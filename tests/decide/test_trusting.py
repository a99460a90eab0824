"""Who forecasts and how far it is trusted: core.decide.trusting through ``step``."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.adapters.codec import decode_event, decode_state, encode_event, encode_state
from core.domain import events as ev
from core.domain.effects import Topic
from core.domain.errors import BadData
from core.domain.state import Outcome, Trust
from tests.builders import START, a_config, a_forecast, a_state
from tests.fakes import Life

D = Decimal
HALF = Trust("abc", D("0.5"), "its forecasts drift")


def spoke(text: str = "News.", trust: Trust | None = None, urgent: bool = False) -> ev.LabSpoke:
    return ev.LabSpoke(START, "lab", text, trust, urgent)


def test_what_the_lab_says_is_told():
    """News of the models reach the owner, urgent where they are."""
    life = Life(a_state())
    life.post(spoke("The champion was rolled back.", urgent=True))
    tell = life.tells(Topic.MODEL)[0]
    assert (tell.text, tell.urgent) == ("The champion was rolled back.", True)


def test_trust_is_remembered_until_the_lab_says_otherwise():
    """Half trust stays through news that say nothing of trust, and through a restart."""
    life = Life(a_state())
    life.post(spoke(trust=HALF))
    life.post(spoke("The nightly training found nothing better."))
    assert life.state.trust == HALF
    assert decode_state(encode_state(life.state)) == life.state


def test_the_event_reads_back_as_itself():
    """What the lab said stands in the journal word for word."""
    kind, body = encode_event(spoke(trust=HALF))
    assert decode_event(kind, body) == spoke(trust=HALF)


def test_half_trust_buys_half():
    """A model that is trusted with half its size buys half as much, and the card says why."""
    whole, half = Life(a_state()), Life(a_state())
    half.post(spoke(trust=HALF))
    for life in (whole, half):
        life.bar(forecast=a_forecast(model_id="model:abc"))
    full, cut = whole.decisions()[-1], half.decisions()[-1]
    assert cut.steps[-1].share == full.steps[-1].share / 2
    assert 0 < cut.qty < full.qty
    assert cut.steps[-1].text == "times 0.5: its forecasts drift"


def test_no_trust_buys_nothing():
    """A share of zero is named as the step that left nothing."""
    life = Life(a_state())
    life.post(spoke(trust=replace(HALF, share=D(0))))
    life.bar(forecast=a_forecast(model_id="model:abc"))
    refusal = life.decisions()[-1].refusal
    assert refusal is not None
    assert refusal.code == "NO_SIZE"
    assert "its forecasts drift" in refusal.sentence


@pytest.mark.parametrize("share", [D("-0.1"), D("1.1"), D("NaN")])
def test_trust_only_cuts(share: Decimal):
    """There is no such thing as more than whole trust."""
    with pytest.raises(BadData):
        Trust("abc", share)


def test_the_rule_does_not_trade_real_money():
    """With real money a firing rule is refused with NO_MODEL; the model that is in use is not."""
    for model_id, code in (("rule:trend-pullback@1", "NO_MODEL"), ("model:abc", "")):
        life = Life(a_state(config=replace(a_config(), real_money=True)))
        life.post(spoke(trust=Trust("abc")))
        life.bar(forecast=a_forecast(model_id=model_id))
        decision = life.decisions()[-1]
        assert (decision.refusal.code if decision.refusal else "") == code
        assert decision.outcome is (Outcome.REFUSED if code else Outcome.ORDERED)


@pytest.mark.parametrize("trust", [Trust(), Trust("xyz")])
def test_a_model_that_is_not_in_use_does_not_trade_real_money(trust: Trust):
    """What a model said while another took its place, or nobody did, buys nothing; on paper it only learns."""
    for real_money, code in ((True, "NOT_IN_USE"), (False, "")):
        life = Life(a_state(config=replace(a_config(), real_money=real_money)))
        life.post(spoke(trust=trust))
        life.bar(forecast=a_forecast(model_id="model:abc"))
        refusal = life.decisions()[-1].refusal
        assert (refusal.code if refusal else "") == code


def test_a_proposal_goes_with_the_model_that_made_it():
    """A model was sent away between the card and the thumb: with real money nothing is ordered any more."""
    life = Life(a_state(config=replace(a_config(), real_money=True, approve_auto=False)))
    life.post(spoke(trust=Trust("abc")))
    life.bar(forecast=a_forecast(model_id="model:abc"))
    (intent,) = life.state.proposals
    life.post(spoke("The model abc is no longer trusted and goes.", Trust()))
    life.post(ev.OwnerApproved(life.now(), "chat", life.update(), intent))
    assert not life.state.positions
    refusal = life.decisions()[-1].refusal
    assert refusal is not None
    assert refusal.code == "NOT_IN_USE"
