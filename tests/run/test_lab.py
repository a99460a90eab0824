"""The life of models: who forecasts, how far it is trusted, who comes after it, and when it has to go."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.errors import BadData, StoreUnusable
from core.domain.market import Bar
from core.domain.model import EARLY, Model
from core.learn.drift import Drift, Level
from core.run.lab import CALM
from core.run.lab_memory import NAME, recall
from core.run.silence import STEADY
from tests.learn import tiny_models
from tests.run.lab_world import HOUR, NOW, SYMBOLS, batch, life
from tests.run.labs import BAD_CARD

DAY = timedelta(days=1)
NOW_HOUR = int(NOW.timestamp()) // 3600


@pytest.fixture
async def world(tmp_path):
    async with life(tmp_path) as one:
        yield one


def rate(p: float):
    """Outcomes of which this share comes true, spread evenly."""
    return lambda k: float(int((k + 1) * p) - int(k * p))


async def test_the_champion_forecasts_from_the_start_and_the_owner_is_told_once(tmp_path, world):
    """A restart changes nothing and says nothing."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    assert world.using.used == [(made, "")]
    assert world.trust == (made, "1")
    assert len(world.said) == 1
    assert f"The model {made} of 2026-11-20 forecasts from now on" in world.said[0]
    async with life(tmp_path, world.journal, world.clock) as second:
        await second.lab.wake()
        await second.lab.look()
        assert second.using.used == [(made, "")]
        assert len(second.said) == 1


async def test_the_text_of_a_model_is_not_held(world):
    """A megabyte that only the process which forecasts ever reads does not lie in the one that runs for months."""
    world.registry.promote(world.add())
    world.registry.set_challenger(world.add(1))
    await world.lab.wake()
    assert world.using.used[0][1]
    assert world.using.held == 0


async def test_without_a_champion_the_rule_forecasts_and_that_is_told_once(tmp_path, world):
    """A new installation says how a model is made, and does not repeat it at every start."""
    await world.lab.wake()
    assert world.said == ["There is no champion yet. The rule forecasts, on paper only. /model tells more."]
    assert world.trust == ("", "1")
    async with life(tmp_path, world.journal, world.clock) as second:
        await second.lab.wake()
        assert len(second.said) == 1


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"span": "4h"}, "made for bars of 4h, not of 1h"),
        ({"barriers": {"stop_atrs": 2.0, "target_atrs": 6.0, "horizon": 96.0}}, "another stop, target or horizon"),
    ],
)
async def test_a_champion_that_does_not_fit_is_told_and_not_used(world, field, reason):
    """A model of other bars or another bet never forecasts."""
    world.registry.promote(world.add(**field))
    await world.lab.wake()
    assert world.using.used == [("", "")]
    assert reason in world.said[0]


async def test_a_champion_that_learned_beside_btc_forecasts_nothing_without_it(tmp_path, world):
    """Its beta to BTC and its strength beside BTC would be made-up numbers; one that never knew BTC misses nothing."""
    made, other = world.add(1), world.add(2, symbols=("ETHUSDT",))
    world.registry.promote(made)
    async with life(tmp_path, world.journal, world.clock, symbols=("ETHUSDT",)) as second:
        await second.lab.wake()
        assert second.using.used == [("", "")]
        assert "learned beside BTCUSDT, which is not watched: add BTCUSDT to the symbols, or train" in second.said[0]
        second.registry.promote(other)
        await second.lab.look()
        assert second.trust == (other, "1")


async def test_a_champion_that_did_not_pass_its_gate_is_told_and_not_used(world):
    """However it came to its place: by whoever writes in the state folder too."""
    made = world.registry.add(tiny_models.text(), tiny_models.manifest(created_at=NOW), BAD_CARD)
    world.registry.promote(made)
    await world.lab.wake()
    assert world.using.used == [("", "")]
    assert f"The model {made} did not pass its gate" in world.said[0]
    assert world.trust == ("", "1")


