"""Sending: a text, or a text with a picture, within Telegram's limits.

Rule 1: a picture that cannot be drawn or sent never costs the text.
Rule 2: what is too long for a caption follows its picture; what is too long for a message becomes several.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from aiogram import Bot
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramRetryAfter
from aiogram.types import BufferedInputFile, CallbackQuery, InlineKeyboardMarkup
from aiogram.utils.formatting import Text

from bot.pictures import Pictures
from bot.pieces import pieces
from bot.views.chartspec import ChartSpec
from bot.views.fitting import CAPTION_MAX, size
from bot.views.modelspec import ModelSpec
from bot.views.picture import decision_chart
from core.adapters.redaction import short
from core.domain.errors import FirstmateError
from core.domain.market import Bar
from core.domain.state import Decision
from core.run.desk import Desk

TOAST_MAX = 200
log = structlog.get_logger()


async def chart_of(desk: Desk, decision: Decision) -> ChartSpec | None:
    """The picture of a decision, or None where there are no bars to draw: a card is never late for its picture."""
    try:
        bars = await desk.chart_bars(decision.symbol, decision)
        return _chart(desk, decision, bars) if bars else None
    except Exception:
        log.exception("no picture of a decision", symbol=decision.symbol)
        return None


def _chart(desk: Desk, decision: Decision, bars: Sequence[Bar]) -> ChartSpec:
    instrument = desk.state.instruments[decision.symbol]
    position = desk.state.positions.get(decision.symbol)
    held = position if position and position.bought_qty else None
    return decision_chart(decision, bars, instrument.tick, desk.state.time_zone, desk.about.staged, held)


async def draw(pictures: Pictures, spec: ChartSpec | ModelSpec | None) -> bytes | None:
    """The picture, or None where it could not be drawn in time."""
    if spec is None:
        return None
    try:
        return await pictures.draw(spec)
    except FirstmateError as error:
        log.warning("no picture", why=error.user_text)
        return None


async def send_card(
    bot: Bot,
    chat_id: int,
    text: Text,
    png: bytes | None,
    markup: InlineKeyboardMarkup | None = None,
    silent: bool = False,
) -> int:
    """Send ``text`` under its picture where both fit, else one after the other; the id of the message with the text."""
    if png is None:
        return await send_text(bot, chat_id, text, markup, silent)
    fits = size(text) <= CAPTION_MAX
    caption = text.as_caption_kwargs() if fits else {}
    try:
        message = await bot.send_photo(
            chat_id,
            BufferedInputFile(png, "chart.png"),
            **caption,
            reply_markup=markup if fits else None,
            disable_notification=silent,
        )
    except TelegramRetryAfter:
        raise
    except (AiogramError, OSError) as error:
        log.warning("the picture was not taken", why=str(error))
        return await send_text(bot, chat_id, text, markup, silent)
    return message.message_id if fits else await send_text(bot, chat_id, text, markup, silent)


async def send_text(
    bot: Bot, chat_id: int, text: Text, markup: InlineKeyboardMarkup | None = None, silent: bool = False
) -> int:
    """Send a text, the buttons under its last part; that part's id."""
    *before, (last, entities) = pieces(text)
    for part, its in before:
        await bot.send_message(chat_id, part, entities=its, parse_mode=None, disable_notification=silent)
    message = await bot.send_message(
        chat_id, last, entities=entities, parse_mode=None, reply_markup=markup, disable_notification=silent
    )
    return message.message_id


async def edit_card(bot: Bot, chat_id: int, message_id: int, text: Text) -> None:
    """Change a card in place and take its buttons away, whether its text is a caption or a message."""
    try:
        await bot.edit_message_caption(chat_id=chat_id, message_id=message_id, **text.as_caption_kwargs())
    except TelegramBadRequest as error:
        if "not modified" in str(error):
            return
        if "no caption" not in str(error) and "can't be edited" not in str(error):
            raise
        await edit_text(bot, chat_id, message_id, text)


async def edit_text(
    bot: Bot, chat_id: int, message_id: int, text: Text, markup: InlineKeyboardMarkup | None = None
) -> None:
    """Change a text in place; no change is no error."""
    try:
        await bot.edit_message_text(chat_id=chat_id, message_id=message_id, **text.as_kwargs(), reply_markup=markup)
    except TelegramBadRequest as error:
        if "not modified" not in str(error):
            raise


async def toast(bot: Bot, press: CallbackQuery, text: str = "", *, alert: bool = False) -> None:
    """Answer a pressed button; a press too old to be answered gets a message instead, if there is anything to say."""
    try:
        await bot.answer_callback_query(press.id, text=short(text, TOAST_MAX), show_alert=alert)
    except TelegramBadRequest:
        if text:
            await bot.send_message(press.from_user.id, text)
