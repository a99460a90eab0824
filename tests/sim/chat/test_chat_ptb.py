"""A bot of another library, python-telegram-bot, lives with the chat as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, Update
from telegram.error import BadRequest
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, CommandHandler, ContextTypes

from core.sim.chat.server import ChatServer

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77
Context = ContextTypes.DEFAULT_TYPE


def png(width: int, height: int) -> bytes:
    """A picture file of that size."""
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return file.getvalue()


async def start(update: Update, context: Context) -> None:
    """A card with two buttons."""
    assert update.message is not None
    buttons = [
        [InlineKeyboardButton("Approve", callback_data="approve"), InlineKeyboardButton("Skip", callback_data="skip")]
    ]
    await update.message.reply_html("<b>Buy</b> BTC?", reply_markup=InlineKeyboardMarkup(buttons))


async def pressed(update: Update, context: Context) -> None:
    """The card edited in place and a toast."""
    query = update.callback_query
    assert query is not None
    await query.answer("noted")
    await query.edit_message_text(f"You chose {query.data}")


async def photo(update: Update, context: Context) -> None:
    """A picture, swapped, and its bytes fetched back."""
    assert update.message is not None
    sent = await update.message.reply_photo(png(60, 40), caption="chart")
    await sent.edit_media(InputMediaPhoto(png(30, 20), caption="swapped"))
    back = await (await sent.photo[-1].get_file()).download_as_bytearray()
    await update.message.reply_document(b"a,b\n", filename="trades.csv", caption=f"{len(back)} bytes back")


@pytest.fixture
async def polled() -> AsyncIterator[ChatServer]:
    """A chat server polled by a python-telegram-bot application."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    builder = ApplicationBuilder().token(TOKEN)
    app: Application[Any, Any, Any, Any, Any, Any] = (
        builder.base_url(f"{server.url}/bot").base_file_url(f"{server.url}/file/bot").build()
    )
    app.add_handler(CommandHandler("start", start))
    app.add_handler(CommandHandler("photo", photo))
    app.add_handler(CallbackQueryHandler(pressed))
    async with app:
        await app.start()
        assert app.updater is not None
        await app.updater.start_polling(timeout=5)
        await app.bot.set_my_commands([("start", "Begin")])
        yield server
        await app.updater.stop()
        await app.stop()
    await server.stop()


async def test_start_keyboard_callback_and_edit(polled: ChatServer):
    """The card arrives, the press is answered, the card changes in place."""
    polled.say("/start")
    card = await polled.wait_message(lambda m: bool(m.buttons), 10)
    assert (card.text, [e.type for e in card.entities]) == ("Buy BTC?", ["bold"])
    polled.press(card.id, "skip")
    edited = await polled.wait_message(lambda m: m.text == "You chose skip", 10)
    assert edited.id == card.id
    assert (await polled.wait_answer(lambda a: True, 10)).text == "noted"


async def test_photo_swap_download_and_document(polled: ChatServer):
    """Pictures and documents go both ways."""
    polled.say("/photo")
    done = await polled.wait_message(lambda m: m.document is not None, 10)
    assert done.text == f"{len(png(60, 40))} bytes back"
    swapped = await polled.wait_message(lambda m: m.text == "swapped", 10)
    assert swapped.photo is not None
    assert (swapped.photo.width, swapped.photo.height) == (30, 20)


async def test_errors_are_its_own_errors(polled: ChatServer):
    """The library understands a refusal."""
    async with ApplicationBuilder().token(TOKEN).base_url(f"{polled.url}/bot").build().bot as bot:
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(12345, "x")
