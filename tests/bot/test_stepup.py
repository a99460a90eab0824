"""The second proof from the chat and from the terminal: once, in time, not after a restart's reset, without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from bot import stepup as module
from bot.stepup import NOTHING_WAITS, TRIES_FILE, WAIT_S, StepUp
from core.adapters import handover
from core.domain.errors import BadData, NeedsOwner
from core.domain.events import OwnerResumed
from core.domain.state import TradingState
from core.run.stepup import LOCK, Proof, Verdict
from core.setting_kinds import Secret
from tests.bot.fakes import OWNER, office
from tests.bot.phones import Phone, phone

SEED = Secret("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")  # of RFC 6238
START = datetime(2026, 5, 1, 12, tzinfo=UTC)
WHAT = "Trading is halted: panic button. Trade again?"


@dataclass
class Rig:
    """A step-up over a folder, its time, and what came of it."""

    home: Path
    seed: Secret | None = SEED
    at: datetime = START
    done: list[Proof] = field(default_factory=list)
    acted: asyncio.Queue[Proof] = field(default_factory=asyncio.Queue)
    heard: threading.Event = field(default_factory=threading.Event)
    said: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    kept: list[tuple[Verdict, str]] = field(default_factory=list)
    one: StepUp = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The same folder, a new process."""
        self.one = StepUp(self.home, self.seed, lambda: self.at, lambda: self.at.timestamp())

    async def act(self, proof: Proof) -> str:
        """What waits for the proof."""
        self.done.append(proof)
        self.acted.put_nowait(proof)
        self.heard.set()
        return "Done."

    async def ask(self) -> str:
        """Somebody wants to trade again."""
        return await self.one.ask(WHAT, self.act)

    def code(self, off_s: int = 0) -> str:
        """What the app shows ``off_s`` seconds from now."""
        at = int(self.at.timestamp()) + off_s
        return TOTP(b"12345678901234567890", 6, SHA1(), 30).generate(at).decode()

    def wrong(self) -> str:
        """Digits that no app shows around now."""
        near = {self.code(off) for off in (-30, 0, 30)}
        return next(f"{n:06}" for n in range(9) if f"{n:06}" not in near)

    async def say(self, text: str) -> None:
        """What the chat is told beside answers."""
        self.said.put_nowait(text)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """It hears the terminal within the block."""
        task = asyncio.ensure_future(self.one.run(self.say))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def told(self) -> str:
        """The next thing the chat is told."""
        async with asyncio.timeout(10):
            return await self.said.get()

    def answer(self, yes: bool) -> None:
        """The terminal answers what waits."""
        request = handover.asked(self.home)
        assert request
        handover.say(self.home, handover.Answer(request.ref, yes))


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.005)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """With an authenticator app."""
    return Rig(tmp_path)


async def test_the_right_code_does_what_waits_once(rig: Rig):
    """The next code finds nothing that waits."""
    assert "six digits" in await rig.ask()
    assert await rig.one.code(rig.code()) == "Done."
    assert rig.done == [Proof.CODE]
    rig.at += timedelta(seconds=60)
    assert await rig.one.code(rig.code()) == NOTHING_WAITS
    assert handover.asked(rig.home) is None


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_code_is_accepted_once_also_over_a_restart(rig: Rig, restarted: bool):
    """Whoever saw it typed cannot use it again, nor the one before it."""
    await rig.ask()
    before, code = rig.code(-30), rig.code()
    assert await rig.one.code(code) == "Done."
    if restarted:
        rig.restart()
    await rig.ask()
    for again in (code, before):
        assert "used before" in await rig.one.code(again)
    assert rig.done == [Proof.CODE]
    rig.at += timedelta(seconds=30)
    assert await rig.one.code(rig.code()) == "Done."


