"""/risk /limits /pause /resume /panic: what may lower the stakes acts at once, what raises them asks first.

Rule 1: raising them goes through ``bot.handlers.stepup``; /pause, /panic and tighter limits never do.
"""

from __future__ import annotations

import re

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.handlers.stepup import Raising, perform, raise_stakes
from bot.keyboards import Confirmations, Confirmed, confirm_button
from bot.replies import edit_text, toast
from bot.stepup import StepUp
from bot.views import lists, words
from bot.views.fitting import fit
from core.domain.errors import BadData
from core.domain.state import TradingState
from core.run.desk import Asked, Desk
from core.run.stepup import Proof


async def risk(message: Message, desk: Desk) -> None:
    await message.answer(**lists.risk(desk.limits(), desk.overview()).as_kwargs())


async def limits(
    message: Message,
    command: CommandObject,
    desk: Desk,
    asked: Asked,
    confirmations: Confirmations,
    stepup: StepUp | None = None,
) -> None:
    if not command.args:
        await message.answer(**lists.limits(desk.limits()).as_kwargs())
        return
    name, value = _name_and_value(command.args)
    looser = desk.looser(name, value)
    if looser:
        raising = Raising(f"This would raise {looser}.", "Raise it", f"limit {name} {value}")
        await raise_stakes(message, raising, desk, asked, confirmations, stepup)
        return
    await message.answer(await desk.tighten(asked, name, value))


async def pause(message: Message, desk: Desk, asked: Asked) -> None:
    await message.answer(await desk.pause(asked))


async def resume(
    message: Message, desk: Desk, asked: Asked, confirmations: Confirmations, stepup: StepUp | None = None
) -> None:
    trading = desk.state.trading
    if trading.state is not TradingState.HALTED:
        await message.answer(await desk.resume(asked))
        return
    raising = Raising(f"Trading is halted: {trading.reason}. Trade again?", "Resume trading", "resume")
    await raise_stakes(message, raising, desk, asked, confirmations, stepup)


async def panic(message: Message, desk: Desk, confirmations: Confirmations) -> None:
    button = confirm_button("Sell everything and halt", confirmations.issue("panic"))
    await message.answer(**_panic_plan(desk).as_kwargs(), reply_markup=button)


async def confirmed(
    press: CallbackQuery, callback_data: Confirmed, desk: Desk, asked: Asked, confirmations: Confirmations, bot: Bot
) -> None:
    action = confirmations.take(callback_data.token)
    if not action:
        raise BadData("This button was used, is too old, or is from before a restart. Send the command again.")
    answer = await perform(desk, action, asked, Proof.BUTTON)
    await toast(bot, press, answer)
    if press.message:
        await edit_text(bot, press.message.chat.id, press.message.message_id, Text(Bold(answer)))


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="risk")
    family.message.register(risk, Command("risk"))
    family.message.register(limits, Command("limits"))
    family.message.register(pause, Command("pause"))
    family.message.register(resume, Command("resume"))
    family.message.register(panic, Command("panic"))
    family.callback_query.register(confirmed, Confirmed.filter())
    return family


def _name_and_value(args: str) -> tuple[str, str]:
    """``day_loss_max`` and ``2%`` of "day_loss_max 2 %". Raises BadData."""
    name, _, rest = args.partition(" ")
    value = "".join(rest.split())
    if not re.fullmatch(r"\d{1,6}(\.\d{1,8})?%?", value, re.ASCII):
        raise BadData("Write the limit and its new value, for example: /limits day_loss_max 2%")
    return name, value


def _panic_plan(desk: Desk) -> Text:
    """What the button under it would do, position by position."""
    seen = desk.overview()
    lines = [
        Text(
            f"• sell {words.qty(line.qty)} {line.symbol.removesuffix(seen.quote)}, "
            f"about {words.money(line.value)} {seen.quote}\n"
        )
        for line in seen.positions
    ]
    orders, proposals = words.plural(len(seen.orders), "open order"), words.plural(seen.proposals, "proposal")
    foot = f"• cancel {orders} and drop {proposals}\n• halt trading until you resume it\n\n"
    return fit(lines, Text(Bold("This would, at once:"), "\n"), Text(foot, "The button works once, for one minute."))
