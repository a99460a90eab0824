"""The unmodified aiogram bot lives with the local chat as with Telegram."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from io import BytesIO

import pytest
from aiogram import Bot, Dispatcher, F, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter
from aiogram.filters import Command, CommandStart
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    Message,
)
from aiogram.utils.formatting import Bold, Code, Text
from PIL import Image

from core.sim.chat.flood import FloodPolicy
from core.sim.chat.server import ChatServer
from core.sim.chat.values import ChatMessage, ChatUser

TOKEN = "424242:FAKE-TOKEN-for-tests"
OWNER = 77


def png(width: int = 90, height: int = 60, colour: str = "navy") -> bytes:
    """A picture file of that size."""
    file = BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def keyboard(*data: str) -> InlineKeyboardMarkup:
    """One row of buttons, each labelled like its data."""
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=each.title(), callback_data=each) for each in data]]
    )


def routes() -> Router:
    """A small bot: start, a card with buttons, a photo and a document."""
    router = Router()

    @router.message(CommandStart())
    async def start(message: Message) -> None:
        await message.answer(
            **Text("Hello ", Bold("Owner"), " 😀 ", Code("x<y")).as_kwargs(), reply_markup=keyboard("approve", "skip")
        )

    @router.callback_query(F.data.in_({"approve", "skip"}))
    async def chosen(query: CallbackQuery) -> None:
        assert isinstance(query.message, Message)
        await query.message.edit_text(f"You chose {query.data}")
        await query.answer(f"{query.data} it is")

    @router.message(Command("photo"))
    async def photo(message: Message) -> None:
        sent = await message.answer_photo(
            BufferedInputFile(png(), "chart.png"), caption="<b>BTC</b>", parse_mode="HTML"
        )
        assert sent.photo
        await message.answer_photo(sent.photo[-1].file_id, caption="again")
        swapped = InputMediaPhoto(media=BufferedInputFile(png(30, 40), "other.png"), caption="swapped")
        await sent.edit_media(swapped, reply_markup=keyboard("approve"))

    @router.message(Command("file"))
    async def file(message: Message, bot: Bot) -> None:
        sent = await message.answer_document(BufferedInputFile(b"a,b\n1,2\n", "trades.csv"))
        assert sent.document
        back = await bot.download(sent.document)
        assert back is not None
        await message.answer(f"got {len(back.read())} bytes of {sent.document.file_name}")

    return router


@contextlib.asynccontextmanager
async def bot_for(server: ChatServer) -> AsyncIterator[Bot]:
    """An aiogram bot that talks to ``server``."""
    bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(server.url)))
    try:
        yield bot
    finally:
        await bot.session.close()


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    """A chat server without a log."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def polled(server: ChatServer) -> AsyncIterator[ChatServer]:
    """The same with the small bot polling it."""
    dispatcher = Dispatcher()
    dispatcher.include_router(routes())
    async with bot_for(server) as bot:
        polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False, close_bot_session=False))
        yield server
        with contextlib.suppress(RuntimeError):
            await dispatcher.stop_polling()
        await polling


def says(text: str) -> Callable[[ChatMessage], bool]:
    """Accepts a message of the bot with that text."""
    return lambda message: message.from_bot and message.text == text


async def test_start_button_callback_and_edit_walk_through(polled: ChatServer):
    """A card with buttons arrives, the pressed button edits it in place and shows a toast."""
    polled.say("/start")
    card = await polled.wait_message(lambda m: bool(m.buttons), 10)
    assert card.text == "Hello Owner 😀 x<y"
    assert [(e.type, e.offset, e.length) for e in card.entities] == [("bold", 6, 5), ("code", 15, 3)]
    polled.press(card.id, "approve")
    edited = await polled.wait_message(says("You chose approve"), 10)
    assert (edited.id, edited.buttons) == (card.id, ())
    assert (await polled.wait_answer(lambda a: True, 10)).text == "approve it is"


async def test_photos_are_sent_resent_and_swapped(polled: ChatServer):
    """A picture goes out as a file, again by its id, and can be swapped in place."""
    polled.say("/photo")
    swapped = await polled.wait_message(says("swapped"), 10)
    again = await polled.wait_message(says("again"), 10)
    assert swapped.photo is not None
    assert again.photo is not None
    assert (swapped.photo.width, swapped.photo.height) == (30, 40)
    assert again.photo.path.read_bytes() == png()


async def test_documents_come_back_as_they_were_sent(polled: ChatServer):
    """A document sent by the bot downloads with the same bytes and name."""
    polled.say("/file")
    await polled.wait_message(says("got 8 bytes of trades.csv"), 10)


async def test_a_strangers_message_arrives_with_the_strangers_id(server: ChatServer):
    """A stranger can write, and the bot sees who it is."""
    server.say("let me in", user=ChatUser(666, "Stranger"))
    async with bot_for(server) as bot:
        (update,) = await bot.get_updates()
    assert update.message is not None
    assert update.message.from_user is not None
    assert (update.message.from_user.id, update.message.chat.id) == (666, 666)


async def test_commands_are_set_and_read_back(server: ChatServer):
    """The command menu is what the bot set."""
    commands = [BotCommand(command="status", description="How things stand")]
    async with bot_for(server) as bot:
        await bot.set_my_commands(commands)
        assert [item.model_dump() for item in await bot.get_my_commands()] == [item.model_dump() for item in commands]
        assert (await bot.get_me()).id == 424242


async def test_an_edit_that_changes_nothing_is_refused_in_telegrams_words(server: ChatServer):
    """aiogram code that looks for 'message is not modified' finds it."""
    async with bot_for(server) as bot:
        sent = await bot.send_message(OWNER, "same")
        with pytest.raises(TelegramBadRequest, match="message is not modified"):
            await bot.edit_message_text("same", chat_id=OWNER, message_id=sent.message_id)


async def test_a_flood_is_answered_with_the_seconds_to_wait():
    """With a limit set, the message over it gets 429 and retry_after."""
    server = ChatServer(TOKEN, OWNER, flood=FloodPolicy(messages=2, per_s=30))
    await server.start()
    async with bot_for(server) as bot:
        await bot.send_message(OWNER, "one")
        await bot.send_message(OWNER, "two")
        with pytest.raises(TelegramRetryAfter) as refused:
            await bot.send_message(OWNER, "three")
    await server.stop()
    assert 1 <= refused.value.retry_after <= 30
