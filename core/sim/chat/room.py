"""The chat's state and the only events that change it.

Rule 1: state is what the events say and nothing else, so replaying the log after a kill gives the same room.
Rule 2: message, update and file numbers only ever grow.
Rule 3: bounded: the newest 1,000 messages, 1,000 waiting updates and 1,000 open button presses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.sim.chat.values import BotCommand, CallbackAnswer, ChatMessage, ChatUser, StoredFile

KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Posted:
    """A new message stands in a chat."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Edited:
    """A message now reads differently."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message is gone."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Queued:
    """An update waits for the bot; ``kind`` is message, callback_query, ..."""

    update_id: int
    kind: str
    payload: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Acked:
    """The bot has taken every update below ``below``."""

    below: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A pressed button was answered."""

    answer: CallbackAnswer


@dataclass(frozen=True, slots=True)
class CommandsSet:
    """The command menu of one scope and language was replaced."""

    scope: str
    commands: tuple[BotCommand, ...]


@dataclass(frozen=True, slots=True)
class KindsWanted:
    """The bot named the kinds of updates it takes; empty means the usual ones."""

    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileKept:
    """A file was stored under its id."""

    file: StoredFile


@dataclass(frozen=True, slots=True)
class Counted:
    """The highest numbers given out so far."""

    message_id: int
    update_id: int
    file_no: int


@dataclass(frozen=True, slots=True)
class PressOpened:
    """A button press that may still be answered."""

    query_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Acting:
    """The bot shows itself busy (typing, upload_photo, ...); never logged."""

    chat_id: int
    action: str


Event = (
    Posted | Edited | Deleted | Queued | Acked | Answered | CommandsSet | KindsWanted | FileKept | Counted | PressOpened
)


@dataclass(slots=True)
class Room:
    """Everything the server remembers; ``apply`` is the only writer."""

    messages: dict[int, ChatMessage] = field(default_factory=dict)
    pending: dict[int, Queued] = field(default_factory=dict)
    presses: dict[str, datetime] = field(default_factory=dict)
    answers: dict[str, CallbackAnswer] = field(default_factory=dict)
    commands: dict[str, tuple[BotCommand, ...]] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    people: dict[int, ChatUser] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    counted: Counted = Counted(0, 0, 0)

    def apply(self, event: Event) -> None:
        """Change the state as ``event`` says."""
        match event:
            case Posted(message) | Edited(message):
                self._keep(message)
            case Deleted(message_id):
                self.messages.pop(message_id, None)
            case Queued() | Acked() | KindsWanted():
                self._apply_update(event)
            case PressOpened(query_id, at):
                self.presses[query_id] = at
                _bound(self.presses)
            case Answered(answer):
                self.presses.pop(answer.query_id, None)
                self.answers[answer.query_id] = answer
                _bound(self.answers)
            case CommandsSet(scope, commands):
                self.commands[scope] = commands
            case FileKept() | Counted():
                self._apply_count(event)

    def _keep(self, message: ChatMessage) -> None:
        self.messages[message.id] = message
        if message.user is not None:
            self.people[message.chat_id] = message.user
        self._count(message_id=message.id)
        _bound(self.messages)

    def _apply_update(self, event: Queued | Acked | KindsWanted) -> None:
        match event:
            case Queued(update_id):
                self.pending[update_id] = event
                self._count(update_id=update_id)
                _bound(self.pending)
            case Acked(below):
                for update_id in [known for known in self.pending if known < below]:
                    del self.pending[update_id]
            case KindsWanted(kinds):
                self.kinds = kinds

    def _apply_count(self, event: FileKept | Counted) -> None:
        match event:
            case FileKept(file):
                self.files[file.file_id] = file
                self._count(file_no=int(file.file_id.rsplit("-", 1)[1]))
            case Counted(message_id, update_id, file_no):
                self._count(message_id, update_id, file_no)

    def _count(self, message_id: int = 0, update_id: int = 0, file_no: int = 0) -> None:
        now = self.counted
        self.counted = Counted(
            max(now.message_id, message_id), max(now.update_id, update_id), max(now.file_no, file_no)
        )

    def used_files(self) -> set[str]:
        """Ids of the files that a kept message still shows."""
        return {message.media.file_id for message in self.messages.values() if message.media}

    def snapshot(self) -> Iterator[Event]:
        """The shortest list of events that rebuilds this room (files no message shows are left out)."""
        yield self.counted
        used = self.used_files()
        yield from (FileKept(file) for file in self.files.values() if file.file_id in used)
        yield from (Posted(message) for message in self.messages.values())
        yield from (CommandsSet(scope, commands) for scope, commands in self.commands.items())
        yield KindsWanted(self.kinds)
        yield from (PressOpened(query_id, at) for query_id, at in self.presses.items())
        yield from self.pending.values()


def _bound(kept: dict[Any, Any]) -> None:
    while len(kept) > KEPT_MAX:
        del kept[next(iter(kept))]
