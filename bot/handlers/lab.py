"""/model /retrain: who forecasts and what it is worth, a new training, the challenger's way up and the way back.

Rule 1: a training is begun and stopped by a button that works once.
Rule 2: another champion raises the stakes, new or from before: a press, then where the mode is guarded a second proof,
        as for a limit.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from enum import StrEnum

from aiogram import Bot, F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiogram.utils.formatting import Text

from bot.keyboards import Confirmations
from bot.pictures import Pictures
from bot.replies import draw, edit_text, send_card, send_text, toast
from bot.stepup import StepUp
from bot.views import model as views
from core.domain.errors import BadData
from core.run.desk import Asked, Desk
from core.run.labdesk import LabDesk
from core.run.labview import LabView
from core.run.stepup import Proof


class Act(StrEnum):
    """What a button of the lab is for."""

    ASK = "a"
    PROMOTE = "p"
    ASK_BACK = "b"
    GO_BACK = "g"
    TRAIN = "t"
    STOP = "s"


class Pressed(CallbackData, prefix="m"):
    """A press on a button of the lab: ``what`` is a model's id where it only asks, else a token that works once."""

    act: Act
    what: str


async def model(message: Message, desk: Desk, pictures: Pictures, bot: Bot, lab: LabDesk | None = None) -> None:
    if lab is None:
        await message.answer(views.none(desk.about.mode))
        return
    view = await lab.view()
    picture = await draw(pictures, views.model_picture(view, desk.about.staged, desk.zone))
    await send_card(bot, message.chat.id, views.model_card(view, desk.zone), picture, _ways(view))


async def ask_to_promote(
    press: CallbackQuery,
    callback_data: Pressed,
    desk: Desk,
    asked: Asked,
    confirmations: Confirmations,
    bot: Bot,
    lab: LabDesk | None = None,
    stepup: StepUp | None = None,
) -> None:
    made, lab = callback_data.what, _there(lab)
    await lab.promotable(made)
    await toast(bot, press)
    question = views.promotion(made)
    if desk.about.guarded:
        await _proven(bot, press, stepup, question, functools.partial(lab.promote, asked, made))
    else:
        await _offered(bot, press, question, "Let it forecast", Act.PROMOTE, confirmations.issue(f"model {made}"))


async def promote(
    press: CallbackQuery,
    callback_data: Pressed,
    asked: Asked,
    confirmations: Confirmations,
    bot: Bot,
    lab: LabDesk | None = None,
) -> None:
    made = _taken(confirmations, callback_data.what, "model")
    await _answer(bot, press, await _there(lab).promote(asked, made, Proof.BUTTON))


async def ask_to_go_back(
    press: CallbackQuery,
    desk: Desk,
    asked: Asked,
    confirmations: Confirmations,
    bot: Bot,
    lab: LabDesk | None = None,
    stepup: StepUp | None = None,
) -> None:
    lab = _there(lab)
    before, passed = await lab.back()
    await toast(bot, press)
    question = views.going_back(before.id, passed)
    if desk.about.guarded:
        await _proven(bot, press, stepup, question, functools.partial(lab.go_back, asked, before.id))
    else:
        await _offered(bot, press, question, "Go back to it", Act.GO_BACK, confirmations.issue(f"back {before.id}"))


async def go_back(
    press: CallbackQuery,
    callback_data: Pressed,
    asked: Asked,
    confirmations: Confirmations,
    bot: Bot,
    lab: LabDesk | None = None,
) -> None:
    made = _taken(confirmations, callback_data.what, "back")
    await _answer(bot, press, await _there(lab).go_back(asked, made, Proof.BUTTON))


async def _offered(bot: Bot, press: CallbackQuery, question: str, label: str, act: Act, token: str) -> None:
    """Ask with a button that does it."""
    await send_text(bot, press.from_user.id, Text(question), _button(label, act, token, "danger"))


async def _proven(
    bot: Bot, press: CallbackQuery, stepup: StepUp | None, question: str, act: Callable[[Proof], Awaitable[str]]
) -> None:
    """Ask for the second proof that ``act`` waits for. Raises BadData where there is no way to give one."""
    if stepup is None:
        raise BadData("That needs a second proof, and there is no way to give one here.")
    how = await stepup.ask(question, act)
    await send_text(bot, press.from_user.id, Text(f"{question} {how}"))


async def retrain(message: Message, desk: Desk, confirmations: Confirmations, lab: LabDesk | None = None) -> None:
    if lab is None:
        await message.answer(views.none(desk.about.mode))
        return
    running = lab.running
    if running:
        text = views.retrain_running(running, lab.ran_s, desk.zone)
        markup = _button("Stop it", Act.STOP, confirmations.issue("training stop"), "danger")
    else:
        text = views.retrain_question(await lab.last(), desk.zone, lab.hopeless)
        markup = _button("Train now", Act.TRAIN, confirmations.issue("training begin"), "primary")
    await message.answer(**text.as_kwargs(), reply_markup=markup)


async def begin_or_stop(
    press: CallbackQuery,
    callback_data: Pressed,
    asked: Asked,
    confirmations: Confirmations,
    bot: Bot,
    lab: LabDesk | None = None,
) -> None:
    _taken(confirmations, callback_data.what, "training")
    there = _there(lab)
    act = there.stop if callback_data.act is Act.STOP else there.retrain
    await _answer(bot, press, await act(asked))


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="lab")
    family.message.register(model, Command("model"))
    family.message.register(retrain, Command("retrain"))
    family.callback_query.register(ask_to_promote, Pressed.filter(F.act == Act.ASK))
    family.callback_query.register(promote, Pressed.filter(F.act == Act.PROMOTE))
    family.callback_query.register(ask_to_go_back, Pressed.filter(F.act == Act.ASK_BACK))
    family.callback_query.register(go_back, Pressed.filter(F.act == Act.GO_BACK))
    family.callback_query.register(begin_or_stop, Pressed.filter(F.act.in_({Act.TRAIN, Act.STOP})))
    return family


def _ways(view: LabView) -> InlineKeyboardMarkup | None:
    """The challenger's button, where it may become champion, and that of the champion before, where there is one."""
    seat, rows = view.challenger, list[list[InlineKeyboardButton]]()
    if seat and seat.worth and seat.worth.beats:
        rows += _button(f"Let {seat.id} forecast …", Act.ASK, seat.id, "primary").inline_keyboard
    if view.before:
        rows += _button(f"Back to {view.before} …", Act.ASK_BACK, view.before, "danger").inline_keyboard
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def _button(label: str, act: Act, what: str, style: str) -> InlineKeyboardMarkup:
    button = InlineKeyboardButton(text=label, callback_data=Pressed(act=act, what=what).pack(), style=style)
    return InlineKeyboardMarkup(inline_keyboard=[[button]])


def _there(lab: LabDesk | None) -> LabDesk:
    """The lab. Raises BadData where none runs: a button from before a restart in another mode."""
    if lab is None:
        raise BadData("No model runs in this mode, so this button does nothing.")
    return lab


def _taken(confirmations: Confirmations, token: str, verb: str) -> str:
    """What a token of this kind is about, used up by this. Raises BadData."""
    said, _, about = confirmations.take(token).partition(" ")
    if said != verb:
        raise BadData("This button was used, is too old, or is from before a restart. Send the command again.")
    return about


async def _answer(bot: Bot, press: CallbackQuery, said: str) -> None:
    """In a box, and in place of the question, whose button is used up."""
    await toast(bot, press, said)
    if press.message:
        await edit_text(bot, press.message.chat.id, press.message.message_id, Text(said))
