"""The chat as plain lines for a terminal: who wrote what when, buttons in brackets, pictures by their size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from core.sim.chat import room as events
from core.sim.chat.room import Acting, Event
from core.sim.chat.values import CallbackAnswer, ChatMessage

INDENT = " " * 10


def lines_of(event: Event | Acting, bot_name: str) -> Iterator[str]:
    """The lines that tell ``event``, none for what a person would not see."""
    match event:
        case events.Posted(message):
            yield from _message(message, bot_name, message.date, "")
        case events.Edited(message):
            yield from _message(message, bot_name, message.edited or message.date, f" edits message {message.id}")
        case events.Deleted(message_id):
            yield f"{INDENT}(message {message_id} deleted)"
        case events.Queued(_, "callback_query", payload, at):
            yield f"{at:%H:%M:%S}  {payload['from']['first_name']} presses [{_pressed(payload)}]"
        case events.Answered(answer):
            yield from _answer(answer)


def _message(message: ChatMessage, bot_name: str, at: datetime, what: str) -> Iterator[str]:
    name = bot_name if message.from_bot else message.user.first_name if message.user else "?"
    yield f"{at:%H:%M:%S}  {name}{what}"
    if message.photo is not None:
        yield f"{INDENT}[picture {message.photo.width}x{message.photo.height}]"
    if message.document is not None:
        yield f"{INDENT}[document {message.document.name}, {message.document.size} bytes]"
    for line in message.text.splitlines():
        yield f"{INDENT}{line}"
    keyboard = message.keyboard
    for row in keyboard.rows if keyboard else ():
        yield INDENT + " ".join(f"[{button.text}]" for button in row)


def _pressed(payload: dict[str, object]) -> str:
    """The label on the pressed button, or its data once the button is gone."""
    message = payload["message"]
    assert isinstance(message, dict)
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    labels = {button.get("callback_data"): button["text"] for row in rows for button in row}
    return str(labels.get(payload["data"], payload["data"]))


def _answer(answer: CallbackAnswer) -> Iterator[str]:
    if answer.text:
        yield f"{INDENT}({'box' if answer.alert else 'toast'}: {answer.text})"
