"""The lab from the owner's side of the chat: what is shown, what a press does, and what it cannot do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot.handlers.lab import Act, Pressed
from bot.pieces import TEXT_MAX, utf16_length
from bot.stepup import StepUp
from bot.views.modelspec import ModelSpec
from core.domain.events import BarSeen
from core.domain.state import Config, State
from core.run.analysts import Batch
from core.run.asking import Heard
from core.run.stepup import Proof
from tests.bot.fakes import Office, bar, forecast, office
from tests.bot.phones import Phone, phone
from tests.run.labs import BAD_CARD, Coach
from tests.run.test_labdesk import Rig, row

USED = "This button was used, is too old, or is from before a restart."


async def by_model(there: Office, hour: int = 1, model_id: str = "model:old", *, low: float = 0.3) -> None:
    """A bar closes that a model forecast, and did not explain."""
    said = replace(forecast(hour, model_id=model_id), contributions=(), p_win=0.4, p_low=low)
    closed = bar(hour)
    await there.bars.save([closed])
    there.clock.at = closed.close_at
    await there.engine.post(BarSeen(closed.close_at, f"bar:{hour}", closed, said))


@asynccontextmanager
async def lab(rig: Rig, *, guarded: bool = False, stepup: StepUp | None = None) -> AsyncIterator[tuple[Office, Phone]]:
    """An office and a phone with a lab behind them."""
    async with office(guarded=guarded, mode="live" if guarded else "demo") as there:
        yield there, phone(there, stepup=stepup, lab=rig.desk)


async def test_model_shows_its_card_with_its_picture():
    """One message with a picture of the record, and no button where there is nobody to promote."""
    rig = Rig()
    async with lab(rig) as (_, hand):
        said = await hand.say("/model")
        assert "🧪 Model old forecasts" in said[0]
        assert 0 < utf16_length(said[0]) <= TEXT_MAX
        (spec,) = hand.easel.drawn
        assert isinstance(spec, ModelSpec)
        assert spec.badge == "SIMULATED"
        assert all(call.reply_markup is None for call in (*hand.chat.of("sendPhoto"), *hand.chat.of("sendMessage")))


async def test_without_a_picture_the_card_still_comes():
    """A drawing process that fails never costs the text."""
    rig = Rig()
    async with lab(rig) as (_, hand):
        hand.easel.broken = True
        assert "Model old forecasts" in (await hand.say("/model"))[0]


async def test_without_a_model_it_is_plain_words():
    """Why the rule forecasts, and how to train."""
    rig = Rig(state=State(config=Config(real_money=True)))
    rig.shelf.dismiss()
    rig.shelf.models.clear()
    async with lab(rig) as (_, hand):
        (said,) = await hand.say("/model")
        assert said.startswith("The rule forecasts, no model")
        assert hand.easel.drawn == []


@pytest.mark.parametrize("command", ["/model", "/retrain"])
async def test_where_no_lab_runs_it_is_said(command: str):
    """A demo has no models."""
    async with office() as there:
        assert await phone(there).say(command) == [
            "No model runs in demo mode: the fixed rule forecasts, and says so on every card."
        ]


async def test_the_challenger_is_promoted_by_two_presses():
    """One that asks, one that does; the question is gone afterwards."""
    rig = Rig()
    rig.shelf.set_challenger(rig.shelf.put("next"))
    async with lab(rig) as (_, hand):
        await hand.say("/model")
        await hand.press(hand.button("Let next forecast"))
        assert rig.shelf.places["champion"] == "old"
        answers = await hand.press(hand.button("Let it forecast"))
        assert rig.shelf.places == {"champion": "next", "challenger": ""}
        assert all(answer.startswith("next is champion") for answer in answers)
        assert hand.chat.of("editMessageText")[-1].reply_markup is None


async def test_a_challenger_that_failed_its_gate_has_no_button():
    """And a press that was made up is refused."""
    rig = Rig()
    rig.shelf.set_challenger(rig.shelf.put("next", BAD_CARD))
    async with lab(rig) as (_, hand):
        await hand.say("/model")
        with pytest.raises(AssertionError, match="no button"):
            hand.button("forecast")
        (answer,) = await hand.press(Pressed(act=Act.ASK, what="next").pack())
        assert "did not pass its gate" in answer
        assert rig.shelf.places["champion"] == "old"


async def test_with_real_money_a_press_waits_for_the_second_proof(tmp_path: Path):
    """The press asks, the code does; nothing happens before."""
    rig = Rig(guarded=True)
    rig.shelf.set_challenger(rig.shelf.put("next"))
    stepup = StepUp(tmp_path, None)
    async with lab(rig, guarded=True, stepup=stepup) as (_, hand):
        (said,) = await hand.press(Pressed(act=Act.ASK, what="next").pack())
        assert "next would forecast from the next bar on, in place of the champion." in said
        assert "./run confirm" in said
        assert rig.shelf.places["champion"] == "old"
        waiting = stepup._waiting
        assert waiting
        assert (await waiting.act(Proof.TERMINAL)).startswith("next is champion")
        assert rig.shelf.places["champion"] == "next"


async def test_with_real_money_no_button_promotes():
    """Neither the confirming button of another mode, nor without a way to prove anything."""
    rig = Rig(guarded=True)
    rig.shelf.set_challenger(rig.shelf.put("next"))
    async with lab(rig, guarded=True) as (_, hand):
        (answer,) = await hand.press(Pressed(act=Act.ASK, what="next").pack())
        assert "needs a second proof" in answer
        token = hand.dispatcher["confirmations"].issue("model next")
        (answer,) = await hand.press(Pressed(act=Act.PROMOTE, what=token).pack())
        assert "needs a second proof" in answer
        assert rig.shelf.places["champion"] == "old"


async def test_the_champion_before_gets_its_place_back_by_two_presses():
    """One that asks, one that does; the button names the model, and only where there is one to go back to."""
    rig = Rig()
    rig.shelf.promote(rig.shelf.put("new"))
    rig.shelf.set_challenger(rig.shelf.put("next"))
    async with lab(rig) as (_, hand):
        await hand.say("/model")
        assert hand.button("Let next forecast")
        await hand.press(hand.button("Back to old"))
        assert rig.shelf.places["champion"] == "new"
        asked = hand.chat.of("sendMessage")[-1].text
        assert asked.startswith("old, champion before, would forecast from the next bar on.")
        answers = await hand.press(hand.button("Go back to it"))
        assert rig.shelf.places == {"champion": "old", "challenger": "next"}
        assert all(answer.startswith("old is champion again") for answer in answers)
        assert hand.chat.of("editMessageText")[-1].reply_markup is None


async def test_the_way_back_names_who_is_passed_over_before_it_is_taken():
    """The button shows who is sound on the disk; the question, who can really be served, and why not the other."""
    rig = Rig(deadly={"deadly"})
    for made in ("deadly", "new"):
        rig.shelf.promote(rig.shelf.put(made))
    async with lab(rig) as (_, hand):
        await hand.say("/model")
        await hand.press(hand.button("Back to deadly"))
        asked = hand.chat.of("sendMessage")[-1].text
        assert asked.startswith("The model deadly cannot be served. old, champion before, would forecast")
        await hand.press(hand.button("Go back to it"))
        assert rig.shelf.places["champion"] == "old"


async def test_with_nobody_to_go_back_to_a_press_changes_nothing():
    """A card from before the last one was gone back to."""
    rig = Rig()
    async with lab(rig) as (_, hand):
        (answer,) = await hand.press(Pressed(act=Act.ASK_BACK, what="gone").pack())
        assert "There is no champion before this one to go back to." in answer
        assert rig.shelf.places["champion"] == "old"


async def test_with_real_money_the_way_back_waits_for_the_second_proof(tmp_path: Path):
    """As for a promotion: nothing happens before, and no button does it."""
    rig = Rig(guarded=True)
    rig.shelf.promote(rig.shelf.put("new"))
    stepup = StepUp(tmp_path, None)
    async with lab(rig, guarded=True, stepup=stepup) as (_, hand):
        (said,) = await hand.press(Pressed(act=Act.ASK_BACK, what="old").pack())
        assert "./run confirm" in said
        token = hand.dispatcher["confirmations"].issue("back old")
        (answer,) = await hand.press(Pressed(act=Act.GO_BACK, what=token).pack())
        assert "needs a second proof" in answer
        assert rig.shelf.places["champion"] == "new"
        waiting = stepup._waiting
        assert waiting
        assert (await waiting.act(Proof.TERMINAL)).startswith("old is champion again")
        assert rig.shelf.places["champion"] == "old"


async def test_retrain_asks_and_a_press_begins_one_training():
    """The question says what it takes; the button works once."""
    rig = Rig(coach=Coach(at_once=False))
    async with lab(rig) as (_, hand):
        (question,) = await hand.say("/retrain")
        assert question.startswith("Train a new model now?")
        assert rig.coach.runs == 0
        button = hand.button("Train now")
        answers = await hand.press(button)
        assert "Training has begun" in answers[-1]
        assert USED in (await hand.press(button))[0]
        await rig.coach.begun.wait()
        assert rig.coach.runs == 1
        await rig.retrain.close()


async def test_retrain_says_where_nothing_can_come_of_it():
    """With the button all the same: it is the owner's machine."""
    rig = Rig()
    rig.retrain.hopeless = "Too few bars."
    async with lab(rig) as (_, hand):
        (question,) = await hand.say("/retrain")
        assert question.endswith("Too few bars.")
        assert hand.button("Train now")


