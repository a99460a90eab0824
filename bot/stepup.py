"""What raises the stakes and waits for a second proof: six digits typed in the chat, or a yes at the terminal.

Rule 1: one request waits at a time, in memory, for WAIT_S; a restart forgets it, the next one replaces it, and is named
        before digits count for it.
Rule 2: what was typed is written down as used or wrong before anything follows from it; a restart resets nothing.
Rule 3: no digits reach a log or a file.
Rule 4: where the memory of used and wrong digits cannot be read, none are accepted.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

import structlog

from core.adapters import handover, jsonfile
from core.adapters.redaction import short
from core.domain.errors import FirstmateError, NeedsOwner
from core.run.questions import Check
from core.run.stepup import WRONG_MAX, Proof, Tries, Verdict, judge, matching_step
from core.setting_kinds import Secret

TRIES_FILE = "authenticator"
WAIT_S = 300.0
LOOK_EVERY_S = 1.0
NOTHING_WAITS = (
    "Nothing waits for a code. Send the command again: a request waits for 5 minutes, and not over a restart."
)
log = structlog.get_logger()

Act = Callable[[Proof], Awaitable[str]]
Say = Callable[[str], Awaitable[object]]
Keep = Callable[[Verdict, str], object]


def nowhere(verdict: Verdict, what: str) -> None:
    """There is no audit."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request: its name, what it is in words, the monotonic second it ends at, and what a proof sets off.

    ``instead`` where it took the place of another: digits on their way may be meant for that one.
    """

    ref: str
    what: str
    until: float
    act: Act
    instead: bool


class StepUp:
    """Asks for the second proof and hears it; ``seed`` of the authenticator app, None where none is set up.

    ``keep`` puts what became of a code that was not right, and what it was for, into the audit.
    """

    def __init__(
        self,
        home: Path,
        seed: Secret | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        keep: Keep = nowhere,
    ) -> None:
        self._home = home
        self._seed = seed
        self._now = now
        self._monotonic = monotonic
        self._keep = keep
        self._waiting: Waiting | None = None
        self._asked = asyncio.Event()

    async def ask(self, what: str, act: Act) -> str:
        """Let ``act`` wait for a proof; what the owner is told to do."""
        before = self._current()
        instead = before is not None and (before.instead or before.what != what)
        waiting = Waiting(secrets.token_hex(16), what, self._monotonic() + WAIT_S, act, instead)
        until = self._now() + timedelta(seconds=WAIT_S)
        self._waiting = waiting  # before the file, which whoever finds nothing waiting takes away
        await asyncio.to_thread(handover.ask, self._home, handover.Request(waiting.ref, what, until))
        self._asked.set()
        log.info("waits for a second proof", what=what)
        return f"{self._how()} Without it nothing changes."

    def _how(self) -> str:
        terminal = "run ./run confirm on the server"
        minutes = f"within {WAIT_S / 60:.0f} minutes"
        if self._seed is None:
            return f"To confirm it, {terminal} {minutes}."
        fault = self._codes_fault()
        if fault:
            return f"To confirm it, {terminal} {minutes}. {fault}"
        return f"To confirm it, type the six digits of your authenticator app {minutes}, or {terminal}."

    async def code(self, code: str) -> str:
        """Judge six digits and do what waits for them, if they are right. Raises FirstmateError, as what waits does."""
        waiting = self._current()
        if waiting is None:
            await asyncio.to_thread(self._spent, code)
            return NOTHING_WAITS
        if self._seed is None:
            return f"No authenticator app is set up here. {self._how()}"
        if waiting.instead:
            await asyncio.to_thread(self._spent, code)
            return self._named(waiting)
        verdict = await asyncio.to_thread(self._judged, self._seed, code, waiting.what)
        if verdict is not Verdict.RIGHT:
            log.warning("a code was refused", verdict=verdict.value, what=waiting.what)
            return self._refusal(verdict)
        log.info("a code was accepted", what=waiting.what)
        if not self._take(waiting):
            return NOTHING_WAITS
        return await waiting.act(Proof.CODE)

    def _named(self, waiting: Waiting) -> str:
        """What waits, said before any digits are taken for it."""
        if self._waiting is waiting:
            self._waiting = replace(waiting, instead=False)
        return (
            f"Not done: another request was there before. What waits now: {waiting.what} For that, type the next code."
        )

    def _judged(self, seed: Secret, code: str, what: str) -> Verdict:
        now, tries = self._now(), self._tries()
        after, verdict = judge(tries, matching_step(seed.reveal(), code, now), now)
        if after != tries:
            jsonfile.write(self._home / TRIES_FILE, after)
        if verdict not in (Verdict.RIGHT, Verdict.LOCKED):  # a right one is kept with what it did, a locked one is none
            self._keep(verdict, what)
        return verdict

    def _spent(self, code: str) -> None:
        """Let nobody who saw digits that were typed for nothing use them; wrong ones count only where one waits."""
        step = matching_step(self._seed.reveal(), code, self._now()) if self._seed else None
        if step is not None and step > (tries := self._tries()).last_step:
            jsonfile.write(self._home / TRIES_FILE, replace(tries, last_step=step))

    def _tries(self) -> Tries:
        path = self._home / TRIES_FILE
        kept = jsonfile.read(path, Tries)
        if kept is None and path.exists():
            raise NeedsOwner(
                f"No code is accepted: {path} cannot be read. Delete it on the server, or run ./run confirm there."
            )
        return kept or Tries()

    def _refusal(self, verdict: Verdict) -> str:
        match verdict:
            case Verdict.LOCKS:
                return (
                    f"That was the {WRONG_MAX}th wrong code in a row. {self._codes_fault()} If it was not you, somebody"
                    " else types in this chat: end Telegram's other sessions now. /pause and /panic need no code."
                )
            case Verdict.LOCKED:
                return f"{self._codes_fault()} This one was not looked at."
            case Verdict.USED:
                return "That code was used before. Wait for the next one, up to 30 seconds."
            case _:
                return "That code is wrong. If your app shows another one now, type that."

    def _codes_fault(self) -> str:
        """Why no code is accepted now; empty where codes are."""
        now = self._now()
        try:
            tries = self._tries()
        except NeedsOwner as fault:
            return fault.user_text
        if tries.locked_until is None or not tries.locked(now):
            return ""
        minutes = ceil((tries.locked_until - now) / timedelta(minutes=1))
        return f"Codes are locked for {minutes} more minutes, after {WRONG_MAX} wrong ones."

    def check(self) -> Check:
        """Whether codes are taken, for /health."""
        if self._seed is None:
            return Check("second proof", True, "at the terminal")
        fault = self._codes_fault()
        return Check("second proof", not fault, fault or "by code or at the terminal")

    def _current(self) -> Waiting | None:
        waiting = self._waiting
        return waiting if waiting and self._monotonic() < waiting.until else None

    def _take(self, waiting: Waiting) -> bool:
        """Take a request off the list; False where it waits no longer, so that nothing happens twice."""
        if self._waiting is not waiting:
            return False
        self._waiting = None
        handover.forget(self._home)
        return True

    async def run(self, say: Say) -> None:
        """Hear the terminal, and say what came of it, until cancelled."""
        if self._waiting is None:
            handover.forget(self._home)  # what an earlier run left is nobody's any more
        while True:
            await self._asked.wait()
            self._asked.clear()
            while waiting := self._waiting:
                await asyncio.sleep(LOOK_EVERY_S)
                text = await self._looked(waiting)
                if text:
                    await _said(say, text)

    async def _looked(self, waiting: Waiting) -> str:
        """What became of a request, empty while nothing did or somebody else said so."""
        answer = await asyncio.to_thread(handover.said, self._home)
        late, answered = self._monotonic() >= waiting.until, answer is not None and answer.ref == waiting.ref
        if not (late or answered) or not self._take(waiting):
            return ""
        if late or answer is None:
            return f"Not confirmed within {WAIT_S / 60:.0f} minutes, so nothing changed: {waiting.what}."
        log.info("answered at the terminal", yes=answer.yes, what=waiting.what)
        if not answer.yes:
            return f"Refused at the terminal, so nothing changed: {waiting.what}."
        return await _done(waiting)


async def _done(waiting: Waiting) -> str:
    try:
        return f"Confirmed at the terminal. {await waiting.act(Proof.TERMINAL)}"
    except FirstmateError as error:
        return error.user_text
    except Exception:
        log.exception("what was confirmed failed", what=waiting.what)
        return f"That failed, and it is logged: {waiting.what}. /status shows what holds now."


async def _said(say: Say, text: str) -> None:
    """Say it, once: a chat that is away is no reason to stop listening."""
    try:
        await say(text)
    except Exception as error:
        log.warning("the chat did not take a word about the second proof", why=short(error), text=text)
