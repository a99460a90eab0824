"""Nights, nights that were missed, and what becomes of a candidate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData, FirstmateError, NeedsOwner
from core.learn.judge import gate
from core.run import retrain
from core.run.retrain import LONGER, RETIRED_AFTER, Retrain, newest_night, trial
from tests.run.forecasting import a_model
from tests.run.labs import BAD_CARD, Coach, MovedClock, Notebook, Shelf

ZONES = ("UTC", "Europe/Berlin", "Europe/Helsinki", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


@dataclass
class Rig:
    """A life of retraining: everything it talks to, and restarts that keep what is on disk."""

    coach: Coach = field(default_factory=Coach)
    shelf: Shelf = field(default_factory=Shelf)
    memory: Notebook = field(default_factory=Notebook)
    clock: MovedClock = field(default_factory=MovedClock)
    zone: ZoneInfo = BERLIN
    told: list[str] = field(default_factory=list)
    unfit: str = ""
    limit_s: float = 1800.0
    hopeless: str = ""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process over the same disk."""
        self.one = Retrain(
            self.coach,
            self.shelf,
            self.memory,
            self.clock,
            lambda: self.zone,
            self.prove,
            self.say,
            self.limit_s,
            self.hopeless,
        )

    async def prove(self, folder: Path) -> None:
        """Whether a process can serve what is in this folder."""
        if self.unfit:
            raise BadData(self.unfit)

    async def say(self, text: str) -> None:
        """One message."""
        self.told.append(text)

    async def over(self) -> None:
        """Wait until what runs is through."""
        for _ in range(200):
            if not self.one.running:
                return
            await asyncio.sleep(0.005)
        raise AssertionError("the training does not end")

    async def look(self, at: datetime | None = None) -> int:
        """One look at the clock; how many trainings there were so far."""
        self.clock.at = at or self.clock.at
        await self.one.due()
        await self.over()
        return self.coach.runs

    async def train(self) -> str:
        """Train as the owner asks; what was told."""
        assert await self.one.start()
        await self.over()
        last = await self.one.last()
        assert last
        return last.said


@pytest.fixture
def rig() -> Rig:
    """One with a candidate that passes, and nobody in any place."""
    made = Rig()
    made.shelf.put("new")
    return made


@given(st.integers(0, 4 * 365 * 24 * 60), st.sampled_from(ZONES))
def test_the_newest_night_lies_behind_and_the_next_one_ahead(minute: int, name: str):
    """In any zone, over every change of the clocks."""
    now, zone = datetime(2023, 1, 2, tzinfo=UTC) + timedelta(minutes=minute), ZoneInfo(name)
    night = newest_night(now, zone)
    assert night <= now < newest_night(night + timedelta(hours=26), zone)


@pytest.mark.parametrize("name", ZONES)
def test_a_year_has_as_many_nights_as_dates(name: str):
    """No night twice where the hour comes twice, none left out where it is left out."""
    zone, first = ZoneInfo(name), datetime(2024, 1, 1, tzinfo=UTC)
    nights = sorted({newest_night(first + n * HOUR, zone) for n in range(366 * 24)})
    apart = {(later - earlier) for earlier, later in pairwise(nights)}
    assert len({night.astimezone(zone).date() for night in nights}) == len(nights)
    assert min(apart) >= 23 * HOUR
    assert max(apart) <= 25 * HOUR


async def test_it_trains_at_ten_past_three_where_the_owner_lives(rig: Rig):
    """Not before, once, and again the next night: 03:10 in Berlin's summer is 01:10 UTC."""
    assert await rig.look(datetime(2024, 6, 1, 12, tzinfo=UTC)) == 0
    assert await rig.look(datetime(2024, 6, 2, 1, 9, tzinfo=UTC)) == 0
    assert await rig.look(datetime(2024, 6, 2, 1, 10, tzinfo=UTC)) == 1
    assert await rig.look(datetime(2024, 6, 2, 23, 0, tzinfo=UTC)) == 1
    assert await rig.look(datetime(2024, 6, 3, 1, 10, tzinfo=UTC)) == 2


async def test_a_hopeless_training_is_left_out_and_that_is_told_once(rig: Rig):
    """Not each night, nor at each start; whoever mends it is not told again, and the next night trains."""
    rig.hopeless = "Too few bars."
    for day in (1, 2, 3):
        rig.restart()
        assert await rig.look(datetime(2024, 6, day, 12, tzinfo=UTC)) == 0
        assert await rig.look() == 0
    assert rig.told == ["Too few bars."]
    rig.hopeless = ""
    rig.restart()
    assert await rig.look() == 0
    assert await rig.look(datetime(2024, 6, 4, 1, 10, tzinfo=UTC)) == 1
    assert rig.told == ["Too few bars."]


