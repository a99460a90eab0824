"""Forecasts from a process that lives only as long as it is needed, so that ours holds no LightGBM and no numpy.

Rule 1: one batch at a time; each wait has an end; whatever goes wrong is NoForecast with a sentence, no old number.
Rule 2: a process that was slow, died, or said what cannot be true is ended, and the next batch starts another one;
        after repeated failures that is tried less and less often.
Rule 3: where bars are short it is kept between batches, else it ends with the batch.
Rule 4: a process that failed with a challenger in it starts again without: what is only tried takes no forecast away
        from what works, but the one it was caught by. It is tried again, after longer and longer pauses, for a busy
        machine may have been the fault, and a trial that stopped unseen would never end.
Rule 5: a batch that is cancelled takes its process along: an answer nobody waited for could be taken for the next.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path

import structlog

from core.adapters.analyst_process import WORKER, AnalystProcess, Nonsense
from core.adapters.redaction import printable, short
from core.domain.errors import BadData
from core.domain.frames import ROWS_MAX, Answers, Question, Ready
from core.lab_ports import NoForecast

WARM_SPAN = timedelta(minutes=15)
START_S = 20.0
ANSWER_S = 5.0
FREE_FAILURES = 2
PAUSE_S, PAUSE_MAX_S = 5.0, 600.0
LEFT_OUT_S, LEFT_OUT_MAX_S = 6 * 3600.0, 7 * 86_400.0
NOBODY = "No forecast: there is no champion."
log = structlog.get_logger()


class Unfit(NoForecast):
    """What was asked makes no sense; whoever was asked is well."""


class ProcessForecaster:
    """Implements Forecaster for bars of ``span``; seconds bound the start of a process and each of its answers."""

    def __init__(
        self,
        span: timedelta,
        warm_span: timedelta = WARM_SPAN,
        start_s: float = START_S,
        answer_s: float = ANSWER_S,
        worker: Sequence[str] = WORKER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep = span <= warm_span
        self._start_s = start_s
        self._answer_s = answer_s
        self._worker = tuple(worker)
        self._clock = clock
        self._named: tuple[Path, ...] = ()
        self._folders: tuple[Path, ...] = ()
        self._process: AnalystProcess | None = None
        self._turn = asyncio.Lock()
        self._number = 0
        self._failures = 0
        self._not_before = -math.inf
        self._caught = 0
        self._left_out_until = -math.inf

    async def use(self, champion: Path | None, challenger: Path | None = None) -> None:
        """From the next batch on ask the models in these folders; what failed before is forgotten."""
        folders = tuple(folder for folder in (champion, challenger) if champion and folder)
        async with self._turn:
            if folders != self._named:
                self._named = self._folders = folders
                self._failures, self._caught, self._not_before = 0, 0, -math.inf
                await self._end()

    async def forecast(self, rows: Sequence[Sequence[float]], explain_above: float = 1.0) -> Answers:
        """What the models say of ``rows``. Raises NoForecast within start_s + answer_s of its turn."""
        async with self._turn:
            kept = False
            try:
                answers = await self._asked(rows, explain_above)
                kept = self._keep
            except Unfit:
                kept = self._keep
                raise
            finally:
                if not kept:
                    await self._end()
            return answers

    async def close(self) -> None:
        """End the process, if there is one, after the batch it works on."""
        async with self._turn:
            await self._end()

    async def _asked(self, rows: Sequence[Sequence[float]], explain_above: float) -> Answers:
        if not self._folders:
            raise NoForecast(NOBODY)
        if not 0 < len(rows) <= ROWS_MAX:
            raise Unfit(f"No forecast: a batch has 1 to {ROWS_MAX} rows, not {len(rows)}.")
        self._require_patience()
        await self._complete()
        try:
            answers = await self._answered(rows, explain_above)
        except (Nonsense, OSError) as fault:
            raise self._failed(fault) from fault
        self._failures = 0
        return answers

    async def _answered(self, rows: Sequence[Sequence[float]], explain_above: float) -> Answers:
        process = await self._running()
        ready = process.ready
        body = _bytes(rows, ready.width)
        self._number += 1
        async with _within(self._answer_s, "answer"):
            reply = await process.ask(Question(self._number, len(rows), body, explain_above))
        if reply.number != self._number:
            raise Nonsense("it answered another question")
        if reply.answers is None:
            raise Unfit(f"No forecast: {_said(reply.fault)}.")
        _require_sense(reply.answers, ready, len(rows), explain_above)
        return reply.answers

    async def _running(self) -> AnalystProcess:
        """The process that is there, or a new one."""
        if self._process and not self._process.alive:
            await self._end()
        if self._process is None:
            async with _within(self._start_s, "start"):
                self._process = await AnalystProcess.start(self._worker, self._folders)
            self._require_ours(self._process.ready)
        return self._process

    def _require_ours(self, ready: Ready) -> None:
        wanted = [folder.name for folder in self._folders]
        if not ready.model_id:
            raise Nonsense(ready.fault or "it has no model")
        if ready.fault:
            log.warning("the challenger does not forecast", why=_said(ready.fault))
        served = [ready.model_id, ready.challenger_id] if ready.challenger_id else [ready.model_id]
        if served != wanted[: len(served)]:
            raise Nonsense("it serves another model than was asked for")

    def _require_patience(self) -> None:
        left = self._not_before - self._clock()
        if left > 0:
            failed = f"the analyst failed {self._failures} times in a row"
            raise NoForecast(f"No forecast: {failed}; it is tried again in {math.ceil(left)} s.")

    async def _complete(self) -> None:
        """Let a challenger in again that was left out for long enough."""
        if self._folders != self._named and self._clock() >= self._left_out_until:
            self._folders = self._named
            await self._end()

    def _failed(self, fault: Exception) -> NoForecast:
        self._failures += 1
        self._not_before = self._clock() + pause_s(self._failures)
        why = _why(fault)
        log.warning("no forecast", why=why, failures=self._failures)
        if len(self._folders) > 1:
            pause = min(LEFT_OUT_S * 2.0 ** min(self._caught, 64), LEFT_OUT_MAX_S)
            log.warning("the challenger is left out", challenger=self._folders[1].name, hours=pause / 3600)
            self._caught, self._left_out_until = self._caught + 1, self._clock() + pause
            self._folders = self._folders[:1]
        return NoForecast(f"No forecast: {why}.")

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            await process.end()


async def prove(folder: Path, start_s: float = START_S, worker: Sequence[str] = WORKER) -> None:
    """Pass when a process can serve the model in ``folder``: to be asked before a pointer names it. Raises BadData."""
    try:
        async with _within(start_s, "start"):
            process = await AnalystProcess.start(worker, (folder,))
    except (Nonsense, OSError) as fault:
        raise BadData(f"The model {folder.name} cannot be served: {_why(fault)}.") from fault
    await process.end()
    if process.ready.model_id != folder.name:
        raise BadData(f"{_said(process.ready.fault)}.")


def pause_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: none at first, then twice as long each time, to a limit."""
    doublings = failures - FREE_FAILURES - 1
    return min(PAUSE_S * 2.0 ** min(doublings, 64), PAUSE_MAX_S) if doublings >= 0 else 0.0


