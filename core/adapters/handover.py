"""What waits for a yes at the terminal, handed from the running assistant to ``firstmate confirm`` and back: two files.

Rule 1: an answer is for the request it names, and for no other; requests have names nobody can guess.
Rule 2: what is done follows from the assistant's own memory; the files only carry the question and the answer.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from core.adapters import jsonfile

REQUEST_FILE = "confirm.request"
ANSWER_FILE = "confirm.answer"


class Request(msgspec.Struct, frozen=True):
    """What waits, in words, and until when."""

    ref: str
    what: str
    until: datetime


class Answer(msgspec.Struct, frozen=True):
    """What was said about a request."""

    ref: str
    yes: bool


def ask(home: Path, request: Request) -> None:
    """Put a request where the terminal finds it; an older one is gone by that."""
    (home / ANSWER_FILE).unlink(missing_ok=True)
    jsonfile.write(home / REQUEST_FILE, request)


def asked(home: Path) -> Request | None:
    """What waits."""
    return jsonfile.read(home / REQUEST_FILE, Request)


def say(home: Path, answer: Answer) -> None:
    """Answer a request."""
    jsonfile.write(home / ANSWER_FILE, answer)


def said(home: Path) -> Answer | None:
    """The answer, once there is one."""
    return jsonfile.read(home / ANSWER_FILE, Answer)


def forget(home: Path) -> None:
    """Nothing waits any more."""
    (home / REQUEST_FILE).unlink(missing_ok=True)
    (home / ANSWER_FILE).unlink(missing_ok=True)
