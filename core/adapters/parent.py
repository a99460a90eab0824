"""Ending with whoever began us: a process that a killed parent left behind would work on alone.

Rule 1: the parent holds the other end of our standard input and writes nothing to it; its end is the end of the pipe.
Rule 2: this is imported where memory is short, so it imports nothing of ours.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

FOLLOWS = "ENDS_WITH_PARENT"


def end_with_parent() -> None:
    """Be interrupted, as by Ctrl-C, once whoever began this process is gone, where the variable FOLLOWS asks for it."""
    if os.environ.get(FOLLOWS):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may have been told to hear none
        threading.Thread(target=_until_alone, name="parent", daemon=True).start()


def _until_alone() -> None:
    with suppress(OSError):
        while os.read(0, 1 << 10):
            pass
    os.kill(os.getpid(), signal.SIGINT)
