"""/start /help /status /health, and what is no command at all."""

from __future__ import annotations

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandStart
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.keyboards import Refresh, refresh_button
from bot.replies import edit_text, toast
from bot.views import lists
from bot.views.menu import COMMANDS
from core.run.desk import Desk


async def start(message: Message, desk: Desk) -> None:
    await message.answer(**_welcome(desk).as_kwargs())


async def help_(message: Message) -> None:
    await message.answer(**_help().as_kwargs())


async def status(message: Message, desk: Desk) -> None:
    await message.answer(**_status(desk).as_kwargs(), reply_markup=refresh_button("status"))


async def refresh(press: CallbackQuery, desk: Desk, bot: Bot) -> None:
    await toast(bot, press)
    if press.message:
        await edit_text(bot, press.message.chat.id, press.message.message_id, _status(desk), refresh_button("status"))


async def health(message: Message, desk: Desk) -> None:
    await message.answer(**lists.health(desk.health()).as_kwargs())


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="status")
    family.message.register(start, CommandStart())
    family.message.register(help_, Command("help"))
    family.message.register(status, Command("status"))
    family.callback_query.register(refresh, Refresh.filter(F.what == "status"))
    family.message.register(health, Command("health"))
    return family


async def hint(message: Message) -> None:
    await message.answer("I do not know that. /help lists what I understand.")


async def stale(press: CallbackQuery) -> None:
    await press.answer("This button is no longer in use.")


def unknown() -> Router:
    """Answers whatever no other family understood."""
    family = Router(name="unknown")
    family.message.register(hint)
    family.callback_query.register(stale)
    return family


def _status(desk: Desk) -> Text:
    return lists.status(desk.overview(), desk.about, desk.zone, desk.state.config.approve_auto)


def _welcome(desk: Desk) -> Text:
    market = f"a {desk.about.staged} market" if desk.about.staged else "Binance spot"
    money = "" if desk.about.mode == "live" else " No real money moves."
    return Text(
        Bold("firstmate"),
        f" watches {', '.join(desk.about.symbols)} on {market}.{money}\n\nI tell you what I would do and why, size it, "
        "protect every position with a stop and a target, and stop when you say so.\n\n",
        _help(),
    )


def _help() -> Text:
    return Text(*(f"/{name} — {text}\n" for name, text in COMMANDS.items()))
