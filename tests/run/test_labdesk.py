"""What may be asked of models, and what may be done with them, by whom and by which proof."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.domain.errors import BadData, NeedsOwner
from core.domain.events import Event
from core.domain.forecast import Contribution, Forecast
from core.domain.market import to_ms
from core.domain.state import Config, Decision, Outcome, State, Trust
from core.lab_ports import LiveRow, NoForecast, Settled
from core.learn import features
from core.learn.drift import Drift, Level
from core.learn.paired import Duel
from core.learn.record import Track
from core.run.analysts import Batch
from core.run.asking import Heard
from core.run.desk import Asked
from core.run.fitting import misfit
from core.run.labdesk import LabDesk
from core.run.reasons import Reasons
from core.run.retrain import Retrain
from core.run.stepup import Proof
from tests.run.labs import BAD_CARD, Coach, Ledger, MovedClock, Notebook, Shelf

NAMES = features.MODEL_NAMES
AT = datetime(2024, 6, 1, 10, tzinfo=UTC)
ASKED = Asked(1, "update:1")
HOUR = timedelta(hours=1)


def row(value: float = 0.5) -> tuple[float, ...]:
    """A row of features, all alike."""
    return (value,) * len(NAMES)


def decided(model_id: str = "model:old", *, at: datetime = AT, spoke: tuple[Contribution, ...] = ()) -> Decision:
    """A quiet bar that this model forecast."""
    said = Forecast("BTCUSDT", at, True, 0.4, 0.3, 0.06, 0.03, 96, 1000, 0.5, model_id, spoke)
    return Decision("BTCUSDT", at + HOUR, at, Decimal(100), Outcome.QUIET, None, said)


@dataclass
class Watcher:
    """Who follows models: what is asked is answered from here."""

    drift: Drift = field(default_factory=Drift)
    silence: str = ""

    async def track(self, model_id: str) -> Track:
        """Nothing is settled."""
        return Track(model_id, 0, 0.0, 0.0, 0.0, 0.0, ())

    async def compare(self, champion_id: str, challenger_id: str) -> Duel:
        """Nothing in common."""
        return Duel(champion_id, challenger_id, 0, 0, 0.0, (0.0, 0.0), 0.5)


@dataclass
class Explainer:
    """Says that RSI spoke for it; ``silent`` is raised, ``slow`` waits for ever."""

    silent: str = ""
    slow: bool = False
    rows: list[Sequence[float]] = field(default_factory=list)

    async def why(self, given: Sequence[float]) -> tuple[Contribution, ...]:
        """What spoke in this row."""
        self.rows.append(given)
        if self.slow:
            await asyncio.Event().wait()
        if self.silent:
            raise NoForecast(self.silent)
        return (Contribution("rsi_14", 28.0, 1.0, "RSI is 28: oversold (for)."),)


@dataclass
class Machine:
    """The engine as a door needs it: what it knows, and what it was told."""

    state: State
    heard: list[Event] = field(default_factory=list)

    async def post(self, event: Event) -> None:
        """Take it."""
        self.heard.append(event)


@dataclass
class Rig:
    """A door to a lab, and everything behind it."""

    guarded: bool = False
    state: State = field(default_factory=lambda: State(trust=Trust("old")))
    shelf: Shelf = field(default_factory=Shelf)
    ledger: Ledger = field(default_factory=Ledger)
    watcher: Watcher = field(default_factory=Watcher)
    explainer: Explainer = field(default_factory=Explainer)
    coach: Coach = field(default_factory=Coach)
    unfit: str = ""
    deadly: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shelf.promote(self.shelf.put("old"))
        self.retrain = Retrain(
            self.coach, self.shelf, Notebook(), MovedClock(), lambda: ZoneInfo("UTC"), self.prove, self.say
        )
        self.machine = Machine(self.state)
        self.reasons = Reasons(
            self.shelf, self.ledger, self.explainer, lambda: self.machine.state.trust.model_id, within_s=0.2
        )
        self.desk = LabDesk(
            self.machine,
            MovedClock(),
            self.shelf,
            self.watcher,
            self.reasons,
            self.retrain,
            self.prove,
            partial(misfit, span=HOUR, symbols=frozenset({"BTCUSDT"})),
            guarded=self.guarded,
        )

    async def prove(self, folder: Path) -> None:
        """Whether it can be served."""
        if self.unfit or folder.name in self.deadly:
            raise BadData(self.unfit or f"The model {folder.name} cannot be served.")

    async def say(self, text: str) -> None:
        """Nobody listens."""

    def keep(self, n: int, outcome: float, value: float = 0.5) -> None:
        """The n-th bet before the bar, all of them apart in time, settled like this."""
        open_ms = to_ms(AT - n * 10 * HOUR)
        self.ledger.seen.insert(0, LiveRow("BTCUSDT", open_ms, struct.pack(f"<{len(NAMES)}d", *row(value))))
        self.ledger.bets.insert(0, Settled("BTCUSDT", open_ms, open_ms + 9 * 3_600_000, 0.4, 0.3, outcome))

    def heard(self) -> None:
        """The bar close of the decision, as the feed brings it."""
        self.reasons.heard(Batch(AT, {"BTCUSDT": row()}, {}, Heard()))


async def test_the_rule_s_own_reasons_need_no_lab():
    """Nothing is asked of anybody."""
    rig = Rig()
    for decision in (decided("rule:x"), replace(decided(), forecast=None)):
        assert (await rig.desk.why(decision)).decision is decision
    assert rig.explainer.rows == []


async def test_reasons_that_were_not_told_are_asked_for_now():
    """From the row just heard, and in the answer's picture and card."""
    rig = Rig()
    rig.heard()
    seen = await rig.desk.why(decided())
    assert seen.decision.forecast
    assert [one.name for one in seen.decision.forecast.contributions] == ["rsi_14"]
    assert seen.note == ""