@pytest.mark.parametrize("restarted", [False, True])
async def test_five_wrong_codes_lock_and_a_restart_does_not_unlock(rig: Rig, restarted: bool):
    """The sixth is not looked at, nor a right one, until a quarter of an hour is over; /health and the next
    question say so."""
    await rig.ask()
    for _ in range(4):
        assert "wrong" in await rig.one.code(rig.wrong())
    assert "5th wrong code" in await rig.one.code(rig.wrong())
    if restarted:
        rig.restart()
        assert "locked for 15 more minutes" in await rig.ask()
    assert "not looked at" in await rig.one.code(rig.wrong())
    assert "not looked at" in await rig.one.code(rig.code())
    assert (rig.one.check().well, rig.done) == (False, [])
    rig.at += LOCK
    await rig.ask()
    assert rig.one.check().well
    assert await rig.one.code(rig.code()) == "Done."


async def test_wrong_codes_are_counted_over_restarts(rig: Rig):
    """Stopping the program between guesses gives no more of them."""
    for number in range(5):
        rig.restart()
        await rig.ask()
        answer = await rig.one.code(rig.wrong())
        assert ("5th wrong code" in answer) == (number == 4)


async def test_a_code_typed_while_nothing_waits_is_of_no_use_to_who_saw_it(rig: Rig):
    """Who reads the owner's chat cannot ask for something and use it; what is wrong is not counted meanwhile."""
    code = rig.code()
    for typed in [code, code, *[rig.wrong()] * 6]:
        assert await rig.one.code(typed) == NOTHING_WAITS
    rig.restart()
    await rig.ask()
    assert "was used before" in await rig.one.code(code)
    assert rig.done == []
    assert await rig.one.code(rig.code(30)) == "Done."


async def test_each_code_that_is_refused_is_kept_before_it_is_answered(rig: Rig):
    """Who guesses leaves a trace, once for each try that was looked at; digits are not in it."""
    rig.one = StepUp(rig.home, rig.seed, lambda: rig.at, lambda: rig.at.timestamp(), lambda *row: rig.kept.append(row))
    await rig.ask()
    for _ in range(7):
        await rig.one.code(rig.wrong())
    assert rig.kept == [(Verdict.WRONG, WHAT)] * 4 + [(Verdict.LOCKS, WHAT)]


async def test_a_code_meant_for_one_request_does_not_prove_another_put_in_its_place(rig: Rig):
    """Who has the phone cannot slip a request of their own under the owner's code: it is named first."""
    await rig.ask()
    await rig.ask()  # the owner's own second try is the same request
    await rig.one.ask("This would raise day_loss_max.", rig.act)
    typed = rig.code()
    assert "What waits now: This would raise day_loss_max." in await rig.one.code(typed)
    assert "was used before" in await rig.one.code(typed)
    assert rig.done == []
    assert await rig.one.code(rig.code(30)) == "Done."
    await rig.ask()
    rig.at += timedelta(seconds=60)
    assert await rig.one.code(rig.code()) == "Done."


async def test_a_request_ends_after_five_minutes_and_says_so(rig: Rig):
    """A right code that comes too late does nothing."""
    async with rig.listening():
        await rig.ask()
        rig.at += timedelta(seconds=WAIT_S)
        assert await rig.one.code(rig.code()) == NOTHING_WAITS
        assert "Not confirmed within 5 minutes" in await rig.told()
    assert (rig.done, handover.asked(rig.home)) == ([], None)


async def test_a_restart_forgets_what_waited(rig: Rig):
    """Neither a code nor the terminal confirms what nobody remembers asking."""
    await rig.ask()
    rig.answer(True)
    rig.restart()
    async with rig.listening():
        assert await rig.one.code(rig.code()) == NOTHING_WAITS
        await asyncio.sleep(0.05)
        assert (rig.done, handover.asked(rig.home), handover.said(rig.home)) == ([], None, None)


@pytest.mark.parametrize("yes", [True, False])
async def test_the_terminal_decides_too(rig: Rig, yes: bool):
    """With an app or without one; the chat is told what came of it."""
    rig.seed = None
    rig.restart()
    async with rig.listening():
        assert "app" not in await rig.ask()
        assert "No authenticator app" in await rig.one.code("123456")
        rig.answer(yes)
        answer = await rig.told()
    assert answer == (
        "Confirmed at the terminal. Done." if yes else f"Refused at the terminal, so nothing changed: {WHAT}."
    )
    assert rig.done == ([Proof.TERMINAL] if yes else [])
    assert handover.said(rig.home) is None


