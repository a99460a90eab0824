"""Pictures and documents: sent anew, sent again by file_id, swapped in an edit, fetched back.

Rule 1: a photo is a real picture of at most 10 MB, its sides at most 10,000 px together and 20 to 1.
Rule 2: a document is anything up to 50 MB; nothing is ever fetched from the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.sim.chat.call import Call
from core.sim.chat.chat import Chat
from core.sim.chat.outgoing import caption_of, chat_of, editable, place, post
from core.sim.chat.pictures import picture_of
from core.sim.chat.values import ChatMessage, StoredFile, Upload, bad_request
from core.sim.chat.wire import file_json

PHOTO_MAX_BYTES = 10 * 1024 * 1024
FILE_MAX_BYTES = 50 * 1024 * 1024
SIDES_MAX_PX = 10_000
RATIO_MAX = 20
WRONG_FILE = "wrong file identifier/HTTP URL specified"


def send_photo(chat: Chat, call: Call) -> dict[str, Any]:
    """The message with the picture."""
    text, entities = caption_of(call)
    chat_of(chat, call)
    return post(chat, call, text, entities, photo=_given(chat, call, "photo"))


def send_document(chat: Chat, call: Call) -> dict[str, Any]:
    """The message with the document."""
    text, entities = caption_of(call)
    chat_of(chat, call)
    return post(chat, call, text, entities, document=_given(chat, call, "document"))


def edit_message_media(chat: Chat, call: Call) -> dict[str, Any]:
    """The message with its new picture or document and caption."""
    media = call.json("media", "media")
    if not isinstance(media, Mapping) or media.get("type") not in ("photo", "document"):
        raise bad_request("can't parse InputMedia: wrong type")
    inner = Call(call.method, dict(media), call.files)
    text, entities = caption_of(inner)
    message = editable(chat, call)
    kind = inner.text("type")
    file = _file(chat, inner, kind, inner.text("media"))
    changed: ChatMessage = replace(message, text=text, entities=entities, photo=None, document=None)
    changed = replace(changed, photo=file) if kind == "photo" else replace(changed, document=file)
    return place(chat, call, changed)


def get_file(chat: Chat, call: Call) -> dict[str, Any]:
    """Where the file can be downloaded."""
    file_id = call.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    file = chat.room.files.get(file_id)
    if file is None:
        raise bad_request("invalid file_id")
    return file_json(file)


def _given(chat: Chat, call: Call, kind: str) -> StoredFile:
    upload = call.files.get(kind)
    if upload is not None:
        return _kept(chat, kind, upload)
    value = call.text(kind)
    if not value:
        raise bad_request(f"there is no {kind} in the request")
    return _file(chat, call, kind, value)


def _file(chat: Chat, call: Call, kind: str, value: str) -> StoredFile:
    upload = call.upload(value)
    if upload is not None:
        return _kept(chat, kind, upload)
    if value.startswith(("http://", "https://")):
        raise bad_request("failed to get HTTP URL content")
    file = chat.room.files.get(value)
    if file is None:
        raise bad_request(WRONG_FILE)
    if file.kind != kind:
        raise bad_request(f"can't use file of type {file.kind.title()} as {kind.title()}")
    return file


def _kept(chat: Chat, kind: str, upload: Upload) -> StoredFile:
    if not upload.data:
        raise bad_request("file must be non-empty")
    if kind == "photo":
        mime, width, height = _checked_picture(upload.data)
        return chat.keep_file(kind, f"photo.{mime.split('/')[1]}", mime, upload.data, (width, height))
    return chat.keep_file(kind, upload.name, upload.mime, upload.data)


def _checked_picture(data: bytes) -> tuple[str, int, int]:
    if len(data) > PHOTO_MAX_BYTES:
        size = f"file of size {len(data)} bytes is too big for a photo"
        raise bad_request(f"{size}; the maximum size is {PHOTO_MAX_BYTES} bytes")
    picture = picture_of(data)
    if picture is None:
        raise bad_request("IMAGE_PROCESS_FAILED")
    _, width, height = picture
    if width + height > SIDES_MAX_PX or max(width, height) > RATIO_MAX * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return picture