async def test_after_a_restart_the_row_comes_from_the_record():
    """What was written down is as good as what was heard."""
    rig = Rig()
    rig.keep(0, 0.0, 0.7)
    seen = await rig.desk.why(decided())
    assert seen.decision.forecast
    assert seen.decision.forecast.contributions
    assert rig.explainer.rows == [row(0.7)]


async def test_the_row_of_another_bar_explains_nothing():
    """A newer bar was heard: its features are not those of the decision."""
    rig = Rig()
    rig.heard()
    seen = await rig.desk.why(decided(at=AT - HOUR))
    assert rig.explainer.rows == []
    assert seen.note == "What spoke cannot be told: the features of this bar are not kept any more."


async def test_reasons_that_were_told_are_not_asked_again():
    """They travel with the decision."""
    rig = Rig()
    rig.heard()
    spoke = (Contribution("rsi_14", 28.0, 1.0, "RSI is 28: oversold (for)."),)
    assert (await rig.desk.why(decided(spoke=spoke))).decision == decided(spoke=spoke)
    assert rig.explainer.rows == []


async def test_a_model_that_is_gone_is_not_explained_by_its_successor():
    """Another model's reasons are another's."""
    rig = Rig(state=State(trust=Trust("another")))
    rig.heard()
    assert "the model old is no longer in use" in (await rig.desk.why(decided())).note
    assert rig.explainer.rows == []


async def test_a_model_that_does_not_answer_is_said_so():
    """With its own reason."""
    rig = Rig(explainer=Explainer(silent="No forecast: the process ended."))
    rig.heard()
    assert (await rig.desk.why(decided())).note == "What spoke cannot be told now. No forecast: the process ended."


async def test_an_answer_that_takes_too_long_ends_in_a_line():
    """Whatever is typed next does not wait for it."""
    rig = Rig(explainer=Explainer(slow=True))
    rig.heard()
    assert (await rig.desk.why(decided())).note.startswith("What spoke could not be had within")


async def test_a_record_that_cannot_be_read_costs_the_reasons_and_not_the_card():
    """The decision is shown all the same."""
    rig = Rig(ledger=Ledger(away="The database cannot be read."))
    seen = await rig.desk.why(decided())
    assert seen.decision == decided()
    assert seen.note == "What spoke cannot be looked up. The database cannot be read."


