"""What every sending or editing method does: read the text, find the chat and message, put the result in place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.sim.chat import room as events
from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.entities import CAPTION_MAX, TEXT_MAX, compose
from core.sim.chat.markup import inline_only, parse_markup
from core.sim.chat.values import ChatMessage, ChatUser, Entity, Keyboard, StoredFile, bad_request

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)


def text_of(call: Call) -> tuple[str, tuple[Entity, ...]]:
    """The text of a call (1 to 4096 units) with its entities."""
    given = call.json("entities", "entities")
    text, entities = compose(call.text("text"), call.text("parse_mode"), given, TEXT_MAX)
    if not text:
        raise bad_request("message text is empty")
    return text, entities


def caption_of(call: Call) -> tuple[str, tuple[Entity, ...]]:
    """The caption of a call (0 to 1024 units) with its entities."""
    given = call.json("caption_entities", "caption_entities")
    return compose(call.text("caption"), call.text("parse_mode"), given, CAPTION_MAX)


def chat_of(chat: Chat, call: Call) -> ChatUser:
    """The person behind ``chat_id``: the owner or somebody who wrote before."""
    if not call.text("chat_id"):
        raise bad_request("chat_id is empty")
    person = chat.person(call.integer("chat_id"))
    if person is None:
        raise bad_request("chat not found")
    return person


def post(
    chat: Chat,
    call: Call,
    text: str,
    entities: tuple[Entity, ...],
    photo: StoredFile | None = None,
    document: StoredFile | None = None,
) -> dict[str, Any]:
    """The Message object of a message now standing in the chat."""
    person = chat_of(chat, call)
    message = ChatMessage(
        chat.next_message_id(),
        person.id,
        True,
        text,
        entities,
        chat.now(),
        keyboard=keyboard_of(call),
        photo=photo,
        document=document,
        reply_to=_replied(chat, call),
    )
    chat.record(events.Posted(message))
    return chat.shown(message)


def keyboard_of(call: Call) -> Keyboard | None:
    """The keyboard of a call, None without one."""
    return parse_markup(call.json("reply_markup", "reply keyboard markup"))


def _replied(chat: Chat, call: Call) -> int:
    given = call.object("reply_parameters", "reply parameters")
    message_id = Call("", given).integer("message_id") or call.integer("reply_to_message_id")
    if not message_id or message_id in chat.room.messages:
        return message_id
    if given.get("allow_sending_without_reply") or call.flag("allow_sending_without_reply"):
        return 0
    raise bad_request("message to be replied not found")


def editable(chat: Chat, call: Call) -> ChatMessage:
    """The bot's own message a call wants to edit."""
    person = chat_of(chat, call)
    if not call.text("message_id"):
        raise bad_request("message identifier is not specified")
    message = chat.room.messages.get(call.integer("message_id"))
    if message is None or message.chat_id != person.id:
        raise bad_request("message to edit not found")
    if not message.from_bot or (message.keyboard is not None and message.keyboard.kind != "inline"):
        raise bad_request("message can't be edited")
    return message


def place(chat: Chat, call: Call, changed: ChatMessage) -> dict[str, Any]:
    """The Message object after the edit. Raises ApiError when nothing would change."""
    current = chat.room.messages[changed.id]
    changed = replace(changed, keyboard=inline_only(keyboard_of(call)))
    if current == changed:
        raise bad_request(NOT_MODIFIED)
    changed = replace(changed, edited=chat.now())
    chat.record(events.Edited(changed))
    return chat.shown(changed)
