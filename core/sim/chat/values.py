"""The nouns of the chat: who writes, what a message holds, and the one error the Bot API speaks.

Rule 1: every value is frozen; an edit is a new value under the same id.
Rule 2: offsets and lengths count UTF-16 code units, as everywhere in Telegram.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


class ApiError(Exception):
    """An answer with ``ok: false``: HTTP ``code``, Telegram's own wording, and seconds to wait for a 429."""

    def __init__(self, code: int, description: str, retry_after_s: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after_s = retry_after_s


def bad_request(text: str) -> ApiError:
    """The 400 answer whose description is ``Bad Request: text``."""
    return ApiError(400, f"Bad Request: {text}")


@dataclass(frozen=True, slots=True)
class ChatUser:
    """A person: a positive Telegram id, a first name, and a username (empty if none)."""

    id: int
    first_name: str = "Owner"
    username: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Entity:
    """One formatted stretch of a text; ``url`` is set for text_link, ``language`` for pre."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""

    @property
    def end(self) -> int:
        """First UTF-16 offset after the stretch."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Button:
    """One button; an inline one carries exactly one of ``data`` (1-64 bytes), ``url``, ``copy`` or ``disabled``."""

    text: str
    data: str = ""
    url: str = ""
    copy: str = ""
    style: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Keyboard:
    """Buttons of a message: ``kind`` is inline, reply, remove or force (force_reply)."""

    kind: str
    rows: tuple[tuple[Button, ...], ...] = ()
    one_time: bool = False
    resize: bool = False
    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file on disk: ``size`` in bytes, ``width`` and ``height`` in pixels (0 unless a photo)."""

    file_id: str
    kind: str
    name: str
    mime: str
    size: int
    path: Path
    width: int = 0
    height: int = 0

    @property
    def api_path(self) -> str:
        """The ``file_path`` of getFile, relative to the download address."""
        return f"{self.kind}s/{self.path.name}"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message as it stands now; with a photo or document ``text`` is the caption."""

    id: int
    chat_id: int
    from_bot: bool
    text: str
    entities: tuple[Entity, ...]
    date: datetime
    user: ChatUser | None = None
    keyboard: Keyboard | None = None
    photo: StoredFile | None = None
    document: StoredFile | None = None
    reply_to: int = 0
    edited: datetime | None = None

    @property
    def buttons(self) -> tuple[tuple[Button, ...], ...]:
        """Rows of the inline keyboard, empty without one."""
        return self.keyboard.rows if self.keyboard is not None and self.keyboard.kind == "inline" else ()

    @property
    def media(self) -> StoredFile | None:
        """The photo or document, if the message carries one."""
        return self.photo or self.document


@dataclass(frozen=True, slots=True)
class BotCommand:
    """One entry of the command menu: ``command`` without the slash."""

    command: str
    description: str


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What the bot answered to a pressed button: a toast, or a box when ``alert``."""

    query_id: str
    text: str = ""
    alert: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that arrived in a multipart body."""

    name: str
    mime: str
    data: bytes
