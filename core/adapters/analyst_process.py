"""One life of the analyst's process: started, asked, ended.

Rule 1: it inherits no secret: of our environment only what Python needs to run.
Rule 2: whatever comes from it is judged as if a stranger had sent it; what cannot be read is Nonsense.
Rule 3: ``end`` leaves no process and no task behind, also where whoever awaits it is cancelled.
Rule 4: what it prints goes to the log, LINES_MAX lines of it, and cannot fill it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

import core
from core.adapters.redaction import printable, short
from core.domain import frames
from core.domain.errors import BadData
from core.domain.frames import Question, Ready, Reply

# -P keeps the folder it happens to stand in off the worker's path
WORKER = (sys.executable, "-P", "-m", "core.learn.worker")
LINES_MAX = 20
END_S = 10.0
_ROOT = str(Path(core.__file__).resolve().parents[1])
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")
T = TypeVar("T")
log = structlog.get_logger()


class Nonsense(BadData):
    """The process ended, or said what cannot be read: nothing it says from now on can be told apart."""


class AnalystProcess:
    """A running process; ``start`` makes one."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._listening = asyncio.create_task(self._listen(), name="analyst's stderr")
        self.ready = Ready("", "", 0)

    @classmethod
    async def start(cls, worker: Sequence[str], folders: Sequence[Path]) -> AnalystProcess:
        """A process that said what it serves. Raises Nonsense, OSError."""
        process = await asyncio.create_subprocess_exec(
            *worker,
            *map(str, folders),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=python_environment(),
            start_new_session=True,
        )
        started = cls(process)
        try:
            started.ready = await started._heard(Ready)
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as that is known yet."""
        return self._process.returncode is None

    async def ask(self, question: Question) -> Reply:
        """Its reply to the question. Raises Nonsense."""
        body = msgspec.msgpack.encode(question)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(frames.head(body) + body)
            await self._process.stdin.drain()
        except OSError as error:
            raise Nonsense("the process ended") from error
        return await self._heard(Reply)

    async def end(self) -> None:
        """Rule 3."""
        with suppress(ProcessLookupError):
            self._process.kill()
        ending = asyncio.ensure_future(self._ended())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _ended(self) -> None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(END_S):
                while await self._process.stdout.read(1 << 16):
                    pass  # what nobody reads any more would keep the wait from ending
                await self._process.wait()
                await self._listening
        except TimeoutError:
            log.error("the analyst's process was killed and does not end", pid=self._process.pid)

    async def _heard(self, kind: type[T]) -> T:
        assert self._process.stdout is not None
        try:
            size = frames.length(await self._process.stdout.readexactly(frames.HEAD.size))
            return msgspec.msgpack.decode(await self._process.stdout.readexactly(size), type=kind)
        except asyncio.IncompleteReadError as error:
            raise Nonsense("the process ended") from error
        except (BadData, ValueError, RecursionError) as error:
            raise Nonsense(f"what it said cannot be read ({short(error)})") from error

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        heard = 0
        while piece := await self._process.stderr.read(1 << 12):
            for line in piece.decode(errors="replace").splitlines()[: LINES_MAX - heard]:
                heard += 1
                log.warning("the analyst's process says", line=printable(short(line)))


def python_environment() -> dict[str, str]:
    """What a process of ours needs to find Python and us, one thread a library, and nothing that could hold a token."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {"PYTHONPATH": _ROOT, **threads, **{name: os.environ[name] for name in _KEPT if name in os.environ}}
