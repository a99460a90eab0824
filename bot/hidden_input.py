"""Secrets typed or pasted unseen at the terminal, or read from a file descriptor that was handed over.

Rule 1: a secret never comes from an argument or the environment, where other programs could read it.
Rule 2: what is read is concealed from the logs before anything else is done with it.
Rule 3: a key in PEM is read from its first line to its last; the terminal stays silent for all of it. (Python's getpass
        throws away whatever was pasted after the first line.)
Rule 4: not a byte is read beyond the line asked for: what follows belongs to the next question.
"""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from core.adapters.redaction import SHORTEST_SECRET
from core.adapters.vault import concealed
from core.domain.errors import BadData, NeedsOwner
from core.setting_kinds import Secret

BYTES_MAX = 1 << 14


def ask(what: str, descriptor: int | None, option: str) -> Secret:
    """What is typed when asked for ``what``, or the next of ``descriptor``, which ``option`` gives.

    Raises NeedsOwner where there is neither, BadData where nothing usable came.
    """
    text = _from_terminal(what, option) if descriptor is None else _from_descriptor(what, descriptor)
    if len(text) < SHORTEST_SECRET:
        raise BadData(f"{what}: nothing that could be one was given.")
    return concealed(Secret(text))


def ask_twice(what: str, descriptor: int | None, option: str) -> Secret:
    """As ``ask``; at a terminal it is typed a second time, for nobody can see what was typed."""
    first = ask(what, descriptor, option)
    if descriptor is None and ask(f"{what}, once more", descriptor, option) != first:
        raise BadData("The two differ: nothing was changed, try again.")
    return first


def _from_terminal(what: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise NeedsOwner(f"{what}: there is no terminal to type it; give it by {option} N, a file descriptor.")
    return _typed(what, sys.stdin.fileno())


def _from_descriptor(what: str, descriptor: int) -> str:
    """What comes from there; a descriptor that is a terminal would show what is typed."""
    return _typed(what, descriptor) if os.isatty(descriptor) else _read(descriptor)


def _typed(what: str, handle: int) -> str:
    with _unseen(handle):
        print(f"{what} (not shown): ", end="", file=sys.stderr, flush=True)
        text = _read(handle)
    print(file=sys.stderr)
    return text


def _read(handle: int) -> str:
    """One line, or all lines of a key in PEM, without the last line break."""
    lines = [_line(handle)]
    while lines[0].startswith("-----BEGIN") and not lines[-1].startswith("-----END"):
        lines.append(_line(handle))
        if sum(map(len, lines)) > BYTES_MAX:
            raise BadData("That key does not end: paste it from its BEGIN line to its END line.")
    return "\n".join(lines)


def _line(handle: int) -> str:
    """The next line. Raises NeedsOwner at the end of the input, BadData for what is no text."""
    read = bytearray()
    try:
        while not read.endswith(b"\n") and (byte := os.read(handle, 1)):
            read += byte
            if len(read) > BYTES_MAX:
                raise BadData("What was given is too long for any key.")
    except OSError as error:
        raise NeedsOwner(f"File descriptor {handle} cannot be read: {error.strerror}.") from None
    if not read:
        raise NeedsOwner(f"File descriptor {handle} holds no more lines: one for each thing asked for.")
    try:
        return read.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise BadData("What was given is no text.") from None


@contextmanager
def _unseen(handle: int) -> Iterator[None]:
    """The terminal does not show what is typed within the block."""
    before = termios.tcgetattr(handle)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(handle, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
