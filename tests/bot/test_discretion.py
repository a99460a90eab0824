"""Whatever is said, no secret is said."""

from __future__ import annotations

import pytest
from aiogram import Bot
from aiogram.types import BufferedInputFile
from aiogram.utils.formatting import Bold, Text

from bot.app import App, ChatAddress
from bot.discretion import Discretion, discreet
from bot.replies import send_text
from core.adapters import redaction
from core.sim.chat.server import ChatServer
from tests.bot.fakes import OWNER, TOKEN, office
from tests.bot.phones import PNG, PocketChat, phone

FAKE = "FAKE-KEY-for-tests"


@pytest.fixture(autouse=True)
def _one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_longest_first", ())
    redaction.conceal(FAKE)


def chat() -> tuple[PocketChat, Bot]:
    """A chat in memory behind a discreet bot."""
    pocket = PocketChat()
    pocket.middleware(Discretion())
    return pocket, Bot(TOKEN, session=pocket)


async def test_no_text_caption_or_toast_carries_a_secret():
    """Sent, edited, under a picture or in a box: the mask stands in its place."""
    pocket, bot = chat()
    await bot.send_message(OWNER, f"the key is {FAKE}")
    await bot.send_photo(OWNER, BufferedInputFile(PNG, "chart.png"), caption=f"<{FAKE[::-1]}>")
    await bot.edit_message_text(chat_id=OWNER, message_id=1, text=FAKE)
    await bot.edit_message_caption(chat_id=OWNER, message_id=1, caption=FAKE)
    await bot.answer_callback_query("1", text=FAKE.encode().hex())
    assert [text.count("[redacted]") for text in pocket.said] == [1, 1, 1, 1, 1]
    assert "FAKE" not in "".join(pocket.said)


async def test_what_carries_no_secret_goes_as_it_is():
    """Words, formatting and buttons of every other message are untouched."""
    pocket, bot = chat()
    await send_text(bot, OWNER, Text("a ", Bold("bold"), " word"))
    (sent,) = pocket.calls
    assert discreet(sent) is sent
    assert (sent.text, sent.entities[0].type) == ("a bold word", "bold")


async def test_a_redacted_message_loses_its_formatting_and_arrives():
    """Places in a text that became another would make the chat refuse it."""
    pocket, bot = chat()
    await send_text(bot, OWNER, Text("see ", FAKE, " ", Bold("here")))
    (sent,) = pocket.calls
    assert (sent.text, sent.entities) == ("see [redacted] here", None)


async def test_the_whole_bot_is_discreet():
    """What is handed to the real bot reaches the chat without the key, over the wire."""
    server = ChatServer(TOKEN, OWNER)
    await server.start()
    async with office() as there:
        app = App(ChatAddress(server.url, TOKEN, OWNER, gap_s=0.0), there.desk, there.outbox, there.engine)
        await send_text(app.bot, OWNER, Text(f"the exchange refused {FAKE}"))
        await app.close()
    assert [message.text for message in server.messages()] == ["the exchange refused [redacted]"]
    await server.stop()


async def test_a_secret_typed_into_the_chat_is_not_kept():
    """Somebody pastes the key: what is noted of the update holds the mask."""
    async with office() as there:
        await phone(there).say(f"/pause {FAKE}")
        assert list(there.records.updates.values()) == ["/pause [redacted]"]
