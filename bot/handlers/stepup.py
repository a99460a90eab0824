"""What raises the stakes: asked back once in the chat, or where the mode is guarded by a second proof.

Rule 1: an action is words ("resume", "limit day_loss_max 5%"); what they do stands in ``perform`` alone.
Rule 2: a message of six digits is deleted before it is looked at, whatever comes of it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import structlog
from aiogram import Bot, Router
from aiogram.exceptions import AiogramError
from aiogram.types import Message

from bot.keyboards import Confirmations, confirm_button
from bot.stepup import StepUp
from core.domain.errors import BadData
from core.run.desk import Asked, Desk
from core.run.stepup import Proof, code_in

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Raising:
    """What would raise the stakes: the question about it, the button's label, the action."""

    question: str
    label: str
    action: str


async def raise_stakes(
    message: Message, raising: Raising, desk: Desk, asked: Asked, confirmations: Confirmations, stepup: StepUp | None
) -> None:
    """Ask for the proof that is needed here. Raises BadData where none can be given."""
    if not desk.about.guarded:
        button = confirm_button(raising.label, confirmations.issue(raising.action))
        await message.answer(raising.question, reply_markup=button)
        return
    if stepup is None:
        raise BadData("That needs a second proof, and there is no way to give one here.")
    how = await stepup.ask(raising.question, functools.partial(perform, desk, raising.action, asked))
    await message.answer(f"{raising.question} {how}")


async def perform(desk: Desk, action: str, asked: Asked, proof: Proof) -> str:
    """Do a confirmed action; the answer. Raises BadData."""
    verb, *rest = action.split(" ")
    if verb == "limit":
        name, value = rest
        return await desk.loosen(asked, name, value, proof)
    return await (desk.panic(asked) if verb == "panic" else desk.resume(asked, proof))


async def is_code(message: Message, stepup: StepUp | None = None) -> bool | dict[str, str]:
    """Whether this is six digits and nothing else, where somebody may wait for them."""
    code = code_in(message.text)
    return {"code": code} if code and stepup else False


async def typed_code(message: Message, code: str, stepup: StepUp, bot: Bot) -> None:
    try:
        await bot.delete_message(message.chat.id, message.message_id)
    except (AiogramError, OSError) as error:
        log.warning("a typed code could not be deleted", why=str(error))
    await message.answer(await stepup.code(code))


def router() -> Router:
    """Handlers of this family."""
    family = Router(name="stepup")
    family.message.register(typed_code, is_code)
    return family