async def test_a_second_question_does_not_begin_a_second_training():
    """Two cards, two buttons, one training."""
    rig = Rig(coach=Coach(at_once=False))
    async with lab(rig) as (_, hand):
        await hand.say("/retrain")
        first = hand.button("Train now")
        await hand.say("/retrain")
        second = hand.button("Train now")
        await hand.press(first)
        assert "runs already" in (await hand.press(second))[-1]
        await rig.coach.begun.wait()
        assert rig.coach.runs == 1
        await rig.retrain.close()


async def test_a_training_under_way_can_be_stopped_from_the_chat():
    """The same command shows it, with its button; afterwards it says how it ended."""
    rig = Rig(coach=Coach(at_once=False))
    async with lab(rig) as (_, hand):
        await hand.say("/retrain")
        await hand.press(hand.button("Train now"))
        await rig.coach.begun.wait()
        (shown,) = await hand.say("/retrain")
        assert shown.startswith("A training has run for ")
        assert "was stopped" in (await hand.press(hand.button("Stop it")))[-1]
        assert rig.coach.ended == 1
        (again,) = await hand.say("/retrain")
        assert "Training was stopped, as you asked." in again


async def test_buttons_of_the_lab_know_their_own_tokens_only():
    """A token for a training promotes nobody, and one for panic trains nothing."""
    rig = Rig()
    rig.shelf.set_challenger(rig.shelf.put("next"))
    async with lab(rig) as (_, hand):
        confirmations = hand.dispatcher["confirmations"]
        for act, action in (
            (Act.PROMOTE, "training begin"),
            (Act.TRAIN, "panic"),
            (Act.STOP, "model next"),
            (Act.GO_BACK, "model next"),
        ):
            (answer,) = await hand.press(Pressed(act=act, what=confirmations.issue(action)).pack())
            assert answer.startswith(USED)
        assert (rig.coach.runs, rig.shelf.places["champion"]) == (0, "old")


