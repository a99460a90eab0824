"""/twin: what trading for real costs against paper."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message

from bot.views import twin as views
from core.run.desk import Desk
from core.run.difference import Comparison

Comparing = Callable[[], Awaitable[Comparison]]


async def twin(message: Message, desk: Desk, twin: Comparing | None = None) -> None:
    if twin is None:
        await message.answer(views.none(desk.about.mode))
        return
    await message.answer(**views.comparison(await twin(), desk.about.mode, desk.state.quote, desk.zone).as_kwargs())


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="twin")
    family.message.register(twin, Command("twin"))
    return family
