"""The bot's only door: commands of one event each, limits that only get tighter, proofs for what raises the stakes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain import events as ev
from core.domain.effects import Submit
from core.domain.errors import BadData
from core.domain.state import Limits, TradingState
from core.run.desk import Desk
from core.run.reconciliation import Reconciliation
from core.run.stepup import Proof
from tests.run.fakes import NoRecords
from tests.run.office import Office, asked, office
from tests.run.samples import START, seen
from tests.run.shell import kinds


@pytest.mark.parametrize(
    ("command", "kind", "text"),
    [
        (lambda d: d.pause(asked()), ev.OwnerPaused, "Paused: no new entries."),
        (lambda d: d.panic(asked()), ev.OwnerPanicked, "Halted. 0 positions are being sold."),
        (lambda d: d.tighten(asked(), "day_loss_max", "2%"), ev.OwnerSetLimits, "day_loss_max is now 2% (was 3%)."),
        (lambda d: d.set_time_zone(asked(), "Europe/Berlin"), ev.OwnerSetTimeZone, "Times are shown in Europe/Berlin"),
        (lambda d: d.approve(asked(), "BTCUSDT-x"), ev.OwnerApproved, "This proposal is no longer open."),
        (lambda d: d.skip(asked(), "BTCUSDT-x"), ev.OwnerSkipped, "This proposal is no longer open."),
    ],
)
async def test_each_command_is_one_event_with_its_update_and_its_trace(command, kind, text):
    """What the owner says is journaled once, and the answer says what it did."""
    async with office() as one:
        one.clock.pass_(minutes=5)
        answer = await command(one.desk)
        (event,) = one.since(3)
    assert answer.startswith(text)
    assert isinstance(event, kind)
    assert (event.at, event.trace, event.update_id) == (START + timedelta(minutes=5), "update:7", 7)


@pytest.mark.parametrize("name", ["pause", "panic"])
async def test_the_same_update_twice_acts_once(name):
    """A message that is delivered again changes nothing."""
    async with office() as one:
        await getattr(one.desk, name)(asked())
        after = one.desk.state
        await one.engine.post(one.since(3)[0])
        assert one.desk.state.with_(seq=after.seq) == after


async def test_resume_lifts_a_pause_and_says_so():
    """Only what is paused or halted is resumed."""
    async with office() as one:
        assert await one.desk.resume(asked(1)) == "Trading is active already."
        await one.desk.pause(asked(2))
        assert one.desk.state.trading.state is TradingState.REDUCING
        assert (await one.desk.resume(asked(3))).startswith("Trading is active again.")
        assert one.desk.state.trading.state is TradingState.ACTIVE
    assert kinds(one.journal)[3:] == ["OwnerPaused", "OwnerResumed"]


@pytest.mark.parametrize(("stop", "forgiven"), [("pause", False), ("panic", True)])
async def test_resume_says_that_the_drawdown_starts_anew_only_where_it_does(stop, forgiven):
    """Lifting a halt forgives the fall so far; lifting a pause does not, and must not claim to."""
    async with office() as one:
        await getattr(one.desk, stop)(asked(1))
        assert ("drawdown" in await one.desk.resume(asked(2))) is forgiven


async def test_a_pause_does_not_weaken_a_halt():
    """After the panic button a pause is answered, not obeyed."""
    async with office() as one:
        await one.desk.panic(asked(1))
        assert "halted already" in await one.desk.pause(asked(2))
        assert one.desk.state.trading.state is TradingState.HALTED
    assert kinds(one.journal)[3:] == ["OwnerPanicked"]


async def test_panic_tells_how_many_positions_it_sells():
    """One position is not one positions."""
    async with office(approve_auto=True) as one:
        await one.engine.post(seen(0))
        assert (await one.desk.panic(asked())).startswith("Halted. 1 position is being sold.")


async def test_an_approved_proposal_is_ordered_once():
    """The second press of the button finds nothing to order."""
    async with office() as one:
        one.clock.at = seen(0).at
        await one.engine.post(seen(0))
        (intent,) = one.desk.state.proposals
        assert await one.desk.approve(asked(1), intent) == "Ordered."
        assert await one.desk.approve(asked(2), intent) == "This proposal is no longer open."
    sent = [effect for line in one.journal.lines for effect in line.effects if isinstance(effect, Submit)]
    assert len(sent) == 1


async def test_nothing_is_approved_before_the_books_were_compared():
    """Right after a start nobody knows yet what happened meanwhile: the button says so and stays good."""
    async with office() as one:
        one.desk = Desk(one.engine, one.clock, one.bars, NoRecords(), one.desk.about, list, one.reconcile, one.market)
        await one.engine.post(seen(0))
        with pytest.raises(BadData, match="just started"):
            await one.desk.approve(asked(), next(iter(one.desk.state.proposals)))
        assert one.desk.state.proposals


async def test_an_approval_carries_the_price_of_now():
    """A proposal is ordered at what it costs now, not at what it cost when it was made."""
    async with office() as one:
        await one.engine.post(seen(0))
        one.market.price = Decimal("100.5")
        assert await one.desk.approve(asked(), next(iter(one.desk.state.proposals))) == "Ordered."
    (event,) = [event for event in one.journal.events() if isinstance(event, ev.OwnerApproved)]
    assert event.price == Decimal("100.5")


async def test_an_approval_that_comes_too_late_says_so():
    """After its time the bet is another one; it is not ordered."""
    async with office() as one:
        await one.engine.post(seen(0))
        (intent,) = one.desk.state.proposals
        one.clock.at = seen(0).at + timedelta(seconds=900)
        assert await one.desk.approve(asked(), intent) == "The time to approve has run out."
        assert not one.desk.state.orders


async def test_a_skipped_proposal_is_gone():
    """Skip takes the proposal off the table."""
    async with office() as one:
        await one.engine.post(seen(0))
        (intent,) = one.desk.state.proposals
        assert await one.desk.skip(asked(), intent) == "Skipped."
        assert not one.desk.state.proposals


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("day_loss_max", "0.01", Decimal("0.01")),
        ("day_loss_max", "1%", Decimal("0.01")),
        ("day_loss_max", "0", Decimal(0)),
        ("target_volatility", "30%", Decimal("0.3")),
        ("orders_open_max", "5", 5),
        ("stale_bars", "1", 1),
    ],
)
async def test_a_limit_is_set_as_percent_as_plain_number_or_as_count(name, text, value):
    """The owner writes a limit the way it is thought of."""
    async with office() as one:
        await one.desk.tighten(asked(), name, text)
        assert getattr(one.desk.state.limits, name) == value
        assert type(getattr(one.desk.state.limits, name)) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("day_loss_max", "5%"),
        ("day_loss_max", "-1"),
        ("day_loss_max", "nan"),
        ("day_loss_max", "sNaN"),
        ("day_loss_max", "infinity"),
        ("day_loss_max", ""),
        ("day_loss_max", "%"),
        ("day_loss_max", "1e999999999"),
        ("day_loss_max", "0." + "0" * 5000 + "1"),
        ("day_loss_max", "two"),
        ("orders_open_max", "2.5"),
        ("orders_open_max", "5%"),
        ("orders_open_max", "21"),
        ("orders_open_max", "-1"),
        ("orders_open_max", "nan"),
        ("orders_open_max", "inf"),
        ("orders_open_max", "1e99999999"),
        ("kelly", "0.1"),
        ("__class__", "0.1"),
        ("x" * 5000, "1"),
    ],
)
async def test_a_limit_that_cannot_be_set_gets_one_clear_line_and_changes_nothing(name, text):
    """Looser, impossible or unknown: one short line with what is possible, and no event."""
    async with office() as one:
        with pytest.raises(BadData) as refused:
            await one.desk.tighten(asked(), name, text)
        assert one.since(3) == []
    assert "\n" not in refused.value.user_text
    assert len(refused.value.user_text) < 300


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([spec.name for spec in fields(Limits)]), st.text(max_size=12) | st.decimals().map(str))
async def test_whatever_is_typed_a_limit_never_gets_looser(name, text):
    """No text at all raises the stakes, or ends in anything but an answer or a clear refusal."""
    async with office() as one:
        before = one.desk.state.limits
        with contextlib.suppress(BadData):
            await one.desk.tighten(asked(), name, text)
        assert all(getattr(one.desk.state.limits, f.name) <= getattr(before, f.name) for f in fields(Limits))


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "Europe", "../../etc/passwd", "/etc/passwd", "a\x00b", "x" * 5000]
)
async def test_a_time_zone_nobody_knows_is_refused_in_one_line(zone):
    """A misspelt zone changes nothing and is answered with two good ones."""
    async with office() as one:
        with pytest.raises(BadData, match="Europe/Berlin") as refused:
            await one.desk.set_time_zone(asked(), zone)
        assert one.since(3) == []
    assert len(refused.value.user_text) < 200


async def test_the_zone_of_the_owner_is_kept():
    """Times are shown where the owner lives."""
    async with office() as one:
        assert one.desk.zone.key == "UTC"
        await one.desk.set_time_zone(asked(), "America/New_York")
        assert one.desk.zone.key == "America/New_York"


class OneAtATime:
    """Comparisons that note when they begin and end, and hold on in between."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def full(self, why: str) -> Reconciliation:
        self.seen.append(f"{why} begins")
        await asyncio.sleep(0)
        self.seen.append(f"{why} ends")
        return Reconciliation(START, why, (), 0, 0, 0, True, (), (), ())


