"""Messages, people and files in the shape the Bot API gives them."""

from __future__ import annotations

from typing import Any

from core.sim.chat.markup import markup_json
from core.sim.chat.values import ChatMessage, ChatUser, Entity, StoredFile


def bot_json(bot_id: int, name: str) -> dict[str, Any]:
    """The User object of the bot itself."""
    return {"id": bot_id, "is_bot": True, "first_name": name, "username": f"{name}_bot"}


def user_json(user: ChatUser) -> dict[str, Any]:
    """The User object of a person."""
    named = {"username": user.username} if user.username else {}
    return {"id": user.id, "is_bot": False, "first_name": user.first_name, **named, "language_code": user.language}


def chat_json(user: ChatUser) -> dict[str, Any]:
    """The private Chat object shared with ``user``."""
    named = {"username": user.username} if user.username else {}
    return {"id": user.id, "type": "private", "first_name": user.first_name, **named}


def entity_json(entity: Entity) -> dict[str, Any]:
    """The MessageEntity object."""
    shown: dict[str, Any] = {"type": entity.type, "offset": entity.offset, "length": entity.length}
    if entity.url:
        shown["url"] = entity.url
    if entity.language:
        shown["language"] = entity.language
    return shown


def file_json(file: StoredFile) -> dict[str, Any]:
    """The File object of getFile."""
    return {
        "file_id": file.file_id,
        "file_unique_id": f"u{file.file_id}",
        "file_size": file.size,
        "file_path": file.api_path,
    }


def message_json(
    message: ChatMessage, person: ChatUser, bot: dict[str, Any], replied: ChatMessage | None = None
) -> dict[str, Any]:
    """The Message object as the bot sees it; ``person`` is the other side of the private chat."""
    shown: dict[str, Any] = {
        "message_id": message.id,
        "from": bot if message.from_bot else user_json(message.user or person),
        "chat": chat_json(person),
        "date": int(message.date.timestamp()),
        **_content_json(message),
    }
    if message.edited is not None:
        shown["edit_date"] = int(message.edited.timestamp())
    if (markup := markup_json(message.keyboard)) is not None:
        shown["reply_markup"] = markup
    if replied is not None:
        shown["reply_to_message"] = message_json(replied, person, bot)
    return shown


def _content_json(message: ChatMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if message.photo is not None:
        shown["photo"] = [_photo_json(message.photo)]
    if message.document is not None:
        shown["document"] = _document_json(message.document)
    if message.text or message.media is None:
        shown["caption" if message.media else "text"] = message.text
    if message.entities:
        shown["caption_entities" if message.media else "entities"] = [entity_json(e) for e in message.entities]
    return shown


def _photo_json(photo: StoredFile) -> dict[str, Any]:
    named = file_json(photo)
    del named["file_path"]
    return {**named, "width": photo.width, "height": photo.height}


def _document_json(document: StoredFile) -> dict[str, Any]:
    named = file_json(document)
    del named["file_path"]
    return {**named, "file_name": document.name, "mime_type": document.mime}
