"""A hundred thousand updates of everybody but the owner: nothing happens, nobody is answered, nothing is remembered."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.types import TelegramObject, Update

from bot.gate import Gate
from core.run.desk import Asked
from tests.fuzz.__main__ import main
from tests.fuzz.stretch import OWNERS_ONE_IN, STRETCH, feed
from tests.fuzz.updates import Strangers

HUNDRED_THOUSAND = range(1, 1 + 100_000 // STRETCH)
OWNERS = len(range(OWNERS_ONE_IN // 2, STRETCH + 1, OWNERS_ONE_IN))


@pytest.mark.parametrize("seed", HUNDRED_THOUSAND)
async def test_strangers_have_no_effect_and_the_owner_is_heard_among_them(seed: int):
    """No event, no line in journal or outbox, no request but to leave a group; memory flat; the owner answered."""
    outcome = await feed(seed, STRETCH)
    assert outcome.violations == []
    assert outcome.owners == OWNERS
    assert outcome.left > 0
    assert outcome.fed["the owner's, once more"] > 0


class ForgetsForwards(Gate):
    """Takes what the owner passed on for the owner's words."""

    def _from_owner(self, update: Update) -> bool:
        said = update.message
        return super()._from_owner(update) or bool(said and self._is_owner(said.from_user, said.chat))


class KnowsNoChats(Gate):
    """Obeys the owner anywhere."""

    def _is_owner(self, sender: Any, chat: Any) -> bool:
        return sender is not None and sender.id == self._owner_id


class KnowsNoPeople(Gate):
    """Obeys whoever appears in the owner's chat."""

    def _is_owner(self, sender: Any, chat: Any) -> bool:
        return bool(chat.id == self._owner_id)


class HearsTwice(Gate):
    """Handles an update again that was handled before."""

    async def __call__(self, handler: Any, event: TelegramObject, data: dict[str, Any]) -> Any:
        if isinstance(event, Update) and self._from_owner(event):
            data["asked"] = Asked(event.update_id + 10**9, "again")
            return await handler(event, data)
        return await super().__call__(handler, event, data)


class Explains(Gate):
    """Tells a stranger that they are one."""

    async def _drop(self, event: TelegramObject, data: dict[str, Any]) -> None:
        await super()._drop(event, data)
        if isinstance(event, Update) and event.message:
            await data["bot"].send_message(event.message.chat.id, "You are not my owner.")


class Remembers(Gate):
    """Keeps who wrote."""

    kept: list[TelegramObject] = []  # noqa: RUF012

    async def _drop(self, event: TelegramObject, data: dict[str, Any]) -> None:
        await super()._drop(event, data)
        self.kept.append(event)


class HearsNobody(Gate):
    """Drops the owner too."""

    def _from_owner(self, update: Update) -> bool:
        return False


class StaysInGroups(Gate):
    """Stumbles over every group instead of leaving it."""

    async def _drop(self, event: TelegramObject, data: dict[str, Any]) -> None:
        if isinstance(event, Update) and event.my_chat_member:
            raise RuntimeError("what now?")


HOLES = {
    ForgetsForwards: "answered",
    KnowsNoChats: "answered",
    KnowsNoPeople: "answered",
    HearsTwice: "answered",
    Explains: "answered",
    HearsNobody: "answered",
    Remembers: "memory grew",
    StaysInGroups: "could not be handled",
}


@pytest.mark.parametrize("gate", HOLES)
async def test_a_gate_with_a_hole_is_found(gate: type[Gate]):
    """Each thing the stretch promises to see, it sees."""
    outcome = await feed(3, 2_000, gate)
    assert any(HOLES[gate] in line for line in outcome.violations), outcome.violations


def test_the_same_seed_draws_the_same_updates():
    """A finding can be fed again."""
    one, two = (Strangers(5, ["x"]) for _ in range(2))
    assert [one.draw() for _ in range(500)] == [two.draw() for _ in range(500)]
    assert [one.bent() for _ in range(500)] == [two.bent() for _ in range(500)]


def test_every_kind_of_stranger_is_drawn():
    """No way not to be the owner is forgotten for long."""
    strangers = Strangers(1, ["x"])
    assert {strangers.draw()[0] for _ in range(500)} == set(strangers.drawn)


def test_the_command_tells_what_it_fed_and_ends_well(capsys: pytest.CaptureFixture[str]):
    """`./run fuzz` on one core, one stretch."""
    assert main(["--updates", "1", "--jobs", "1", "--from", "7"]) == 0
    assert f"{STRETCH:,}  updates in" in capsys.readouterr().out