def comparing(one: Office, kept: list[str]) -> tuple[Desk, OneAtATime]:
    """A desk whose comparisons are kept in ``kept``."""
    turns = OneAtATime()

    async def keep(report: Reconciliation) -> None:
        kept.append(report.why)

    return Desk(one.engine, one.clock, one.bars, NoRecords(), one.desk.about, list, turns, one.market, keep), turns  # type: ignore[arg-type]


async def test_comparisons_come_one_after_the_other_and_each_is_kept():
    """One that is asked for does not get into one of every minute, and another program finds the newest."""
    kept: list[str] = []
    async with office() as one:
        desk, turns = comparing(one, kept)
        await asyncio.gather(desk.reconcile("every minute"), desk.reconcile("asked"))
    assert turns.seen == ["every minute begins", "every minute ends", "asked begins", "asked ends"]
    assert kept == ["every minute", "asked"]


async def test_a_comparison_that_was_given_up_bars_the_way_to_no_other():
    """After a command that took too long, the next minute's comparison goes on."""
    kept: list[str] = []
    async with office() as one:
        desk, _ = comparing(one, kept)
        slow = asyncio.ensure_future(desk.reconcile("asked"))
        await asyncio.sleep(0)
        slow.cancel()
        await asyncio.wait([slow])
        await desk.reconcile("every minute")
    assert kept == ["every minute"]


