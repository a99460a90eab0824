"""Pictures drawn in a process of their own, so that the resident one never holds a drawing library.

Rule 1: one worker at a time, started for one picture and gone afterwards; it inherits no secret.
Rule 2: a picture that fails, hangs or has to queue too long raises PictureFailed: the caller then sends its text alone.
Rule 3: whatever ends the wait also ends the worker.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import bot
from bot.views import chartspec, modelspec
from bot.views.chartspec import ChartSpec
from bot.views.modelspec import ModelSpec
from core.adapters.redaction import short
from core.domain.errors import FirstmateError

_PNG = b"\x89PNG\r\n\x1a\n"
_ROOT = str(Path(bot.__file__).resolve().parents[1])
# -P keeps the folder it happens to stand in off the worker's path
_PYTHON = (sys.executable, "-P", "-m")
_CHART, _MODEL = (*_PYTHON, "bot.views.chart"), (*_PYTHON, "bot.views.modelchart")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZDIR", "PYTHONTZPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class PictureFailed(FirstmateError):
    """There is no picture; the message goes out as text."""


class Pictures:
    """Draws charts, one at a time, at most ``waiting_max`` (count) more waiting; by ``worker`` where one is given."""

    def __init__(self, waiting_max: int = 8, worker: Sequence[str] = ()) -> None:
        self._worker = tuple(worker)
        self._waiting_max = waiting_max
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def draw(self, spec: ChartSpec | ModelSpec, timeout_s: float = 10.0) -> bytes:
        """PNG of ``spec``, within ``timeout_s`` seconds, waiting included.

        Raises PictureFailed when it cannot be had in that time or at all.
        """
        if self._waiting > self._waiting_max:
            raise PictureFailed(f"No picture: {self._waiting} others are waiting to be drawn")
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s), self._turn:
                return await self._run(*self._work(spec))
        except TimeoutError:
            raise PictureFailed(f"No picture: it was not ready after {timeout_s:g} s") from None
        except OSError as error:
            raise PictureFailed(f"No picture: the drawing process did not start ({error.strerror})") from None
        finally:
            self._waiting -= 1

    def _work(self, spec: ChartSpec | ModelSpec) -> tuple[Sequence[str], bytes]:
        """Who draws it, and what it is given."""
        if isinstance(spec, ModelSpec):
            return self._worker or _MODEL, modelspec.to_json(spec)
        return self._worker or _CHART, chartspec.to_json(spec)

    async def _run(self, worker: Sequence[str], body: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *worker, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment(), start_new_session=True
        )
        try:
            picture, words = await process.communicate(body)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode or not picture.startswith(_PNG):
            last = words.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {process.returncode}"]
            raise PictureFailed(f"No picture: {short(last[0])}")
        return picture


def _environment() -> dict[str, str]:
    """What the worker needs to find Python and us, and nothing that could hold a token."""
    return {"PYTHONPATH": _ROOT, **{name: os.environ[name] for name in _KEPT if name in os.environ}}
