"""The room with its log, its files and everybody who listens: what both the bot and the owner act on.

Rule 1: an event is logged, then applied, then told, in that order and without a pause in between.
Rule 2: what a person does becomes a message (or a press) and an update for the bot, under fresh numbers.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.sim.chat import room as events
from core.sim.chat.entities import TEXT_MAX, compose
from core.sim.chat.journal import LINES_MAX, Journal
from core.sim.chat.room import Acting, Event, Room
from core.sim.chat.values import CallbackAnswer, ChatMessage, ChatUser, StoredFile
from core.sim.chat.wire import bot_json, message_json, user_json

USUAL_KINDS = frozenset({"message", "edited_message", "callback_query", "my_chat_member"})
PRESS_TTL = timedelta(minutes=15)
QUERY_BASE = 4_000_000_000_000
Listener = Callable[[Event | Acting], None]


def utc_now() -> datetime:
    """The wall clock, aware and in UTC."""
    return datetime.now(UTC)


def query_id(update_id: int) -> str:
    """The id of the callback query that travels in update ``update_id``."""
    return str(QUERY_BASE + update_id)


class Chat:
    """One bot's chats with its owner and whoever else writes to it."""

    def __init__(
        self,
        token: str,
        owner: ChatUser,
        now: Callable[[], datetime],
        path: Path | None,
        name: str,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self.bot_id = int(token.split(":", 1)[0])
        self.bot = bot_json(self.bot_id, name)
        self.owner = owner
        self.now = now
        # A demo's clock may run a day in a second; patience and flood limits belong to the real one.
        self.wall = wall
        self.room = Room()
        self.listeners: list[Listener] = []
        self._journal = Journal(path)
        self._folder: Path | None = None
        self._temporary = path is None

    def open(self) -> None:
        """Read the log back and tidy it. Raises ValueError with the fix for a damaged or shared log."""
        for event in self._journal.open():
            self.room.apply(event)
        self._journal.rewrite(self.room.snapshot())
        self._folder = self._journal.folder or Path(tempfile.mkdtemp(prefix="firstmate-chat-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget_files()
        for orphan in set(self._folder.iterdir()) - {file.path for file in self.room.files.values()}:
            orphan.unlink()

    def _forget_files(self) -> None:
        """Remove what no kept message shows any more."""
        for file_id in self.room.files.keys() - self.room.used_files():
            self.room.files.pop(file_id).path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the log; files of a chat without a log are removed."""
        self._journal.close()
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def record(self, event: Event) -> None:
        """Log, apply and tell one event."""
        self._journal.append(event)
        self.room.apply(event)
        # not between a file and its message, or the file would count as unused
        if self._journal.lines > LINES_MAX and not isinstance(event, events.FileKept):
            self._journal.rewrite(self.room.snapshot())
            self._forget_files()
        self.tell(event)

    def tell(self, event: Event | Acting) -> None:
        """Tell every listener, without logging."""
        for listener in tuple(self.listeners):
            listener(event)

    def person(self, chat_id: int) -> ChatUser | None:
        """The other side of a private chat, None for a chat the bot does not know."""
        return self.owner if chat_id == self.owner.id else self.room.people.get(chat_id)

    def shown(self, message: ChatMessage) -> dict[str, Any]:
        """The Message object the bot gets."""
        person = self.person(message.chat_id) or self.owner
        return message_json(message, person, self.bot, self.room.messages.get(message.reply_to))

    def next_message_id(self) -> int:
        """A message number never given out before."""
        return self.room.counted.message_id + 1

    def keep_file(self, kind: str, name: str, mime: str, data: bytes, size: tuple[int, int] = (0, 0)) -> StoredFile:
        """Store an upload (at most 50 MB, on a local disk) and give it its id."""
        assert self._folder is not None, "the chat is not open"
        number = self.room.counted.file_no + 1
        path = self._folder / f"file_{number}{Path(name).suffix.lower()[:8]}"
        path.write_bytes(data)
        file = StoredFile(f"{kind}-{self.bot_id}-{number}", kind, name, mime, len(data), path, *size)
        self.record(events.FileKept(file))
        return file

    def deliver(self, kind: str, payload: dict[str, Any]) -> int:
        """Queue an update of ``kind`` for the bot if it takes that kind; the update's id either way."""
        update_id = self.room.counted.update_id + 1
        wanted = self.room.kinds or USUAL_KINDS
        if kind in wanted:
            self.record(events.Queued(update_id, kind, payload, self.now()))
        else:
            self.record(events.Counted(0, update_id, 0))
        return update_id

    def say(self, text: str, user: ChatUser | None = None) -> int:
        """A person writes ``text`` (1 to 4096 UTF-16 units); the update's id."""
        person = user or self.owner
        plain, entities = compose(text, None, None, TEXT_MAX)
        if not plain:
            raise ValueError("a message needs a text")
        message = ChatMessage(self.next_message_id(), person.id, False, plain, entities, self.now(), user=person)
        self.record(events.Posted(message))
        return self.deliver("message", self.shown(message))

    def press(self, message_id: int, data: str, user: ChatUser | None = None) -> int:
        """A person presses a button of a message that still stands; the update's id."""
        message = self.room.messages.get(message_id)
        if message is None:
            raise ValueError(f"there is no message {message_id} to press a button of")
        query = query_id(self.room.counted.update_id + 1)
        person = user or self.owner
        self.record(events.PressOpened(query, self.wall()))
        return self.deliver(
            "callback_query",
            {
                "id": query,
                "from": user_json(person),
                "message": self.shown(message),
                "chat_instance": str(person.id),
                "data": data,
            },
        )

    def answer(self, answer: CallbackAnswer) -> bool:
        """Show the bot's answer to a press; False if that press is unknown, answered or over 15 minutes old."""
        opened = self.room.presses.get(answer.query_id)
        if opened is None or self.wall() - opened > PRESS_TTL:
            return False
        self.record(events.Answered(answer))
        return True
