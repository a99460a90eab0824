"""What a working process needs of a data set, put where each of them can read it without a copy of its own.

Rule 1: a data set is written once, a file a column, and mapped into memory read-only; processes share its pages.
Rule 2: whoever works elsewhere (on a cluster) is handed the table itself instead of the place: ``opened`` takes both.
Rule 3: columns only: nothing in these files is ever executed or unpickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from core.learn.data.dataset import Dataset
from core.learn.data.splits import Split
from core.learn.fit.boosting import Floats, Ints, Rows


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a data set, n rows: features ``x`` (n, k), ``outcome`` 0..1, ``weight`` (uniqueness), times."""

    x: Floats
    outcome: Floats
    weight: Floats
    start_ms: Ints
    end_ms: Ints

    def rows(self, at: Ints, kept: Sequence[int] | None = None, by_uniqueness: bool = False) -> Rows:
        """A copy of some rows, each counting by its uniqueness, or 1; all columns but those of ``kept`` are zero."""
        weight = self.weight[at] if by_uniqueness else np.ones(len(at))
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


def put(dataset: Dataset, folder: Path) -> Path:
    """Write every column into a folder; the folder. ``opened`` and ``taken_up`` read it."""
    for name, column in _columns(dataset).items():
        np.save(folder / f"{name}.npy", column, allow_pickle=False)
    return folder


def taken_up(folder: Path, names: tuple[str, ...], symbols: tuple[str, ...]) -> Dataset:
    """The data set that was put there, mapped; the names are not in the files."""
    columns = [field.name for field in fields(Dataset) if field.name not in ("names", "symbols")]
    return Dataset(names, symbols, **{name: _map(folder, name) for name in columns})


def opened(source: Source) -> Table:
    """The table itself, or the one that lies in this folder."""
    return source if isinstance(source, Table) else _mapped(source)


@lru_cache(maxsize=1)
def _mapped(folder: Path) -> Table:
    return Table(*(_map(folder, field.name) for field in fields(Table)))


def _map(folder: Path, name: str) -> Any:
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def _columns(dataset: Dataset) -> dict[str, Any]:
    found = {field.name: getattr(dataset, field.name) for field in fields(dataset)}
    return {name: column for name, column in found.items() if isinstance(column, np.ndarray)}