async def test_a_hopeless_training_the_owner_asks_for_is_run(rig: Rig):
    """Whoever wants to see what it says may."""
    rig.hopeless = "Too few bars."
    rig.restart()
    await rig.train()
    assert rig.coach.runs == 1


async def test_a_hopeless_training_the_owner_asked_for_is_taken_up_after_a_restart(rig: Rig):
    """It was asked for: what cut it off was no answer. Tried once more, and no night trains for it."""
    rig.hopeless, rig.coach.at_once = "Too few bars.", False
    rig.restart()
    assert await rig.one.start()
    for day, runs in ((1, 1), (2, 2), (3, 2)):
        await asyncio.sleep(0)
        assert rig.coach.runs == runs
        await rig.one.close()
        rig.restart()
        rig.clock.at = datetime(2024, 6, day, 12, tzinfo=UTC)
        await rig.one.due()
    assert rig.one.running is None
    assert rig.told == ["Too few bars."]


async def test_a_fresh_start_waits_for_its_first_night(rig: Rig):
    """Nobody's first minutes are spent on training on nothing."""
    assert await rig.look() == 0
    rig.restart()
    assert await rig.look() == 0


async def test_nights_that_were_missed_are_caught_up_once(rig: Rig):
    """After days without power: one training, not one a night."""
    await rig.look(datetime(2024, 6, 1, 12, tzinfo=UTC))
    rig.restart()
    assert await rig.look(datetime(2024, 6, 5, 9, tzinfo=UTC)) == 1
    rig.restart()
    assert await rig.look(datetime(2024, 6, 5, 9, 1, tzinfo=UTC)) == 1


async def test_a_restart_in_the_same_night_trains_no_second_time(rig: Rig):
    """What was done is on the disk, not in the scheduler."""
    await rig.look()
    assert await rig.look(datetime(2024, 6, 2, 1, 10, tzinfo=UTC)) == 1
    rig.restart()
    assert await rig.look(datetime(2024, 6, 2, 1, 20, tzinfo=UTC)) == 1


async def test_a_night_is_left_out_for_good_where_there_was_a_training_just_before(rig: Rig):
    """By the owner's word, or by hand at the terminal: the registry knows. It is not made up for at noon."""
    await rig.look()
    rig.clock.at = datetime(2024, 6, 2, 0, 0, tzinfo=UTC)
    await rig.train()
    for hour in (2, 12, 13, 23):
        assert await rig.look(datetime(2024, 6, 2, hour, tzinfo=UTC)) == 1
    rig.shelf.put("by hand", created_at=datetime(2024, 6, 2, 22, 0, tzinfo=UTC))
    for at in (datetime(2024, 6, 3, 1, 10, tzinfo=UTC), datetime(2024, 6, 3, 22, 0, tzinfo=UTC)):
        assert await rig.look(at) == 1
    assert await rig.look(datetime(2024, 6, 4, 1, 10, tzinfo=UTC)) == 2


async def test_the_night_after_an_evening_s_first_start_is_trained(rig: Rig):
    """A first look is no training."""
    assert await rig.look(datetime(2024, 6, 1, 22, 0, tzinfo=UTC)) == 0
    assert await rig.look(datetime(2024, 6, 2, 1, 9, tzinfo=UTC)) == 0
    assert await rig.look(datetime(2024, 6, 2, 1, 10, tzinfo=UTC)) == 1


async def test_a_training_cut_off_with_us_is_tried_once_more_and_no_oftener(rig: Rig):
    """A training that takes the machine down must not do so for ever."""
    await rig.look()
    rig.coach.at_once = False
    rig.clock.at = datetime(2024, 6, 2, 1, 10, tzinfo=UTC)
    for runs in (1, 2, 2):
        await rig.one.due()
        await asyncio.sleep(0)
        assert rig.coach.runs == runs
        await rig.one.close()
        rig.restart()
    rig.coach.at_once = True
    rig.shelf.promote(rig.shelf.put("old"))
    assert rig.told == []
    assert await rig.look(datetime(2024, 6, 3, 1, 10, tzinfo=UTC)) == 3
    assert len(rig.told) == 1


async def test_a_clock_that_went_back_does_not_stop_the_nights(rig: Rig):
    """What is remembered of the future counts from now."""
    await rig.look(datetime(2025, 6, 1, 12, tzinfo=UTC))
    assert await rig.look(datetime(2024, 6, 1, 12, tzinfo=UTC)) == 0
    assert await rig.look(datetime(2024, 6, 2, 1, 10, tzinfo=UTC)) == 1


