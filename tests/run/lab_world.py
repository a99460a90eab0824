"""A lab over a real registry and a real database, with a clock in hand and analysts that only remember who is used."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from core.adapters.lab_records import SqliteLabRecords
from core.adapters.models import Registry
from core.domain.errors import BadData, FirstmateError
from core.domain.events import LabSpoke
from core.domain.forecast import Forecast
from core.domain.frames import Answers
from core.domain.market import from_ms, to_ms
from core.domain.model import Model
from core.domain.state import State
from core.lab_ports import Bet, Ended, Said, Spoken
from core.learn.judge import card
from core.learn.model_files import ours
from core.run.analysts import Batch
from core.run.asking import Heard
from core.run.engine import Engine, restore
from core.run.lab import Lab
from core.run.shadow import CHALLENGER, CHAMPION
from tests.adapters.store_samples import opened
from tests.learn import tiny_models
from tests.learn.judge.judgements import GOOD, MAKING
from tests.run.fakes import HandClock, MemoryBars, MemoryJournal
from tests.run.shell import running

HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000
NOW = tiny_models.MADE_AT + 20 * 24 * HOUR
WIDTH = len(ours().names)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Using:
    """Analysts that remember who was to be used, one entry a change; ``refuses`` names a model they cannot use."""

    def __init__(self) -> None:
        self.used: list[tuple[str, str]] = []
        self.held = 0  # characters of model text
        self.refuses = ""

    async def use(self, champion: Model | None, challenger: Model | None = None) -> None:
        if champion and champion.id == self.refuses:
            raise FirstmateError("it does not answer")
        self.held = sum(len(one.text) for one in (champion, challenger) if one)
        self.used.append((champion.id if champion else "", challenger.id if challenger else ""))


class World:
    """One life of the assistant as far as its lab goes."""

    def __init__(
        self,
        folder: Path,
        db: object,
        journal: MemoryJournal,
        clock: HandClock,
        state: State,
        symbols: Sequence[str] = SYMBOLS,
    ) -> None:
        self.clock = clock
        self.journal = journal
        self.registry = Registry(folder / "models", ours(), clock.now)
        self.records = SqliteLabRecords(db)  # type: ignore[arg-type]
        self.using = Using()
        self.bars = MemoryBars()
        self.engine = Engine(journal, state)
        self.proven: list[Path] = []
        self.unfit = ""  # why a process cannot serve any model
        self.deadly: set[str] = set()  # models that no process can serve
        self.lab = Lab(
            self.engine, self.registry, self.records, self.using, self.bars, clock, HOUR, symbols, self.prove
        )

    async def prove(self, folder: Path) -> None:
        """Whether a process can serve what is in this folder."""
        self.proven.append(folder)
        if self.unfit or folder.name in self.deadly:
            raise BadData(self.unfit or f"The model {folder.name} cannot be served: it ends the process.")

    @property
    def said(self) -> list[str]:
        """What the owner was told, in order."""
        return [event.text for event in self.journal.events() if isinstance(event, LabSpoke)]

    @property
    def trust(self) -> tuple[str, str]:
        """Who forecasts, and with which share."""
        trust = self.engine.state.trust
        return trust.model_id, str(trust.share)

    @property
    def urgent(self) -> bool:
        """Whether the last word was urgent."""
        return [event for event in self.journal.events() if isinstance(event, LabSpoke)][-1].urgent

    def add(self, seed: int = 0, brier: float = 0.24, **manifest: object) -> str:
        """A model in the registry, its card telling this Brier score; its id."""
        said = card.to_json(card.made(MAKING, replace(GOOD, scores=replace(GOOD.scores, brier=brier))))
        fields = {"created_at": NOW - HOUR, "seed": seed, **manifest}
        return self.registry.add(tiny_models.text(seed % 3), tiny_models.manifest(**fields), said)

    async def past(
        self,
        days: float,
        outcome,
        *,
        champion: str = "",
        challenger: str = "",
        p: float = 0.4,
        other_p: float = 0.4,
        factor: float = 1.0,
        lasts: int = 2,
    ) -> None:
        """Settled forecasts of the last ``days``, a bet an hour and symbol, 96 h ago at the latest; ``outcome(k)``."""
        rng = random.Random(5)
        until = to_ms(self.clock.now()) // HOUR_MS - 96
        spoken, ends = [], []
        for hour in range(until - int(days * 24), until):
            for symbol in SYMBOLS:
                bet = Bet(symbol, HOUR_MS, hour * HOUR_MS, 0.06, 0.03, 96)
                said = [Said(champion, CHAMPION, p, p - 0.1)] * bool(champion)
                said += [Said(challenger, CHALLENGER, other_p, 0.0)] * bool(challenger)
                row = packed([factor * rng.uniform(-2, 2) for _ in range(WIDTH)])
                spoken.append(Spoken(bet, tuple(said), row))
                ends.append(Ended(bet, bet.open_ms + lasts * HOUR_MS, outcome(len(ends))))
        await self.records.keep(spoken)
        await self.records.settle(ends)

    async def reign(self, days: float) -> None:
        """The champion has been in its place for so long already."""
        self.clock.at -= days * 24 * HOUR
        await self.lab.wake()
        self.clock.at += days * 24 * HOUR


def packed(row: Sequence[float]) -> bytes:
    import struct

    return struct.pack(f"<{len(row)}d", *row)


def batch(
    hour: int,
    champion: str = "",
    challenger: str = "",
    failure: str = "",
    symbols: Sequence[str] = SYMBOLS,
    p: float = 0.4,
) -> Batch:
    """What was heard of the bar close of one hour since the epoch."""
    at = from_ms(hour * HOUR_MS)
    rows = dict.fromkeys(symbols, (0.5,) * WIDTH)
    made = {s: Forecast(s, at, True, p, p - 0.1, 0.06, 0.03, 96, 9, 0.5, f"model:{champion}") for s in symbols}
    if failure:
        return Batch(at, rows, {}, Heard(failure=failure))
    if not champion:
        return Batch(at, rows, made, Heard(by_rule=True))
    n = len(symbols)
    theirs = ((p + 0.1,) * n, (p,) * n) if challenger else ((), ())
    answers = Answers(champion, (p,) * n, (p - 0.1,) * n, (), challenger, *theirs)
    return Batch(at, rows, made, Heard(answers=answers))


@contextlib.asynccontextmanager
async def life(
    folder: Path,
    journal: MemoryJournal | None = None,
    clock: HandClock | None = None,
    symbols: Sequence[str] = SYMBOLS,
) -> AsyncIterator[World]:
    """A running engine with its lab, not yet awake; a second life goes on with the journal and clock of the first."""
    journal, clock = journal or MemoryJournal(), clock or HandClock(NOW)
    async with opened(folder, "main") as db:
        world = World(folder, db, journal, clock, await restore(journal), symbols)
        async with running(world.engine.run):
            yield world
