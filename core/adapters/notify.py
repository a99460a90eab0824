"""What systemd wants to hear (sd_notify): datagrams to the socket named in NOTIFY_SOCKET, nothing where there is none.

Rule 1: talking to systemd never stops the assistant: a socket that is gone or full is a False, not an exception.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send these lines (READY, WATCHDOG, STOPPING, ``status("…")``) at once; True when systemd took them."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            channel.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
    return True


def status(text: str) -> str:
    """The line that shows ``text`` in `systemctl status`."""
    return "STATUS=" + " ".join(text.split())


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two WATCHDOG lines (half of what systemd allows), or None where nobody watches this process."""
    allowed = environ.get("WATCHDOG_USEC", "")
    watched = environ.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdigit() or int(allowed) == 0 or watched != str(os.getpid()):
        return None
    return int(allowed) / 2_000_000
