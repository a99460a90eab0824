"""/positions /orders /trades /balance."""

from __future__ import annotations

from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Text

from bot.keyboards import Refresh, refresh_button
from bot.replies import edit_text, toast
from bot.views import lists
from core.run.desk import Desk


async def positions(message: Message, desk: Desk) -> None:
    await message.answer(**_positions(desk).as_kwargs(), reply_markup=refresh_button("positions"))


async def refresh(press: CallbackQuery, desk: Desk, bot: Bot) -> None:
    await toast(bot, press)
    if press.message:
        await edit_text(
            bot, press.message.chat.id, press.message.message_id, _positions(desk), refresh_button("positions")
        )


async def orders(message: Message, desk: Desk) -> None:
    await message.answer(**lists.orders(await desk.recent_orders(), desk.zone).as_kwargs())


async def trades(message: Message, desk: Desk) -> None:
    await message.answer(**lists.trades(await desk.trades(), desk.state.quote, desk.zone).as_kwargs())


async def balance(message: Message, desk: Desk) -> None:
    state = desk.state
    await message.answer(**lists.balance(state.balances, state.instruments, desk.overview()).as_kwargs())


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="trades")
    family.message.register(positions, Command("positions"))
    family.callback_query.register(refresh, Refresh.filter(F.what == "positions"))
    family.message.register(orders, Command("orders"))
    family.message.register(trades, Command("trades"))
    family.message.register(balance, Command("balance"))
    return family


def _positions(desk: Desk) -> Text:
    return lists.positions(desk.overview().positions, desk.state.quote, desk.zone, desk.about.span)