async def test_similar_bars_are_told_with_their_outcomes():
    """Of the settled bets of this model whose features are kept, since when."""
    rig = Rig()
    rig.heard()
    for n in range(1, 21):
        rig.keep(n, 1.0 if n % 4 == 0 else 0.0)
    seen = await rig.desk.why(decided())
    assert seen.alike
    assert (seen.alike.count, seen.alike.won, seen.alike.lost) == (20, 5, 15)
    assert seen.since == AT - 200 * HOUR


async def test_bars_whose_features_are_gone_are_no_cases():
    """An outcome without its row cannot be compared."""
    rig = Rig()
    rig.heard()
    for n in range(1, 21):
        rig.keep(n, 1.0)
    rig.ledger.seen = rig.ledger.seen[:5]
    rig.ledger.seen[0] = rig.ledger.seen[0]._replace(x=b"")
    seen = await rig.desk.why(decided())
    assert seen.alike
    assert seen.alike.count == 4


async def test_a_model_that_was_removed_has_no_similar_cases_and_no_error():
    """What it ranked its features by went with it."""
    rig = Rig()
    rig.heard()
    del rig.shelf.models["old"]
    assert (await rig.desk.why(decided())).alike is None


async def test_the_view_shows_both_models_with_their_worth():
    """What the cards found, out of fold, and who is trusted how far."""
    rig = Rig(watcher=Watcher(Drift(Level.WARN, ("A warning.",)), "It died."))
    rig.shelf.set_challenger(rig.shelf.put("next", BAD_CARD))
    view = await rig.desk.view()
    assert view.champion
    assert view.challenger
    assert view.champion.worth
    assert view.challenger.worth
    assert view.champion.worth.beats
    assert view.challenger.worth.missed == ("sound",)
    assert view.champion.worth.table[0].count == 4_000
    assert view.duel
    assert view.duel.challenger_id == "next"
    assert view.drift.level is Level.WARN
    assert view.silence == "It died."
    assert view.newest is None


async def test_without_a_champion_the_newest_candidate_is_shown_with_what_it_lacks():
    """Whoever trains wants to know how near it came."""
    rig = Rig(state=State(config=Config(real_money=True)))
    rig.shelf.dismiss()
    rig.shelf.put("late", BAD_CARD, created_at=datetime(2024, 5, 1, tzinfo=UTC))
    view = await rig.desk.view()
    assert view.champion is None
    assert view.real_money
    assert view.nobody.startswith("There is no champion yet")
    assert view.newest
    assert view.newest.id == "late"
    assert view.duel is None


async def test_a_card_that_cannot_be_read_is_no_error():
    """A model of another version is shown without its worth."""
    rig = Rig()
    rig.shelf.put("old", {})
    view = await rig.desk.view()
    assert view.champion
    assert view.champion.worth is None


async def test_the_owner_can_make_the_challenger_champion():
    """Only the one that is shown as challenger, and only what its gate let through."""
    rig = Rig()
    rig.shelf.set_challenger(rig.shelf.put("next"))
    assert (await rig.desk.promote(ASKED, "next", Proof.BUTTON)).startswith("next is champion")
    (said,) = rig.machine.heard
    assert (said.model_id, said.proof, said.update_id) == ("next", "button", ASKED.update_id)
    assert rig.shelf.places == {"champion": "next", "challenger": ""}


@pytest.mark.parametrize(
    ("challenger", "judged", "unfit", "words"),
    [
        ("", None, "", "no longer the challenger"),
        ("late", None, "", "no longer the challenger"),
        ("next", BAD_CARD, "", "did not pass its gate"),
        ("next", {}, "", "is refused: this is no model card"),
        ("next", None, "The model next cannot be served.", "cannot be served"),
    ],
)
async def test_what_may_not_forecast_is_not_promoted(challenger: str, judged: object, unfit: str, words: str):
    """The champion stays, whatever was pressed."""
    rig = Rig(unfit=unfit)
    rig.shelf.put("next", judged) if judged is not None else rig.shelf.put("next")  # type: ignore[arg-type]
    rig.shelf.put("late")
    rig.shelf.set_challenger(challenger or None)
    with pytest.raises(BadData, match=words):
        await rig.desk.promote(ASKED, "next", Proof.CODE)
    assert rig.shelf.places["champion"] == "old"


