"""/signal and /why, each with a picture, and the thumbs under a proposal."""

from __future__ import annotations

from aiogram import Bot, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Text

from bot.keyboards import Proposed, Thumb, proposal_buttons
from bot.pictures import Pictures
from bot.replies import chart_of, draw, send_card, toast
from bot.views.cards import signal_card, why_card
from bot.views.model import alike, nearest
from core.domain.state import Decision
from core.run.desk import Asked, Desk
from core.run.labdesk import LabDesk
from core.run.labview import Why


async def signal(message: Message, command: CommandObject, desk: Desk, pictures: Pictures, bot: Bot) -> None:
    symbol = desk.symbol(command.args or "")
    decision = desk.decision(symbol)
    if decision is None:
        await message.answer(_nothing_yet(symbol))
        return
    open_ = decision.intent if decision.intent in desk.state.proposals else ""
    markup = proposal_buttons(open_) if open_ else None
    text = _signal(decision, desk)
    await send_card(bot, message.chat.id, text, await draw(pictures, await chart_of(desk, decision)), markup)


async def why(
    message: Message, command: CommandObject, desk: Desk, pictures: Pictures, bot: Bot, lab: LabDesk | None = None
) -> None:
    symbol = desk.symbol(command.args or "")
    decision = desk.decision(symbol)
    if decision is None:
        await message.answer(_nothing_yet(symbol))
        return
    seen = await lab.why(decision) if lab else Why(decision)
    more, cases = alike(seen, desk.zone), nearest(seen, desk.zone)
    text = why_card(seen.decision, desk.zone, desk.about.span, desk.state.quote, desk.about.staged, more, cases)
    await send_card(bot, message.chat.id, text, await draw(pictures, await chart_of(desk, seen.decision)))


async def thumb(press: CallbackQuery, callback_data: Proposed, desk: Desk, asked: Asked, bot: Bot) -> None:
    act = desk.approve if callback_data.thumb is Thumb.APPROVE else desk.skip
    await toast(bot, press, await act(asked, callback_data.intent))


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="signals")
    family.message.register(signal, Command("signal"))
    family.message.register(why, Command("why"))
    family.callback_query.register(thumb, Proposed.filter())
    return family


def _signal(decision: Decision, desk: Desk) -> Text:
    """A plan where there is one, else why there is none: both answer "what would you do now?"."""
    zone, about, quote = desk.zone, desk.about, desk.state.quote
    if not decision.qty:
        return why_card(decision, zone, about.span, quote, about.staged)
    return signal_card(decision, zone, about.span, quote, about.staged, _fate(decision, desk))


def _fate(decision: Decision, desk: Desk) -> str:
    """What became of a plan; empty while it waits for a thumb."""
    held = desk.state.positions.get(decision.symbol)
    if held and held.intent == decision.intent:
        return "✅ Ordered."
    return "" if decision.intent in desk.state.proposals else "This plan is over."


def _nothing_yet(symbol: str) -> str:
    return f"No bar of {symbol} has closed since I started. The next one brings a decision."
