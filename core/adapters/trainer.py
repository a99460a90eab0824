"""`firstmate train` as a process beside the assistant: what the nightly training is.

Rule 1: it inherits no secret: of our environment only what Python needs to run, and what to train on.
Rule 2: whoever stops waiting ends the process with all of its workers before going on.
Rule 3: where we are killed it ends by itself: it holds the other end of a pipe that nobody writes to.
Rule 4: what it prints is not believed but for the id of the model it kept, which the registry has to prove.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from core.adapters.analyst_process import python_environment
from core.adapters.parent import FOLLOWS
from core.adapters.redaction import printable, short
from core.domain.errors import FirstmateError

COMMAND = (sys.executable, "-P", "-m", "bot")
OUTPUT_MAX = 1 << 20
END_S = 10.0
_KEPT = re.compile(rb"Kept as ([0-9a-f]{12}):")


class ProcessTrainer:
    """Implements Trainer; ``settings`` are FIRSTMATE_ variables that say what to train on, and where."""

    def __init__(self, settings: Mapping[str, str], command: Sequence[str] = COMMAND) -> None:
        self._settings = dict(settings)
        self._command = (*command, "train")

    async def train(self) -> str:
        """The id of the model that was trained and kept. Raises FirstmateError with the command's own last line."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**python_environment(), **self._settings, FOLLOWS: "stdin"},
            start_new_session=True,
        )
        try:
            out, err, code = await asyncio.gather(_tail(process.stdout), _tail(process.stderr), process.wait())
        finally:
            await _end(process)
        found = _KEPT.search(out)
        if code or not found:
            raise FirstmateError(_last_line(err) or f"training ended with code {code} and named no model.")
        return found[1].decode()


async def _tail(stream: asyncio.StreamReader | None) -> bytes:
    """The last OUTPUT_MAX bytes that came."""
    assert stream is not None
    kept = b""
    while piece := await stream.read(1 << 16):
        kept = (kept + piece)[-OUTPUT_MAX:]
    return kept


async def _end(process: Process) -> None:
    """Rule 2; its workers are killed by the kernel once it is gone."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    ending = asyncio.ensure_future(_gone(process))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


async def _gone(process: Process) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()


def _last_line(err: bytes) -> str:
    """What the command said last, without its name; its progress bar begins lines anew by carriage returns."""
    lines = [line for line in re.split(r"[\r\n]+", err.decode(errors="replace")) if line.startswith("firstmate: ")]
    return printable(short(lines[-1].removeprefix("firstmate: "))) if lines else ""


def what_to_train(home: Path, mode: str, symbols: Sequence[str], timeframe: str, history_bars: int) -> dict[str, str]:
    """The variables for one training: the bars of ``mode`` in the state folder ``home``, no more than are kept."""
    return {
        "FIRSTMATE_HOME": str(home),
        "FIRSTMATE_MODE": mode,
        "FIRSTMATE_SYMBOLS": ",".join(symbols),
        "FIRSTMATE_TIMEFRAME": timeframe,
        "FIRSTMATE_HISTORY_BARS": str(history_bars),
    }