RAISING = [
    lambda d, proof: d.resume(asked(2), proof),
    lambda d, proof: d.loosen(asked(2), "day_loss_max", "5%", proof),
]


@pytest.mark.parametrize("command", RAISING)
async def test_a_press_does_not_raise_the_stakes_where_the_mode_is_guarded(command):
    """Even a caller that forgot to ask gets a refusal, and nothing is journaled."""
    async with office() as one:
        one.desk.about = replace(one.desk.about, guarded=True)
        await one.desk.panic(asked(1))
        known = len(one.journal.events())
        with pytest.raises(BadData, match="second proof"):
            await command(one.desk, Proof.BUTTON)
        assert one.since(known) == []


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("command", RAISING)
async def test_a_proof_that_is_strong_enough_raises_them(command, guarded):
    """A press where the mode is not guarded; a code or the terminal where it is."""
    for proof in (Proof.CODE, Proof.TERMINAL) if guarded else (Proof.BUTTON, Proof.CODE):
        async with office() as one:
            one.desk.about = replace(one.desk.about, guarded=guarded)
            await one.desk.panic(asked(1))
            known = len(one.journal.events())
            await command(one.desk, proof)
            (event,) = one.since(known)
            assert (event.update_id, event.proof) == (2, proof.value)


async def test_what_lowers_the_stakes_never_needs_a_proof():
    """A pause, its end, a tighter limit and the panic button work in a guarded mode as anywhere."""
    async with office() as one:
        one.desk.about = replace(one.desk.about, guarded=True)
        await one.desk.pause(asked(1))
        await one.desk.resume(asked(2))
        await one.desk.tighten(asked(3), "day_loss_max", "1%")
        await one.desk.loosen(asked(4), "day_loss_max", "1%", Proof.BUTTON)
        await one.desk.panic(asked(5))
        said = one.since(3)
        assert len(said) == 5
        assert {getattr(event, "proof", "") for event in said} == {"", "pause"}


async def test_what_would_be_looser_is_told_in_words_before_it_is_asked_for():
    """From what to what; nothing for a limit that stays or falls."""
    async with office() as one:
        assert one.desk.looser("day_loss_max", "5%") == "day_loss_max from 3% to 5%"
        assert one.desk.looser("orders_open_max", "21") == "orders_open_max from 20 to 21"
        assert one.desk.looser("day_loss_max", "3%") == ""
        assert one.desk.looser("day_loss_max", "1%") == ""
        with pytest.raises(BadData):
            one.desk.looser("day_loss_max", "101%")
