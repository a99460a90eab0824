"""One word to the bot and its answer; what the bot says of itself in the meantime is no answer."""

from __future__ import annotations

from core.sim.chat.server import ChatMessage, ChatServer

UNASKED = "There is no champion"  # the lab says at a start who forecasts


async def answered(chat: ChatServer, text: str, within_s: float) -> str:
    """What the bot answers to ``text``."""
    known = {message.id for message in chat.messages()}
    chat.say(text)

    def answers(message: ChatMessage) -> bool:
        return message.from_bot and message.id not in known and UNASKED not in message.text

    return (await chat.wait_message(answers, within_s)).text
