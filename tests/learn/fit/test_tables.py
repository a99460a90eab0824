"""Rows on disk are the rows that were put there."""

import numpy as np
import pytest

from core.learn.data.dataset import Dataset
from core.learn.fit.tables import opened, put, table_of, taken_up
from tests.learn.fit.drawn import drawn


def test_a_data_set_comes_back_as_it_was_put(tmp_path):
    """Nothing is lost or rounded between the process that makes rows and those that learn from them."""
    data = drawn(400)
    back = taken_up(put(data, tmp_path), data.names, data.symbols)
    for field in Dataset.__dataclass_fields__:
        assert np.array_equal(getattr(back, field), getattr(data, field))


def test_a_table_is_the_same_from_disk_and_from_memory(tmp_path):
    """A worker here and a worker on another machine learn from the same rows."""
    data = drawn(400)
    here, there = table_of(data), opened(put(data, tmp_path))
    for field in ("x", "outcome", "weight", "start_ms", "end_ms"):
        assert np.array_equal(getattr(here, field), getattr(there, field))


def test_nobody_can_change_rows_that_others_read(tmp_path):
    """Workers share the pages of one file, so none may write to them."""
    table = opened(put(drawn(400), tmp_path))
    with pytest.raises(ValueError):
        table.x[0, 0] = 1.0


def test_rows_are_copied_with_the_columns_asked_for():
    """A model that shall not see a column gets zeros there, and the table stays whole."""
    data = drawn(400)
    table, at = table_of(data), np.array([3, 1, 7])
    rows = table.rows(at, (0, 2))
    assert np.array_equal(rows.x[:, [0, 2]], data.x[at][:, [0, 2]])
    assert not rows.x[:, [1, 3, 4, 5]].any()
    assert np.array_equal(table.rows(at).x, data.x[at])


def test_rows_count_equally_unless_asked_by_uniqueness():
    """Whoever judges counts every row once."""
    data = drawn(400)
    data.weight[:] = np.linspace(0.5, 1.5, len(data))
    at = np.array([0, 10])
    assert table_of(data).rows(at).weight.tolist() == [1.0, 1.0]
    assert np.array_equal(table_of(data).rows(at, by_uniqueness=True).weight, data.weight[at])