async def test_a_champion_whose_card_cannot_be_read_is_refused_like_one_that_was_changed(world):
    """Nobody can say that its gate let it through: it keeps its place and does not forecast, and that is told."""
    made = world.registry.add(tiny_models.text(), tiny_models.manifest(created_at=NOW), {"format": 99})
    world.registry.promote(made)
    await world.lab.wake()
    assert world.using.used == [("", "")]
    assert world.said[0].startswith(f"The model {made} is refused: this is no model card: ")
    assert world.said[0].endswith(" The rule forecasts, on paper only. /model tells more.")
    assert world.trust == ("", "1")
    assert world.registry.champion()[0].id == made


async def test_a_champion_that_cannot_be_used_leaves_the_rule_and_is_tried_again(world):
    """A process that does not start is told once; an hour later the model is tried again."""
    made = world.add()
    world.registry.promote(made)
    world.using.refuses = made
    await world.lab.wake()
    await world.lab.review()
    assert world.trust == ("", "1")
    assert [text for text in world.said if "it does not answer" in text] == world.said
    assert len(world.said) == 1
    world.using.refuses = ""
    await world.lab.review()
    assert world.trust == (made, "1")


async def test_why_a_champion_is_not_used_can_be_asked_at_any_time(world):
    """The reason of this champion: never that of the one before, nor one from before the next look."""
    refused, second = world.add(span="4h"), world.add(2)
    await world.lab.wake()
    assert world.lab.silence == "There is no champion yet."
    world.registry.promote(refused)
    assert world.lab.silence == ""
    await world.lab.look()
    assert world.lab.silence == f"The model {refused} was made for bars of 4h, not of 1h: train anew."
    world.registry.promote(second)
    assert world.lab.silence == ""
    world.using.refuses = second
    await world.lab.look()
    assert world.lab.silence == f"The model {second} cannot be used: it does not answer"


async def test_what_another_process_promotes_forecasts_within_a_minute(world):
    """`firstmate models promote` needs no restart."""
    first, second = world.add(1), world.add(2)
    world.registry.promote(first)
    await world.lab.wake()
    await world.lab.look()
    world.registry.promote(second)
    world.registry.set_challenger(first)
    await world.lab.look()
    assert world.using.used == [(first, ""), (second, first)]
    assert world.trust == (second, "1")
    assert len(world.said) == 2


async def test_a_champion_that_is_too_old_is_told_and_the_rule_takes_over(world):
    """Expiry needs nobody to notice."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    world.clock.pass_(days=46)
    await world.lab.review()
    assert world.using.used[-1] == ("", "")
    assert world.trust == ("", "1")
    assert "too old" in world.said[-1]
    assert "The rule forecasts, on paper only." in world.said[-1]


async def test_a_champion_goes_in_the_minute_of_its_end_and_not_at_the_next_hour(world):
    """No bar close behind its end is forecast by it: the look each minute is enough to see to that."""
    made = world.add(expires_at=NOW + HOUR)
    world.registry.promote(made)
    await world.lab.wake()
    world.clock.at = NOW + HOUR - EARLY - timedelta(seconds=1)
    await world.lab.look()
    assert world.trust == (made, "1")
    world.clock.pass_(seconds=60)
    await world.lab.look()
    assert world.clock.at < NOW + HOUR
    assert world.using.used[-1] == ("", "")
    assert world.trust == ("", "1")
    assert "too old" in world.said[-1]
    await world.lab.look()
    assert len(world.said) == 2


async def test_a_challenger_that_is_too_old_is_tried_no_longer_and_the_champion_stays(world):
    """In the minute of its end too."""
    champion, challenger = world.add(1), world.add(2, expires_at=NOW + HOUR)
    world.registry.promote(champion)
    world.registry.set_challenger(challenger)
    await world.lab.wake()
    world.clock.pass_(hours=1)
    await world.lab.look()
    assert world.using.used == [(champion, challenger), (champion, "")]


async def test_a_full_disk_keeps_no_champion_beyond_its_end(world, monkeypatch):
    """What cannot be written down is one thing, who forecasts another."""
    made = world.add(expires_at=NOW + HOUR)
    world.registry.promote(made)
    await world.lab.wake()

    async def full(spoken) -> int:
        raise StoreUnusable("the disk is full")

    monkeypatch.setattr(world.records, "keep", full)
    world.lab.heard(batch(NOW_HOUR, made))
    world.clock.pass_(hours=1)
    with pytest.raises(StoreUnusable):
        await world.lab.look()
    assert world.using.used[-1] == ("", "")


async def test_silence_of_the_models_is_one_message_and_so_is_its_end(tmp_path, world):
    """Not one message a bar, not one more after a restart, and the end is told too."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    for hour in range(3):
        world.lab.heard(batch(NOW_HOUR + hour, failure="The analyst is slow."))
        await world.lab.look()
    assert len(world.said) == 2
    assert "The analyst is slow." in world.said[1]
    async with life(tmp_path, world.journal, world.clock) as second:
        await second.lab.wake()
        second.lab.heard(batch(NOW_HOUR + 3, failure="The analyst is slow."))
        await second.lab.look()
        assert len(second.said) == 2
        second.clock.pass_(minutes=90)
        second.lab.heard(batch(NOW_HOUR + 4, made))
        await second.lab.look()
        assert len(second.said) == 2
        second.clock.at += STEADY
        await second.lab.look()
        await second.lab.look()
        assert second.said[2:] == ["Forecasts are back; for 90 minutes there were none, or not all."]


