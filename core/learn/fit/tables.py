"""What a working process needs of a data set, put where each of them can read it without a copy of its own.

Rule 1: a table is written once and mapped into memory read-only; the processes share its pages.
Rule 2: whoever works elsewhere (on a cluster) is handed the table itself instead of the place: ``opened`` takes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from core.learn.data.splits import Split
from core.learn.fit.boosting import Floats, Ints, Rows

if TYPE_CHECKING:
    from core.learn.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a data set (n rows): features ``x`` (n, k), ``outcome`` 0..1, ``uniqueness`` > 0 of mean 1, times."""

    x: Floats
    outcome: Floats
    uniqueness: Floats
    start_ms: Ints
    end_ms: Ints

    def rows(self, at: Ints, kept: Sequence[int] | None = None, by_uniqueness: bool = False) -> Rows:
        """A copy of some rows, each counting by its uniqueness, or 1; all columns but those of ``kept`` are zero."""
        weight = self.uniqueness[at] if by_uniqueness else np.ones(len(at))
        return Rows(self.x[at] if kept is None else self._only(at, kept), self.outcome[at], weight)

    def _only(self, at: Ints, kept: Sequence[int]) -> Floats:
        # column by column, so that there is never a second copy of them all
        x = np.zeros((len(at), self.x.shape[1]))
        for column in kept:
            x[:, column] = self.x[at, column]
        return x

    def parts(self, at: Ints, pair: Split) -> tuple[Ints, Ints]:
        """A split of the rows ``at`` as rows of the table."""
        return at[pair[0]], at[pair[1]]


Source: TypeAlias = Table | Path


def table_of(dataset: Dataset) -> Table:
    """The columns of a data set that learning needs; its own arrays, not copies."""
    return Table(dataset.x, dataset.outcome, dataset.weight, dataset.start_ms, dataset.end_ms)


def put(table: Table, folder: Path) -> Path:
    """Write the table into an empty folder; the folder."""
    for field in fields(table):
        np.save(folder / f"{field.name}.npy", getattr(table, field.name), allow_pickle=False)
    return folder


def opened(source: Source) -> Table:
    """The table itself, or the one that lies in this folder."""
    return source if isinstance(source, Table) else _mapped(source)


@lru_cache(maxsize=1)
def _mapped(folder: Path) -> Table:
    names = [field.name for field in fields(Table)]
    return Table(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names))
