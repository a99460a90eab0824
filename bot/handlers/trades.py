"""/positions /stop /orders /reconcile /trades /balance.

Rule 1: updates are handled one after the other: a comparison that takes long ends in a line, or /panic would wait.
"""

from __future__ import annotations

import asyncio
import re

from aiogram import Bot, F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Text

from bot.keyboards import Refresh, refresh_button
from bot.replies import edit_text, toast
from bot.views import lists
from bot.views.reconciled import reconciled
from core.domain.errors import BadData, RetryLater
from core.run.desk import Asked, Desk

COMPARE_WITHIN_S = 15.0


async def positions(message: Message, desk: Desk) -> None:
    await message.answer(**_positions(desk).as_kwargs(), reply_markup=refresh_button("positions"))


async def refresh(press: CallbackQuery, desk: Desk, bot: Bot) -> None:
    await toast(bot, press)
    if press.message:
        await edit_text(
            bot, press.message.chat.id, press.message.message_id, _positions(desk), refresh_button("positions")
        )


async def orders(message: Message, desk: Desk) -> None:
    await message.answer(**lists.orders(await desk.recent_orders(), desk.zone, desk.foreign).as_kwargs())


async def stop(message: Message, command: CommandObject, desk: Desk, asked: Asked) -> None:
    symbol, price = _symbol_and_price(command.args or "")
    await message.answer(await desk.move_stop(asked, desk.symbol(symbol), price))


async def reconcile(message: Message, desk: Desk) -> None:
    await message.answer(**(await _compared(desk)).as_kwargs(), reply_markup=refresh_button("reconcile"))


async def reconcile_again(press: CallbackQuery, desk: Desk, bot: Bot) -> None:
    found = await _compared(desk)
    await toast(bot, press)
    if press.message:
        await edit_text(bot, press.message.chat.id, press.message.message_id, found, refresh_button("reconcile"))


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
    family.message.register(stop, Command("stop"))
    family.message.register(orders, Command("orders"))
    family.message.register(reconcile, Command("reconcile"))
    family.callback_query.register(reconcile_again, Refresh.filter(F.what == "reconcile"))
    family.message.register(trades, Command("trades"))
    family.message.register(balance, Command("balance"))
    return family


def _positions(desk: Desk) -> Text:
    return lists.positions(desk.overview().positions, desk.state.quote, desk.zone, desk.about.span)


async def _compared(desk: Desk) -> Text:
    """Books and exchange compared now. Raises RetryLater where the exchange takes too long."""
    try:
        async with asyncio.timeout(COMPARE_WITHIN_S):
            return reconciled(await desk.reconcile("asked"), desk.zone)
    except TimeoutError:
        raise RetryLater(
            f"The exchange did not answer everything within {COMPARE_WITHIN_S:.0f} s. I go on comparing every minute."
        ) from None


def _symbol_and_price(args: str) -> tuple[str, str]:
    """``BTC`` and ``61000`` or ``trail`` of what was typed; commas may part thousands. Raises BadData."""
    symbol, _, rest = args.strip().partition(" ")
    price = rest.strip().lower()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", price, re.ASCII):
        price = price.replace(",", "")
    if not symbol or not (price == "trail" or re.fullmatch(r"\d{1,9}(\.\d{1,10})?", price, re.ASCII)):
        raise BadData("Write the symbol and the new stop, for example: /stop BTC 61000, or /stop BTC trail")
    return symbol, price