async def test_a_yes_for_something_else_counts_for_nothing(rig: Rig):
    """What was asked meanwhile was not what the terminal showed."""
    async with rig.listening():
        await rig.ask()
        shown = handover.asked(rig.home)
        assert shown
        await rig.ask()
        handover.say(rig.home, handover.Answer(shown.ref, True))
        await asyncio.sleep(0.05)
        assert (rig.done, rig.said.qsize()) == ([], 0)
        rig.answer(True)
        await rig.told()
    assert rig.done == [Proof.TERMINAL]


async def test_a_code_and_a_yes_at_the_same_moment_do_it_once(rig: Rig):
    """The terminal is heard while the code is being judged: whoever comes second finds nothing that waits."""

    class Slow(StepUp):
        def _judged(self, seed: Secret, code: str, what: str) -> Verdict:
            rig.answer(True)
            assert rig.heard.wait(10)
            return super()._judged(seed, code, what)

    rig.one = Slow(rig.home, rig.seed, lambda: rig.at, lambda: rig.at.timestamp())
    async with rig.listening():
        await rig.ask()
        assert await rig.one.code(rig.code()) == NOTHING_WAITS
        assert "Confirmed at the terminal" in await rig.told()
    assert rig.done == [Proof.TERMINAL]


async def test_what_fails_after_the_yes_is_told_and_the_listening_goes_on(rig: Rig):
    """A refusal in its own words, anything else as a failure; the next request is heard."""

    async def refuses(proof: Proof) -> str:
        raise BadData("No such limit.")

    async def breaks(proof: Proof) -> str:
        raise ZeroDivisionError

    async with rig.listening():
        for act, words in ((refuses, "No such limit."), (breaks, "That failed"), (rig.act, "Done.")):
            await rig.one.ask(WHAT, act)
            rig.answer(True)
            assert words in await rig.told()


async def test_a_chat_that_is_away_does_not_end_the_listening(rig: Rig):
    """What was confirmed is done all the same."""

    async def away(text: str) -> None:
        raise ConnectionError("no chat")

    rig.say = away  # type: ignore[method-assign]
    async with rig.listening():
        for _ in range(2):
            await rig.ask()
            rig.answer(True)
            async with asyncio.timeout(10):
                assert await rig.acted.get() is Proof.TERMINAL


@pytest.mark.parametrize("damage", ["", "{", '{"last_step": "x"}', "[]"])
async def test_where_the_memory_is_damaged_no_code_is_accepted(rig: Rig, damage: str):
    """It would forget what was used; the line names the file, and the terminal still works."""
    (rig.home / TRIES_FILE).write_text(damage)
    assert "./run confirm" in await rig.ask()
    with pytest.raises(NeedsOwner, match=TRIES_FILE):
        await rig.one.code(rig.code())
    assert (rig.one.check().well, rig.done) == (False, [])


async def test_no_digits_and_no_seed_reach_the_log_or_a_file(rig: Rig):
    """Right, wrong and used ones."""
    typed = [rig.wrong(), rig.code()]
    with structlog.testing.capture_logs() as logs:
        for code in (*typed, typed[-1]):
            await rig.ask()
            with contextlib.suppress(NeedsOwner):
                await rig.one.code(code)
    kept = "".join(path.read_text() for path in rig.home.iterdir()) + json.dumps(logs, default=str)
    assert "a code was accepted" in kept
    assert "a code was refused" in kept
    assert not any(code in kept for code in (*typed, SEED.reveal()))


async def test_the_files_are_for_this_user_alone(rig: Rig):
    """Questions, answers and tries: 0600."""
    await rig.ask()
    await rig.one.code(rig.wrong())
    rig.answer(True)
    assert {path.name: path.stat().st_mode & 0o777 for path in rig.home.iterdir()} == dict.fromkeys(
        (TRIES_FILE, handover.REQUEST_FILE, handover.ANSWER_FILE), 0o600
    )


# through the gate and the real handlers


