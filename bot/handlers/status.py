"""/start /help /status /health, and what is no command at all."""

from __future__ import annotations

from collections.abc import Mapping

from aiogram import F, Router
from aiogram.filters import Command, CommandStart
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.keyboards import Refresh, refresh_button
from bot.replies import edit_text
from bot.views import lists
from core.run.desk import Desk


def router(commands: Mapping[str, str]) -> Router:
    """Handlers of this family; ``commands`` are listed by /start and /help."""
    family = Router(name="status")

    @family.message(CommandStart())
    async def start(message: Message, desk: Desk) -> None:
        await message.answer(**_welcome(desk, commands).as_kwargs())

    @family.message(Command("help"))
    async def help_(message: Message) -> None:
        await message.answer(**_help(commands).as_kwargs())

    @family.message(Command("status"))
    async def status(message: Message, desk: Desk) -> None:
        await message.answer(**_status(desk).as_kwargs(), reply_markup=refresh_button("status"))

    @family.callback_query(Refresh.filter(F.what == "status"))
    async def refresh(press: CallbackQuery, desk: Desk) -> None:
        await press.answer()
        if press.message and press.bot:
            chat, message_id = press.message.chat.id, press.message.message_id
            await edit_text(press.bot, chat, message_id, _status(desk), refresh_button("status"))

    @family.message(Command("health"))
    async def health(message: Message, desk: Desk) -> None:
        await message.answer(**lists.health(desk.health()).as_kwargs())

    return family


def unknown() -> Router:
    """Answers whatever no other family understood."""
    family = Router(name="unknown")

    @family.message()
    async def hint(message: Message) -> None:
        await message.answer("I do not know that. /help lists what I understand.")

    @family.callback_query()
    async def stale(press: CallbackQuery) -> None:
        await press.answer("This button is no longer in use.")

    return family


def _status(desk: Desk) -> Text:
    return lists.status(desk.overview(), desk.about, desk.zone, desk.state.approve_auto)


def _welcome(desk: Desk, commands: Mapping[str, str]) -> Text:
    market = "a SIMULATED market; no real money moves" if desk.about.simulated else "Binance spot"
    money = "" if desk.about.mode == "live" else " Orders are not real."
    return Text(
        Bold("firstmate"),
        f" watches {', '.join(desk.about.symbols)} on {market}.{money} I tell you what I would do and why, size it, "
        "protect every position with a stop and a target, and stop when you say so.\n\n",
        _help(commands),
    )


def _help(commands: Mapping[str, str]) -> Text:
    return Text(*(f"/{name} — {text}\n" for name, text in commands.items()))