async def test_a_model_of_the_future_does_not_stop_the_nights(rig: Rig):
    """Made by hand while the clock was wrong: it says nothing of when there was a training."""
    await rig.look(datetime(2024, 6, 1, 12, tzinfo=UTC))
    rig.shelf.put("by hand", created_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert await rig.look(datetime(2024, 6, 2, 1, 10, tzinfo=UTC)) == 1


async def test_a_memory_that_cannot_be_read_is_a_first_look(rig: Rig):
    """Nonsense on the disk is no crash."""
    rig.memory.said[retrain.NAME] = '{"begun": 7}'
    assert await rig.look() == 0
    assert (await rig.one.last()) is not None


async def test_there_are_never_two(rig: Rig):
    """Neither by asking twice nor by a night that comes meanwhile."""
    rig.coach.at_once = False
    await rig.look()
    assert await rig.one.start()
    assert rig.one.running
    assert not await rig.one.start()
    rig.clock.at = datetime(2024, 6, 2, 1, 10, tzinfo=UTC)
    await rig.one.due()
    rig.coach.done.set()
    await rig.over()
    assert rig.coach.runs == 1


async def test_asking_twice_at_once_begins_one(rig: Rig):
    """Two presses in the same moment are one training."""
    begun = await asyncio.gather(rig.one.start(), rig.one.start())
    await rig.over()
    assert sorted(begun) == [False, True]
    assert rig.coach.runs == 1


async def test_the_first_model_that_passes_is_champion(rig: Rig):
    """Where nobody forecasts but the rule; that it forecasts is told by who lets it forecast."""
    assert await rig.train() == "The new model new passed its gate and is champion."
    assert rig.shelf.places == {"champion": "new", "challenger": ""}
    assert rig.shelf.retired == [RETIRED_AFTER]
    assert rig.told == []


async def test_beside_a_champion_it_is_challenger(rig: Rig):
    """Who acts does not change because somebody trained."""
    rig.shelf.promote(rig.shelf.put("old"))
    said = await rig.train()
    assert rig.shelf.places == {"champion": "old", "challenger": "new"}
    assert "is challenger: it forecasts in the shadow of old, which stays champion" in said
    assert rig.told == [said]


async def test_a_champion_whose_card_cannot_be_read_gives_way_at_once(rig: Rig):
    """It is refused, so it forecasts nothing: nobody has to wait in its shadow."""
    rig.shelf.promote(rig.shelf.put("old", {"format": 99}))
    assert await rig.train() == "The new model new passed its gate and is champion."
    assert rig.shelf.places == {"champion": "new", "challenger": ""}


async def test_a_champion_that_cannot_forecast_these_bars_keeps_nobody_out(rig: Rig):
    """Bars were of four hours until the owner set one: the first model of hours is champion, not a shadow of nobody."""
    rig.shelf.promote(rig.shelf.put("old", span="4h"))
    assert await rig.train() == "The new model new passed its gate and is champion."
    assert rig.shelf.places["champion"] == "new"


async def test_a_champion_that_misses_btc_keeps_nobody_out(rig: Rig):
    """Nobody watches BTC any more: the first model that needs no BTC is champion."""
    new = rig.shelf.models["new"]
    rig.shelf.models["new"] = replace(new, manifest=replace(new.manifest, symbols=("ETHUSDT",)))
    rig.shelf.promote(rig.shelf.put("old"))
    assert await rig.train() == "The new model new passed its gate and is champion."


async def test_a_challenger_that_cannot_forecast_these_bars_is_on_no_trial(rig: Rig):
    """It would never be judged."""
    rig.shelf.promote(rig.shelf.put("old"))
    rig.shelf.set_challenger(rig.shelf.put("foreign", span="4h", created_at=rig.clock.at - HOUR))
    await rig.train()
    assert rig.shelf.places == {"champion": "old", "challenger": "new"}


@pytest.mark.parametrize(("hours_left", "place"), [(1, "on trial"), (0, "new")])
async def test_a_challenger_on_trial_keeps_its_place_until_it_can_be_judged(rig: Rig, hours_left: int, place: str):
    """A new one every night would mean that none is ever tried."""
    rig.shelf.promote(rig.shelf.put("old"))
    age = trial(rig.shelf.models["old"]) - hours_left * HOUR
    rig.shelf.set_challenger(rig.shelf.put("on trial", created_at=rig.clock.at - age))
    said = await rig.train()
    assert rig.shelf.places["challenger"] == place
    assert ("still on trial" in said) is (place == "on trial")


def test_a_trial_lasts_longer_where_bets_do():
    """A bet of 96 bars of four hours takes 16 days to settle."""
    hourly, slow = (trial(a_model(span=span)) for span in ("1h", "4h"))
    assert slow - hourly == 96 * 3 * HOUR
    assert hourly > LONGER + 96 * HOUR


async def test_what_fails_its_gate_gets_no_place_and_says_why(rig: Rig):
    """The first criterion in full, all by name; the champion stays."""
    rig.shelf.promote(rig.shelf.put("old"))
    rig.shelf.put("new", BAD_CARD)
    said = await rig.train()
    assert rig.shelf.places == {"champion": "old", "challenger": ""}
    assert "The new model new did not pass its gate. Found: the feature ret_1 knows the next bar." in said
    assert "It fails 1 of 10 criteria: sound." in said
    assert said.endswith("old stays champion.")


async def test_a_card_that_cannot_be_read_is_no_pass(rig: Rig):
    """What was not shown has not been shown."""
    rig.shelf.put("new", {})
    said = await rig.train()
    assert rig.shelf.places["champion"] == ""
    assert "has no card that can be read" in said


async def test_a_card_without_criteria_is_no_pass(rig: Rig):
    """Nothing asked is nothing shown."""
    rig.shelf.put("new", {**rig.shelf.models["new"].card, "criteria": []})
    assert not gate.promotable(())
    assert "did not pass its gate. " in await rig.train()
    assert rig.shelf.places["champion"] == ""


async def test_a_model_that_cannot_be_served_gets_no_place(rig: Rig):
    """It is proven by a process like the one that would serve it, before anything names it."""
    rig.unfit = "The model new cannot be served: it ends."
    said = await rig.train()
    assert said.startswith("No new model: The model new cannot be served")
    assert rig.shelf.places["champion"] == ""


async def test_the_same_model_again_changes_nothing(rig: Rig):
    """The same data and seed give the same model; it does not become its own challenger."""
    rig.shelf.promote("new")
    assert "in its place already" in await rig.train()
    assert rig.shelf.places == {"champion": "new", "challenger": ""}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NeedsOwner("Too few bars: fetch more."), "No new model: Too few bars: fetch more. old stays champion."),
        (FirstmateError("The training process ended by signal 9."), "No new model: The training process ended"),
        (ZeroDivisionError(), "Training failed, and it is logged. old stays champion."),
    ],
)
async def test_a_training_that_fails_says_why_and_the_champion_stays(rig: Rig, fault: Exception, words: str):
    """One message, and the next one can begin."""
    rig.shelf.promote(rig.shelf.put("old"))
    rig.coach.fault = fault
    assert (await rig.train()).startswith(words)
    assert rig.shelf.places["champion"] == "old"
    assert not rig.one.running