async def test_a_process_that_comes_and_goes_is_two_messages_an_hour_at_most(world):
    """With bars of a minute nobody wants to hear of each of them; what lasts is told, and /model shows the rest."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    for minute in range(240):  # two minutes down, three up
        down = minute % 5 < 2
        world.lab.heard(batch(NOW_HOUR + minute, made, failure="NO_ANSWER: It died." if down else ""))
        await world.lab.look()
        assert world.lab.silence == ("It died." if down else "")
        world.clock.pass_(minutes=1)
    assert world.said[1:] == ["No forecasts, and so no new entries, until further word. It died."]


async def test_a_failure_soon_after_one_that_was_told_is_told_only_where_it_lasts(world):
    """An end is told only of what was told."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()

    async def minutes(count: int, failure: str) -> list[str]:
        before = len(world.said)
        for _ in range(count):
            world.lab.heard(batch(NOW_HOUR, made, failure=failure))
            await world.lab.look()
            world.clock.pass_(minutes=1)
        return [text[:9] for text in world.said[before:]]

    assert await minutes(5, "It died.") == ["No foreca"]
    assert await minutes(10, "") == []
    assert await minutes(2, "") == ["Forecasts"]
    assert await minutes(5, "It died.") == []
    assert await minutes(15, "") == []
    assert await minutes(20, "It died.") == []  # 57 minutes after it was told
    assert await minutes(10, "It died.") == ["No foreca"]
    assert await minutes(15, "") == ["Forecasts"]


async def test_the_failure_of_a_champion_that_is_gone_is_never_told_again(world):
    """The rule answers without a process."""
    world.registry.promote(world.add())
    await world.lab.wake()
    world.lab.heard(batch(NOW_HOUR, failure="It died."))
    await world.lab.look()
    world.registry.dismiss()
    for _ in range(3):
        await world.lab.look()
        world.clock.pass_(hours=2)
    assert len([text for text in world.said if "It died." in text]) == 1


async def test_a_champion_that_keeps_its_word_is_left_alone(world):
    """Four weeks as forecast: no message, full size."""
    made = world.add(brier=0.24)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.4), champion=made)
    for _ in range(3):
        await world.lab.review()
    assert world.lab.drift.level is Level.NONE
    assert len(world.said) == 1


