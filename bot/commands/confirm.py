"""`firstmate confirm`: what waits for a yes at the terminal is shown, and answered by hand.

Rule 1: the yes is for what was shown; if something else was asked for meanwhile, it counts for nothing.
Rule 2: nothing happens here: the assistant that asked does it, and says in the chat what came of it.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

from core.adapters import handover, statelock
from core.adapters.redaction import printable
from core.domain.errors import FirstmateError, NeedsOwner
from core.settings import Settings

TAKEN_WITHIN_S = 5.0
LOOK_EVERY_S = 0.1


def main(args: Namespace, settings: Settings) -> int:
    """Ask and hand over; 0 once the assistant took the answer. Raises FirstmateError with the fix."""
    home = settings.home
    if statelock.holder(home) is None:
        raise NeedsOwner(f"No assistant runs on {home}, so nothing waits: start it, then send the command in the chat.")
    request = handover.asked(home)
    if request is None or request.until <= datetime.now(UTC):
        raise FirstmateError("Nothing waits to be confirmed: send the command in the chat, then run this.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NeedsOwner("This is confirmed by hand: run `./run confirm` in a terminal.")
    print(f"The chat asks: {printable(request.what)}\nIt waits until {request.until:%H:%M:%S} UTC.")
    yes = input("Do it? [y/N] ").strip().lower() in ("y", "yes")
    handover.say(home, handover.Answer(request.ref, yes))
    if not _taken(home, request):
        raise FirstmateError("The assistant did not take the answer: it has stopped, or something else waits by now.")
    print("Confirmed: the chat says what came of it." if yes else "Refused. Nothing was changed.")
    return 0


def _taken(home: Path, request: handover.Request) -> bool:
    """Whether the assistant took the answer within TAKEN_WITHIN_S."""
    until = time.monotonic() + TAKEN_WITHIN_S
    while time.monotonic() < until:
        if handover.said(home) is None:
            return True
        time.sleep(LOOK_EVERY_S)
    return False