@pytest.mark.parametrize("act", Act)
async def test_a_button_from_another_mode_does_nothing(act: Act):
    """Where no lab runs a press is answered by a line."""
    async with office() as there:
        hand = phone(there)
        action = {Act.PROMOTE: "model next", Act.GO_BACK: "back next"}.get(act, "training begin")
        (answer,) = await hand.press(Pressed(act=act, what=hand.dispatcher["confirmations"].issue(action)).pack())
        assert answer == "No model runs in this mode, so this button does nothing."


async def test_why_asks_the_model_for_reasons_it_did_not_give():
    """In the card, in the picture's columns, with similar bars and how far short it fell."""
    rig = Rig()
    for n in range(1, 21):
        rig.keep(n, 1.0 if n % 4 == 0 else 0.0)
    async with lab(rig) as (there, hand):
        await by_model(there)
        rig.reasons.heard(Batch(bar(1).open_at, {"BTCUSDT": row()}, {}, Heard()))
        said = " ".join(await hand.say("/why btc"))
        assert "RSI is 28: oversold (for)." in said
        assert "by the model old" in said
        assert "points short. [NO_EDGE]" in said
        assert [spoke.label for spoke in hand.easel.drawn[0].spoke_for] == ["RSI 28"]


async def test_why_says_where_it_cannot_tell():
    """A model that is gone, or a bar whose features are: one line, and the rest of the card."""
    rig = Rig()
    async with lab(rig) as (there, hand):
        await by_model(there, model_id="model:gone")
        (said,) = await hand.say("/why btc")
        assert "What spoke cannot be told: the model gone is no longer in use." in said
        assert "Why not: " in said


async def test_why_of_the_rule_is_as_it_was():
    """With a lab or without one."""
    rig = Rig()
    async with lab(rig) as (there, hand):
        await there.see(1, fires=True)
        with_lab = await hand.say("/why btc")
        alone = phone(there)
        alone.next_id = 50  # the same update twice is one command
        assert with_lab == await alone.say("/why btc")
        assert "by a fixed rule" in with_lab[0]


async def test_similar_bars_stand_on_the_card():
    """Of the bars that were settled before this one."""
    rig = Rig()
    for n in range(1, 21):
        rig.keep(n, 1.0 if n % 4 == 0 else 0.0)
    async with lab(rig) as (there, hand):
        await by_model(there, hour=24 * 160)
        rig.reasons.heard(Batch(bar(24 * 160).open_at, {"BTCUSDT": row()}, {}, Heard()))
        said = " ".join(await hand.say("/why btc"))
        assert "Of the 20 most alike bars I forecast since" in said
        assert "5 won, 15 lost, 0 ran out of time: 25% of a win on average; this one was given 40%." in said
        assert "The nearest\n• BTCUSDT, 1 Jun 2024: given 40%, lost\n• BTCUSDT, " in said