async def test_a_champion_that_misses_is_warned_of_then_trusted_less_once_each(tmp_path, world):
    """Each level is told once, the share stands in the state with its reason, and a restart changes neither."""
    made = world.add(brier=0.24)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.355), champion=made)
    await world.lab.review()
    assert world.lab.drift.level is Level.WARN
    assert world.trust == (made, "1")
    await world.past(10, rate(0.0), champion=made)  # the same bars again: nothing changes
    await world.lab.review()
    assert len(world.said) == 2
    async with life(tmp_path, world.journal, world.clock) as second:
        second.clock.pass_(days=5)
        await second.past(5, rate(0.24), champion=made)
        await second.lab.wake()
        await second.lab.review()
        assert second.lab.drift.level is Level.REDUCE
        assert second.trust == (made, "0.5")
        assert "I said 40%" in second.engine.state.trust.why
        await second.lab.review()
        assert len(second.said) == 3


async def test_the_full_share_comes_back_once_it_has_been_well_for_days(world):
    """One good hour gives nothing back, three days do."""
    made = world.add(brier=0.24)
    world.registry.promote(made)
    await world.reign(60)
    await world.past(28, rate(0.334), champion=made)
    await world.lab.review()
    assert world.trust == (made, "0.5")
    world.clock.pass_(days=29)
    await world.past(28, rate(0.4), champion=made)
    await world.lab.review()
    world.clock.at += CALM - HOUR
    await world.lab.review()
    assert world.trust == (made, "0.5")
    world.clock.pass_(hours=2)
    await world.lab.review()
    assert world.trust == (made, "1")
    assert "New positions have their full size again." in world.said[-1]


async def test_inverted_outcomes_send_the_champion_away_and_the_one_before_forecasts(world):
    """What it says will win loses: the place goes back, urgently told, and nobody watches the old record on the new."""
    before, made = world.add(1), world.add(2, brier=0.2)
    world.registry.promote(before)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.2), champion=made, p=0.8)
    await world.lab.review()
    assert world.trust == (before, "1")
    assert world.urgent
    assert f"The model {made} is no longer trusted and goes." in world.said[-1]
    assert f"The model {before} of" in world.said[-1]
    assert world.registry.champion()[0].id == before
    await world.lab.review()
    assert len(world.said) == 2


async def test_going_back_passes_over_what_does_not_fit_any_more_and_says_so(world):
    """A champion of other bars keeps no sound one from the place that is free."""
    first, other, made = world.add(1), world.add(2, span="4h"), world.add(3, brier=0.2)
    for one in (first, other, made):
        world.registry.promote(one)
    await world.reign(40)
    await world.past(28, rate(0.2), champion=made, p=0.8)
    await world.lab.review()
    assert world.trust == (first, "1")
    assert f"The model {other} was made for bars of 4h, not of 1h: train anew." in world.said[-1]
    assert len(world.said) == 2


async def test_going_back_passes_over_what_no_process_can_serve_and_says_so(world):
    """A text that kills who reads it is found out before the place is given to it, not at the next bar."""
    first, deadly, made = world.add(1), world.add(2), world.add(3)
    for one in (first, deadly, made):
        world.registry.promote(one)
    await world.lab.wake()
    world.deadly.add(deadly)
    world.lab._judging = Scripted(Level.ROLLBACK)
    await world.lab.review()
    assert world.trust == (first, "1")
    assert f"The model {deadly} cannot be served: it ends the process." in world.said[-1]
    assert [folder.name for folder in world.proven] == [deadly, first]


@pytest.mark.parametrize("deadly", [False, True])
async def test_who_was_promoted_while_drift_looked_for_a_way_back_keeps_the_place(world, deadly):
    """The owner was quicker: the model that drifts is gone already, and must not come back in the other's place."""
    before, made, chosen = world.add(1), world.add(2), world.add(3)
    world.registry.promote(before)
    world.registry.promote(made)
    await world.lab.wake()
    prove = world.prove

    async def slowly(folder):
        world.registry.promote(chosen)
        if deadly and folder.name == before:
            raise BadData(f"The model {before} cannot be served.")
        await prove(folder)

    world.lab._prove = slowly
    world.lab._judging = Scripted(Level.ROLLBACK)
    await world.lab.review()
    assert world.trust == (chosen, "1")
    assert f"{chosen} got the place meanwhile and keeps it." in world.said[-1]


