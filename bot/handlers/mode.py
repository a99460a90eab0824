"""/mode and /mode live: what runs, and the checks and the phrase before real money; the rest is done on the server.

Rule 1: nothing typed here starts or stops trading with real money: the phrase is kept, and go-live asks for it.
"""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from bot.passage import Passage
from bot.views import mode as views
from core.domain.errors import BadData
from core.run.desk import Desk
from core.run.golive import PHRASE


async def mode(message: Message, command: CommandObject, desk: Desk, passage: Passage | None = None) -> None:
    wanted = (command.args or "").strip().lower()
    if not wanted:
        await message.answer(**views.mode(desk.about, desk.state, desk.zone).as_kwargs())
        return
    if wanted != "live":
        raise BadData("From here only /mode live can be asked for; every other mode is started on the server: ./run.")
    await message.answer(**views.hurdles(await _open(desk, passage).look()).as_kwargs())


async def phrase(message: Message, desk: Desk, passage: Passage | None = None) -> None:
    if not _open(desk, passage).typed(message.chat.id):
        raise BadData("Send /mode live first: what has to hold is looked at before you say so.")
    await message.answer("Noted. Now run ./run go-live on the server, within 15 minutes. Until then nothing changes.")


def _open(desk: Desk, passage: Passage | None) -> Passage:
    """The way to live, where there is one from this mode."""
    if desk.about.mode == "live":
        raise BadData("This is live already.")
    if passage is None:
        raise BadData(f"There is no way from {desk.about.mode} to live: trade on paper first.")
    return passage


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="mode")
    family.message.register(mode, Command("mode"))
    family.message.register(phrase, F.text == PHRASE)
    return family