@contextlib.asynccontextmanager
async def guarded(rig: Rig) -> AsyncIterator[tuple[Phone, object]]:
    """A phone on a desk whose mode is guarded, halted by the panic button."""
    async with office(guarded=True, mode="live", staged="") as there:
        hand = phone(there, stepup=rig.one)
        await hand.say("/panic")
        await hand.press(hand.button("Sell everything"))
        yield hand, there


async def test_in_a_guarded_mode_trading_again_needs_the_code(rig: Rig):
    """No button is offered; the right code resumes, its message is deleted, and it is kept nowhere."""
    async with guarded(rig) as (hand, there):
        (question,) = await hand.say("/resume")
        assert question.startswith("Trading is halted: panic button. Trade again? To confirm it, type the six digits")
        assert hand.chat.calls[-1].reply_markup is None
        code, wrong = rig.code(), rig.wrong()
        await hand.say(wrong)
        assert there.desk.state.trading.state is TradingState.HALTED
        (answer,) = await hand.say(f"{code[:3]} {code[3:]}")
        assert answer.startswith("Trading is active again.")
        assert len(hand.chat.of("deleteMessage")) == 2
        assert hand.chat.calls[-2].__api_method__ == "deleteMessage"
        kept = str(there.records.updates).replace(" ", "")
        assert not any(digits in kept for digits in (code, wrong))
        event = there.journal.lines[-1].event
        assert isinstance(event, OwnerResumed)
        assert there.records.updates[event.update_id] == "/resume"


async def test_in_a_guarded_mode_a_higher_limit_needs_the_code(rig: Rig):
    """A lower one is set at once."""
    async with guarded(rig) as (hand, there):
        assert (await hand.say("/limits day_loss_max 2%"))[0].startswith("day_loss_max is now 2%")
        (question,) = await hand.say("/limits day_loss_max 5%")
        assert question.startswith("This would raise day_loss_max from 2% to 5%. To confirm it")
        assert str(there.desk.state.limits.day_loss_max) == "0.02"
        assert (await hand.say(rig.code()))[0] == "day_loss_max is now 5% (was 2%)."


async def test_a_button_of_before_does_not_get_around_it(rig: Rig):
    """Even a token for the same action is refused by the desk where the mode is guarded."""
    async with guarded(rig) as (hand, there):
        token = hand.dispatcher["confirmations"].issue("resume")
        (answer,) = await hand.press(f"c:{token}")
        assert "second proof" in answer
        assert there.desk.state.trading.state is TradingState.HALTED


async def test_pause_and_panic_never_ask(rig: Rig):
    """And the end of a pause does not either."""
    async with office(guarded=True, mode="live", staged="") as there:
        hand = phone(there, stepup=rig.one)
        assert (await hand.say("/pause"))[0].startswith("Paused")
        assert (await hand.say("/resume"))[0].startswith("Trading is active again")
        assert handover.asked(rig.home) is None


async def test_without_a_way_to_prove_it_nothing_is_raised():
    """A guarded mode that was given no second proof refuses, it does not fall back to a button."""
    async with office(guarded=True, mode="live", staged="") as there:
        hand = phone(there)
        (answer,) = await hand.say("/limits day_loss_max 5%")
        assert "second proof" in answer
        assert "I do not know that" in (await hand.say("123456"))[0]


async def test_a_message_that_cannot_be_deleted_is_judged_all_the_same(rig: Rig):
    """The code is used up by that anyway."""
    async with guarded(rig) as (hand, _):
        await hand.say("/resume")
        hand.chat.fail("deleteMessage", lambda m: ConnectionError("gone"))
        assert (await hand.say(rig.code()))[0].startswith("Trading is active again.")


async def test_a_code_of_somebody_else_is_not_even_judged(rig: Rig):
    """Strangers cannot lock the owner out."""
    async with guarded(rig) as (hand, _):
        await hand.say("/resume")
        for _ in range(6):
            body = {"id": 666, "is_bot": False, "first_name": "S"}
            chat = {"id": 666, "type": "private"}
            await hand.feed(message={"message_id": 1, "date": 1, "from": body, "chat": chat, "text": rig.wrong()})
        assert not (rig.home / TRIES_FILE).exists()
        assert OWNER != 666