async def test_a_training_that_takes_too_long_is_ended_and_told(rig: Rig):
    """Whatever it hangs on."""
    rig.limit_s, rig.coach.at_once = 0.01, False
    rig.restart()
    said = await rig.train()
    assert said.startswith("Training was ended: it took more than 0 minutes.")
    assert rig.coach.ended == 1
    last = await rig.one.last()
    assert last
    assert last.ended


async def test_the_owner_can_stop_it(rig: Rig):
    """The process has ended when the answer comes; one message says so."""
    rig.coach.at_once = False
    await rig.one.start()
    await rig.coach.begun.wait()
    assert await rig.one.cancel()
    assert rig.coach.ended == 1
    assert [said[:40] for said in rig.told] == ["Training was stopped, as you asked. Noth"]
    assert not await rig.one.cancel()
    last = await rig.one.last()
    assert last
    assert last.ended


async def test_what_is_through_cannot_be_stopped_half_way_into_its_place(rig: Rig):
    """Too late is said, and the model gets the place it earned."""
    held = asyncio.Event()
    proving = asyncio.Event()

    async def slowly(folder: Path) -> None:
        proving.set()
        await held.wait()

    rig.one = Retrain(rig.coach, rig.shelf, rig.memory, rig.clock, lambda: rig.zone, slowly, rig.say)
    await rig.one.start()
    await proving.wait()
    assert not await rig.one.cancel()
    held.set()
    await rig.over()
    assert rig.shelf.places["champion"] == "new"


async def test_nothing_begins_that_cannot_be_remembered(rig: Rig):
    """Or a restart would begin it again, and again."""
    rig.memory.full = True
    with pytest.raises(NeedsOwner):
        await rig.one.start()
    assert rig.coach.runs == 0
    assert not rig.one.running


async def test_what_is_remembered_says_how_it_went(rig: Rig):
    """For /retrain, also after a restart."""
    said = await rig.train()
    rig.restart()
    last = await rig.one.last()
    assert last == replace(last, begun=rig.clock.at, asked=True, tries=1, ended=rig.clock.at, said=said)