async def test_real_money_asks_for_a_second_proof():
    """A press alone makes no champion where the mode is guarded, whoever forgot to ask before."""
    rig = Rig(guarded=True)
    rig.shelf.set_challenger(rig.shelf.put("next"))
    with pytest.raises(BadData, match="second proof"):
        await rig.desk.promote(ASKED, "next", Proof.BUTTON)
    await rig.desk.promote(ASKED, "next", Proof.CODE)
    assert rig.shelf.places["champion"] == "next"


async def test_a_challenger_of_other_bars_is_not_promoted():
    """It would not be used, and the champion that works would be out of its place."""
    rig = Rig()
    rig.shelf.set_challenger(rig.shelf.put("next", span="4h"))
    with pytest.raises(BadData, match="made for bars of 4h, not of 1h"):
        await rig.desk.promote(ASKED, "next", Proof.CODE)
    assert rig.shelf.places == {"champion": "old", "challenger": "next"}
    assert rig.machine.heard == []


def reign(rig: Rig, *ids: str) -> None:
    """Each of these was champion, one after the other."""
    for made in ids:
        rig.shelf.promote(rig.shelf.put(made))


async def test_the_owner_can_give_the_place_back_to_the_champion_before():
    """It is shown first; the word stands in the journal with its proof."""
    rig = Rig()
    assert (await rig.desk.view()).before == ""
    reign(rig, "new")
    assert (await rig.desk.view()).before == "old"
    model, passed = await rig.desk.back()
    assert (model.id, passed) == ("old", ())
    assert (await rig.desk.go_back(ASKED, "old", Proof.BUTTON)).startswith("old is champion again")
    (said,) = rig.machine.heard
    assert (said.model_id, said.proof, said.update_id) == ("old", "button", ASKED.update_id)
    assert rig.shelf.places["champion"] == "old"


async def test_the_way_back_passes_over_what_cannot_forecast():
    """What no process can serve, and what was made for other bars; each with its reason."""
    rig = Rig(deadly={"deadly"})
    reign(rig, "deadly", "other", "new")
    rig.shelf.put("other", span="4h")
    assert (await rig.desk.view()).before == "deadly"
    model, passed = await rig.desk.back()
    assert model.id == "old"
    assert [said.split(":")[0] for said in passed] == [
        "The model other was made for bars of 4h, not of 1h",
        "The model deadly cannot be served.",
    ]


async def test_a_way_back_that_has_moved_since_it_was_shown_is_not_taken():
    """The owner agreed to one model: no other gets the place by that word."""
    rig = Rig()
    reign(rig, "new", "newer")
    with pytest.raises(BadData, match="no longer the way back"):
        await rig.desk.go_back(ASKED, "old", Proof.CODE)
    with pytest.raises(NeedsOwner, match="no champion before"):
        await Rig().desk.go_back(ASKED, "old", Proof.CODE)
    assert (rig.shelf.places["champion"], rig.machine.heard) == ("newer", [])


async def test_the_way_back_asks_for_a_second_proof_with_real_money():
    """The model before may have the full size where the present one is halved."""
    rig = Rig(guarded=True)
    reign(rig, "new")
    with pytest.raises(BadData, match="second proof"):
        await rig.desk.go_back(ASKED, "old", Proof.BUTTON)
    assert rig.shelf.places["champion"] == "new"
    await rig.desk.go_back(ASKED, "old", Proof.CODE)
    assert rig.shelf.places["champion"] == "old"


async def test_training_is_begun_once_and_can_be_stopped():
    """The answers say what happened, and what runs is seen."""
    rig = Rig(coach=Coach(at_once=False))
    assert "Training has begun" in await rig.desk.retrain(ASKED)
    assert rig.desk.running
    assert (await rig.desk.view()).running
    assert "runs already" in await rig.desk.retrain(ASKED)
    await rig.coach.begun.wait()
    assert "was stopped" in await rig.desk.stop(ASKED)
    assert "Nothing was stopped" in await rig.desk.stop(ASKED)
    assert rig.coach.runs == rig.coach.ended == 1
    assert [event.stop for event in rig.machine.heard] == [False, False, True, True]
    last = await rig.desk.last()
    assert last
    assert last.said.startswith("Training was stopped")
