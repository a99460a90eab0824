"""What models say of each bar, written down and settled later.

Rule 1: hearing costs no await and bounded memory: what is heard waits for the next writing, at most WAITING_MAX bets.
        A challenger is asked of all that the champion learned; what it never learned itself is not heard of it.
Rule 2: a bet is settled by the functions of the rule's own bets: entered at the next open, pessimistic inside a bar.
Rule 3: it is settled once its whole horizon is stored, even where it ended early: of the newest bets only the quick
        ones would be known, and the quick ones are mostly losses.
Rule 4: settling streams stored bars from the first bet that waits, a page of bets at a time, and lets others in.
"""

from __future__ import annotations

import asyncio
import struct
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from core.domain.forecast import Forecast
from core.domain.frames import Answers
from core.domain.market import from_ms, to_ms
from core.domain.model import Model
from core.lab_ports import Bet, Ended, LabRecords, Said, Spoken
from core.learn import outcomes
from core.ports import BarStore

if TYPE_CHECKING:
    from core.run.analysts import Batch

CHAMPION, CHALLENGER = "champion", "challenger"
WAITING_MAX = 10_000
PAGE = 1_000
PAGE_BARS = 4_000
OTHERS_EVERY = 40
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tape:
    """Some bars, oldest first: open times (ms), and open, high, low, close."""

    times: array[int]
    prices: tuple[array[float], ...]


class Shadow:
    """Hears batches, keeps them in ``records``, and settles them by the ``bars`` that came."""

    def __init__(self, records: LabRecords, bars: BarStore, span: timedelta) -> None:
        self._records = records
        self._bars = bars
        self._span_ms = span // timedelta(milliseconds=1)
        self._waiting: deque[Spoken] = deque(maxlen=WAITING_MAX)
        self._lost = 0

    def heard(self, batch: Batch, challenger: Model | None) -> None:
        """Take note of what the models said of one bar close; ``challenger`` is whoever holds that place now."""
        answers = batch.heard.answers
        if answers is None:
            return
        learned = challenger.manifest.symbols if challenger and challenger.id == answers.challenger_id else ()
        for k, (symbol, row) in enumerate(batch.rows.items()):
            forecast = batch.forecasts.get(symbol)
            if forecast is not None:
                self._lost += len(self._waiting) == WAITING_MAX
                packed = struct.pack(f"<{len(row)}d", *row)
                said = tuple(_said(answers, k, symbol in learned))
                self._waiting.append(Spoken(self._bet(forecast), said, packed))

    def _bet(self, of: Forecast) -> Bet:
        return Bet(of.symbol, self._span_ms, to_ms(of.bar_open_at), of.win_move, of.loss_move, of.horizon_bars)

    async def write(self) -> None:
        """Keep what was heard since the last time; what cannot be kept now is tried again."""
        if self._lost:
            log.warning("forecasts came faster than they could be kept", lost=self._lost)
            self._lost = 0
        while self._waiting:
            some = list(self._waiting)[:PAGE]
            await self._records.keep(some)
            for one in some:  # what came meanwhile may have pushed some of these out
                if self._waiting and self._waiting[0] is one:
                    self._waiting.popleft()

    async def settle(self) -> int:
        """Judge every bet whose time is over; how many."""
        settled = 0
        for symbol, span_ms, first_ms in await self._records.waiting():
            after = first_ms - 1
            while page := _page(await self._records.unsettled(symbol, span_ms, after, PAGE)):
                ends = await self._ended(page)
                await self._records.settle(ends)
                settled += len(ends)
                after = page[-1].open_ms
                if len(ends) < len(page):
                    break
        return settled

    async def _ended(self, bets: Sequence[Bet]) -> list[Ended]:
        """What became of these bets of one symbol, oldest first, as far as their time is over."""
        tape = await self._tape(bets)
        ends = []
        for k, bet in enumerate(bets):
            end = ended(bet, tape)
            if end is None:
                break
            ends.append(end)
            if k % OTHERS_EVERY == OTHERS_EVERY - 1:
                await asyncio.sleep(0)
        return ends

    async def _tape(self, bets: Sequence[Bet]) -> Tape:
        """The stored bars behind the first of these bets, up to the horizon of the last."""
        first, last = bets[0], bets[-1]
        times, prices = array("q"), tuple(array("d") for _ in range(4))
        since = from_ms(first.open_ms + 1)
        span = timedelta(milliseconds=first.span_ms)
        async for columns in self._bars.stream_columns(first.symbol, span, since):
            times.extend(columns.open_ms)
            for kept, new in zip(prices, columns.floats, strict=False):
                kept.extend(new)
            await asyncio.sleep(0)
            if len(times) - bisect_right(times, last.open_ms) >= last.horizon:
                break
        return Tape(times, prices)


def _said(answers: Answers, k: int, by_both: bool) -> Iterator[Said]:
    yield Said(answers.model_id, CHAMPION, answers.p[k], answers.p_low[k])
    if by_both and answers.challenger_p:
        yield Said(answers.challenger_id, CHALLENGER, answers.challenger_p[k], answers.challenger_low[k])


def _page(bets: Sequence[Bet]) -> Sequence[Bet]:
    """As many of the bets as lie close enough together for their bars to be held at once."""
    if not bets:
        return bets
    until = bets[0].open_ms + PAGE_BARS * bets[0].span_ms
    return [bet for bet in bets if bet.open_ms <= until]


def ended(bet: Bet, tape: Tape) -> Ended | None:
    """What became of one bet on these bars; None while its horizon is not over."""
    times, (open_, high, low, close) = tape.times, tape.prices
    first = bisect_right(times, bet.open_ms)
    if first + bet.horizon > len(times):
        return None
    state = [0.0] * outcomes.BET_SIZE
    outcomes.open_bet(state, 0, bet.win, bet.loss, bet.horizon)
    k = first
    while not state[outcomes.COUNT]:
        outcomes.settle(state, 0, open_[k], high[k], low[k], close[k])
        k += 1
    return Ended(bet, times[k - 1], max(0.0, state[outcomes.WON]))
