"""/settings: what the owner may change from the chat, which is the time zone."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message
from aiogram.utils.formatting import Bold, Code, Text

from core.run.desk import Asked, Desk


async def settings(message: Message, command: CommandObject, desk: Desk, asked: Asked) -> None:
    if command.args:
        await message.answer(await desk.set_time_zone(asked, command.args.strip()))
        return
    await message.answer(
        **Text(
            "Times are shown in ",
            Bold(desk.state.time_zone),
            ".\nChange it: ",
            Code("/settings Europe/Berlin"),
            "\nEverything else is set in .env on the server.",
        ).as_kwargs()
    )


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="settings")
    family.message.register(settings, Command("settings"))
    return family