async def test_who_the_owner_went_back_to_meanwhile_is_not_sent_away(world):
    """Nobody is left to go back to because somebody has: the place is not emptied."""
    before, made = world.add(1), world.add(2)
    world.registry.promote(before)
    world.registry.promote(made)
    await world.lab.wake()

    async def slowly(folder):
        world.registry.rollback()
        raise BadData(f"The model {before} cannot be served.")

    world.lab._prove = slowly
    world.lab._judging = Scripted(Level.ROLLBACK)
    await world.lab.review()
    assert world.trust == (before, "1")


async def test_a_second_time_goes_back_to_the_champion_before_that(world):
    """As far as there are any: who was sent away is not come back to."""
    first, second, third = (world.add(seed) for seed in (1, 2, 3))
    for one in (first, second, third):
        world.registry.promote(one)
    await world.lab.wake()
    world.lab._judging = Scripted(Level.ROLLBACK, Level.ROLLBACK, Level.ROLLBACK)
    trusted = []
    for _ in range(3):
        await world.lab.review()
        trusted.append(world.trust[0])
    assert trusted == [second, first, ""]
    assert "There is no champion before this one to go back to." in world.said[-1]


async def test_without_one_before_the_rule_forecasts_on_paper(world):
    """The place stays empty, so that the next model that passes its gate can have it."""
    made = world.add(brier=0.2)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.2), champion=made, p=0.8)
    await world.lab.review()
    assert world.trust == ("", "1")
    assert world.registry.champion()[0] is None
    assert world.said[-1].endswith("The rule forecasts, on paper only. /model tells more.")
    assert len(world.said) == 2


async def test_broken_data_halves_the_size_but_sends_nobody_away(world):
    """The model before knows no other market."""
    made = world.add()
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.4), champion=made, factor=10.0)
    await world.lab.review()
    assert world.trust == (made, "0.5")
    assert "the data may be broken" in world.said[-1]


async def test_a_death_between_going_back_and_telling_is_told_at_the_next_start(tmp_path, world, monkeypatch):
    """The registry has changed and nobody knows: the reason was written down before."""
    before, made = world.add(1), world.add(2, brier=0.2)
    world.registry.promote(before)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.2), champion=made, p=0.8)
    adopt = world.lab._adopt

    async def dies() -> None:
        if world.registry.champion()[0].id == before:
            raise ConnectionAbortedError
        await adopt()

    monkeypatch.setattr(world.lab, "_adopt", dies)
    with pytest.raises(ConnectionAbortedError):
        await world.lab.review()
    async with life(tmp_path, world.journal, world.clock) as second:
        await second.lab.wake()
        assert second.trust == (before, "1")
        assert f"The model {made} is no longer trusted and goes." in second.said[-1]
        assert second.urgent


class Scripted:
    """A judgement that says what it is told to."""

    def __init__(self, *levels: Level) -> None:
        self.levels = list(levels)

    async def drift(self, model: Model, since_ms: int, now_ms: int) -> Drift:
        level = self.levels.pop(0)
        return Drift(level, ("so it is.",) if level else ())


async def test_one_bad_hour_begins_the_wait_for_the_full_share_anew(world):
    """Calm has to last without a break."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    hours = (Level.REDUCE, Level.NONE, Level.REDUCE, Level.NONE, Level.NONE, Level.NONE)
    world.lab._judging = Scripted(*hours)
    for _ in hours[:-1]:
        await world.lab.review()
        world.clock.pass_(days=2)
    assert world.trust == (made, "0.5")
    await world.lab.review()
    assert world.trust == (made, "1")


async def test_from_halved_to_warned_gives_the_size_back_and_says_what_is_left(world):
    """A warning costs no size."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    world.lab._judging = Scripted(Level.REDUCE, Level.WARN, Level.WARN, Level.WARN)
    for _ in range(4):
        await world.lab.review()
        world.clock.pass_(days=4)
    assert world.trust == (made, "1")
    assert world.said[-1].endswith("New positions have their full size again. so it is.")
    assert len(world.said) == 3