@asynccontextmanager
async def _within(seconds: float, what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Nonsense(f"the analyst did not {what} within {seconds:g} s") from None


def _bytes(rows: Sequence[Sequence[float]], width: int) -> bytes:
    """The rows as Question wants them. Raises Unfit where one has another width."""
    if any(len(row) != width for row in rows):
        raise Unfit(f"No forecast: the champion reads {width} features a row, and was given another number.")
    floats = array("d", chain.from_iterable(rows))
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


def _require_sense(answers: Answers, ready: Ready, rows: int, explain_above: float) -> None:
    """Pass when every number is one a forecast may have, and there are as many as were asked. Raises Nonsense."""
    if (answers.model_id, answers.challenger_id) != (ready.model_id, ready.challenger_id):
        raise Nonsense("another model answered")
    expected = rows if ready.challenger_id else 0
    pairs = ((answers.p, answers.p_low, rows), (answers.challenger_p, answers.challenger_low, expected))
    for p, p_low, count in pairs:
        if len(p) != count or len(p_low) != count:
            raise Nonsense("it answered another number of rows")
        # NaN fails the comparison too
        if not all(0.0 <= low <= high <= 1.0 for low, high in zip(p_low, p, strict=True)):
            raise Nonsense("it answered with what is no probability")
    why = answers.contributions
    if len(why) != sum(low > explain_above for low in answers.p_low) or any(len(one) != ready.width + 1 for one in why):
        raise Nonsense("it explained something else")
    if not all(map(math.isfinite, chain.from_iterable(why))):
        raise Nonsense("it explained by what is no number")


def _why(fault: Exception) -> str:
    return _said(fault.strerror if isinstance(fault, OSError) and fault.strerror else fault)


def _said(fault: object) -> str:
    return printable(short(" ".join(str(fault).split()))).rstrip(".")
