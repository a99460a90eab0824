"""An analyst's process that misbehaves in one way: ``python odd_analyst.py WAY CHAMPION_DIR [CHALLENGER_DIR]``.

WAY changes after the first start where it is ``A>B``: then the first life is A and later ones are B, counted by a file
beside the champion.
"""

from __future__ import annotations

import math
import os
import struct
import sys
import time
from pathlib import Path

import msgspec

WIDTH = 2


def send(frame: dict[str, object]) -> None:
    """One frame on stdout."""
    body = msgspec.msgpack.encode(frame)
    put(struct.pack("<I", len(body)) + body)


def put(data: bytes) -> None:
    """Bytes on stdout."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def asked() -> dict[str, int]:
    """The next question; the process ends where there is none."""
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        sys.exit(0)
    found: dict[str, int] = msgspec.msgpack.decode(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
    return found


def life(way: str, folder: Path) -> str:
    """Which way this life takes."""
    first, _, later = way.partition(">")
    seen = folder.parent / "lives"
    lives = int(seen.read_text()) if seen.exists() else 0
    seen.write_text(str(lives + 1))
    return later if lives and later else first


def main() -> None:
    """Live one life."""
    folder = Path(sys.argv[2])
    way = life(sys.argv[1], folder)
    (folder.parent / "pid").write_text(str(os.getpid()))
    if way == "never ready":
        time.sleep(60)
    if way == "dies at once":
        print("cannot find my glasses", file=sys.stderr)
        sys.exit(3)
    if way == "talks":
        print("\n".join(f"line {k} \x1b[31m" for k in range(5000)), file=sys.stderr, flush=True)
    refused = {"model_id": "", "challenger_id": "", "width": WIDTH, "fault": "The model m1 is refused: it is a pear."}
    ready = {"model_id": "m2" if way == "another model" else folder.name, "challenger_id": "", "width": WIDTH}
    send(refused if way == "refuses" else ready)
    while question := asked():
        reply(way, question, {"model_id": folder.name, "p": [0.5] * question["n"], "p_low": [0.4] * question["n"]})


def reply(way: str, question: dict[str, int], answers: dict[str, object]) -> None:
    """What this way makes of an answer."""
    changes: dict[str, dict[str, object]] = {
        "NaN": {"p": [math.nan] * question["n"]},
        "above one": {"p": [1.5] * question["n"]},
        "low above p": {"p_low": [0.6] * question["n"]},
        "low below zero": {"p_low": [-0.1] * question["n"]},
        "one too few": {"p": [0.5] * (question["n"] - 1)},
        "a challenger nobody has": {"challenger_p": [0.5], "challenger_low": [0.5]},
        "explains unasked": {"contributions": [[0.0, 0.0, 0.0]]},
        "other answerer": {"model_id": "m9"},
        "text for numbers": {"p": ["high"]},
    }
    if way == "hangs":
        time.sleep(60)
    if way == "dies":
        os.kill(os.getpid(), 9)
    if way == "garbage":
        put(b"\x05\x00\x00\x00hello, world")
    elif way == "endless":
        put(b"\xff\xff\xff\xff" + b"x" * 100_000)
    elif way == "no text":
        put(b"\x09\x00\x00\x00\x81\xa5fault\xa1\xff")
    elif way == "nested without end":
        put(struct.pack("<I", 200_003) + b"\x81\xa1x" + b"\x91" * 200_000)
    elif way == "half a frame":
        put(b"\x40\x00\x00\x00abc")
        sys.exit(0)
    else:
        number = question["number"] + (way == "old number")
        send({"number": number, "answers": answers | changes.get(way, {}), "fault": ""})
    if way == "babbles":
        put(b"and another thing " * 300_000)


if __name__ == "__main__":
    main()