async def test_a_model_that_comes_back_is_judged_by_its_new_reign_alone(world):
    """The one before is not sent away for what it did in its first time."""
    before, made = world.add(1, brier=0.2), world.add(2, brier=0.2)
    world.registry.promote(before)
    await world.reign(40)
    await world.past(12, rate(0.2), champion=before, p=0.8)
    world.registry.promote(made)
    await world.lab.look()
    world.registry.rollback()
    await world.lab.review()
    assert world.trust == (before, "1")
    assert world.lab.drift.level is Level.NONE


async def test_a_halved_champion_that_was_out_for_a_moment_comes_back_halved(tmp_path, world, monkeypatch):
    """A file that could not be read once, or another bar length for a day, is no way to the full size."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    world.lab._judging = Scripted(Level.REDUCE)
    await world.lab.review()
    since_ms = (await recall(world.records)).since_ms
    with monkeypatch.context() as away:
        away.setattr(world.registry, "champion", lambda: (None, "The models cannot be read now."))
        world.lab._stamp = ()
        await world.lab.look()
    assert world.trust == ("", "1")
    async with life(tmp_path, world.journal, world.clock) as second:
        second.clock.pass_(hours=1)
        await second.lab.wake()
        assert second.trust == (made, "0.5")
        assert second.engine.state.trust.why == "so it is."
        assert second.said[-1].endswith("New positions stay halved. so it is.")
        assert (await recall(second.records)).since_ms == since_ms


async def test_a_model_that_was_sent_away_begins_anew_where_the_owner_brings_it_back(world):
    """Who promotes it again has seen why it went: its new reign is judged by itself."""
    made = world.add(brier=0.2)
    world.registry.promote(made)
    await world.reign(40)
    await world.past(28, rate(0.2), champion=made, p=0.8)
    await world.lab.review()
    assert world.trust == ("", "1")
    world.registry.promote(made)
    await world.lab.review()
    assert world.trust == (made, "1")
    assert world.lab.drift.level is Level.NONE


async def test_the_end_of_a_champion_ends_the_silence_without_a_word(world):
    """Nobody waits for forecasts of a model that is gone, and the next one is not said to be back."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    world.lab.heard(batch(NOW_HOUR, failure="The analyst is slow."))
    await world.lab.look()
    world.registry.dismiss()
    await world.lab.look()
    world.lab.heard(batch(NOW_HOUR + 1))
    await world.lab.look()
    assert (await recall(world.records)).silent_ms == 0
    assert not [text for text in world.said if "back" in text]


async def test_from_what_is_heard_to_what_the_chat_is_told(tmp_path, world):
    """Heard, written within a minute, settled by the bars of the next days, forgotten after a year."""
    made = world.add()
    world.registry.promote(made)
    await world.lab.wake()
    for hour in range(3):
        world.lab.heard(batch(NOW_HOUR + hour, made))
    await world.lab.look()
    async with life(tmp_path, world.journal, world.clock) as second:
        for hour in range(110):
            price = Decimal(100 + hour)
            at = NOW + hour * HOUR
            for symbol in SYMBOLS:
                await second.bars.save([Bar(symbol, at, HOUR, price, price, price, price, price)])
        second.clock.pass_(hours=110)
        await second.lab.review()
        track = await second.lab.track(made)
        assert (track.count, track.came) == (6, 1.0)
        second.clock.pass_(days=401)
        await second.lab.review()
        assert (await second.lab.track(made)).count == 0


async def pair(world) -> tuple[str, str]:
    champion, challenger = world.add(1), world.add(2)
    world.registry.promote(champion)
    world.registry.set_challenger(challenger)
    await world.reign(40)
    return champion, challenger


async def test_a_challenger_that_is_not_worse_takes_over(world):
    """After two weeks on the same bars; the reason is in the message."""
    champion, challenger = await pair(world)
    await world.past(20, rate(0.4), champion=champion, challenger=challenger, p=0.41, other_p=0.4)
    await world.lab.review()
    assert world.trust == (challenger, "1")
    assert f"Challenger {challenger} is not worse" in world.said[-1]
    assert world.using.used[-1] == (challenger, "")
    assert world.registry.challenger()[0] is None
    assert [folder.name for folder in world.proven] == [challenger]


async def test_a_challenger_that_won_and_cannot_be_served_does_not_take_over(tmp_path, world):
    """It passes the check of every promotion first; what fails is told once, and tried again at the next hour."""
    champion, challenger = await pair(world)
    await world.past(20, rate(0.4), champion=champion, challenger=challenger, p=0.41, other_p=0.4)
    world.unfit = f"The model {challenger} cannot be served: it did not start."
    await world.lab.review()
    assert world.trust == (champion, "1")
    assert world.said[-1].endswith(f"It does not take over yet. {world.unfit}")
    async with life(tmp_path, world.journal, world.clock) as second:
        await second.lab.wake()
        second.unfit = world.unfit
        await second.lab.review()
        assert len(second.said) == 2
        second.unfit = ""
        await second.lab.review()
        assert second.trust == (challenger, "1")
        assert len(second.said) == 3


async def test_bets_on_a_symbol_that_the_challenger_never_learned_are_no_part_of_the_duel(tmp_path, world):
    """From what is heard to what is compared."""
    champion, challenger = world.add(1), world.add(2, symbols=("ETHUSDT",))
    world.registry.promote(champion)
    world.registry.set_challenger(challenger)
    await world.lab.wake()
    for hour in range(50):
        world.lab.heard(batch(NOW_HOUR + hour, champion, challenger))
    await world.lab.look()
    for hour in range(150):
        price = Decimal(100 + hour)
        for symbol in SYMBOLS:
            await world.bars.save([Bar(symbol, NOW + hour * HOUR, HOUR, price, price, price, price, price)])
    world.clock.pass_(hours=150)
    await world.lab.review()
    assert (await world.lab.track(champion)).count == 100
    assert (await world.lab.track(challenger)).count == 50
    assert (await world.lab.compare(champion, challenger)).count == 48  # of whole days, one symbol


async def test_a_challenger_that_is_clearly_worse_leaves(world):
    """The champion stays, and there is room for the next."""
    champion, challenger = await pair(world)
    await world.past(25, rate(0.4), champion=champion, challenger=challenger, other_p=0.75)
    await world.lab.review()
    assert world.trust == (champion, "1")
    assert world.said[-1].endswith("It is tried no longer.")
    assert world.using.used[-1] == (champion, "")
    await world.lab.review()
    assert len(world.said) == 2


async def test_a_challenger_of_few_days_is_not_judged(world):
    """A lucky week promotes nobody."""
    champion, challenger = await pair(world)
    await world.past(13, rate(0.4), champion=champion, challenger=challenger, p=0.45, other_p=0.4)
    await world.lab.review()
    assert (champion, challenger) == world.using.used[-1]


async def test_what_was_remembered_and_cannot_be_read_is_nothing_known(world):
    """A damaged memory is no reason not to start."""
    made = world.add()
    world.registry.promote(made)
    for said in ("{", "[]", '{"level": 9}', '{"level": "x", "champion_id": 3}', "[" * 100_000):
        await world.records.remember(NAME, said)
        await world.lab.wake()
    assert world.trust == (made, "1")
    assert (await recall(world.records)).champion_id == made


async def test_questions_are_answered_from_the_record(world):
    """What the chat asks: how often it was right, and which of two is better."""
    champion, challenger = await pair(world)
    await world.past(10, rate(0.4), champion=champion, challenger=challenger)
    track = await world.lab.track(champion)
    assert track.count == 480
    assert "When I said 40%, it was" in track.sentences[0]
    duel = await world.lab.compare(champion, challenger)
    assert "not judged yet" in duel.sentence
    assert (await world.lab.track("nobody")).sentences[0].startswith("Nothing is settled yet")
