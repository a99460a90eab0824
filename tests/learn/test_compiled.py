from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from array import array
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.domain.errors import BadData
from core.learn import compiled, cross, features
from core.learn.compiled import matrix, model_matrix
from core.learn.cross import Cross
from core.learn.features import HOLE_BARS, MODEL_NAMES, WARM_UP, WIDTH
from tests.learn.markets import HOUR_MS, Columns, recorded, times, walk

HOUR = timedelta(hours=1)
ROOT = Path(__file__).resolve().parents[2]


def arrays(columns: Columns) -> tuple[np.ndarray, ...]:
    return tuple(np.array(column) for column in columns)


def digest(rows) -> str:
    return hashlib.sha256(np.array(rows, dtype=np.float64).tobytes()).hexdigest()


def lived(open_ms: list[int], columns: Columns, restarts: tuple[int, ...] = ()) -> list[list[float]]:
    """Rows by the live path, its state put to bytes and back before each bar of ``restarts``."""
    state, rows = features.new_state(HOUR), []
    row = [features.NOTHING] * WIDTH
    for k, bar in enumerate(zip(open_ms, *columns, strict=True)):
        if k in restarts:
            thawed = array("d")
            thawed.frombytes(array("d", state).tobytes())
            state, row = thawed.tolist(), [features.NOTHING] * WIDTH
        features.step_row(state, row, *bar)
        rows.append(list(row))
    return rows


def holed(bars: int, seed: int) -> tuple[list[int], Columns]:
    """A seeded walk with hours without a trade, a hole that is lived with, and one that starts everything again."""
    open_ms = times(bars)
    for k in range(bars):
        open_ms[k] += HOUR_MS * (HOLE_BARS * (k >= 700) + (HOLE_BARS + 1) * (k >= 900))
    return open_ms, walk(bars, seed, flat_share=0.1)


def restarted_at(rows) -> list[int]:
    """Bars on which the one-bar return is unknown: the first ones."""
    return np.flatnonzero(np.isnan(np.array(rows)[:, features.AT["ret_1"]])).tolist()


@pytest.mark.parametrize("restarts", [(), (1, 450, 899, 901)])
@pytest.mark.parametrize("source", ["1", "2", "BTCUSDT", "LUNAUSDT"])
def test_history_has_the_bits_of_the_live_path(source, restarts):
    """What a model learns from is, to the last bit, what it is asked with later, restarts and holes included."""
    open_ms, columns = recorded(source, 4000) if source.endswith("USDT") else holed(2000, int(source))
    assert digest(matrix(arrays(columns), np.array(open_ms), HOUR)) == digest(lived(open_ms, columns, restarts))


def test_asked_features_are_given_in_the_asked_order():
    """A few features cost the memory of a few."""
    columns, open_ms = arrays(walk(800, 4)), np.array(times(800))
    some = matrix(columns, open_ms, HOUR, ("rsi_14", "ret_1"))
    whole = matrix(columns, open_ms, HOUR)
    assert digest(some) == digest(whole[:, [features.AT["rsi_14"], features.AT["ret_1"]]])


def test_a_long_hole_starts_again_and_a_short_one_does_not():
    """The one definition of a hole: the same bars begin anew live and over history."""
    open_ms, columns = holed(2000, 3)
    assert restarted_at(matrix(arrays(columns), np.array(open_ms), HOUR)) == [0, 900]
    assert restarted_at(lived(open_ms, columns)) == [0, 900]


def market(bars: int) -> dict[str, tuple[np.ndarray, ...]]:
    """Three symbols on one time line: one is missing for a while, one is listed later."""
    series = {}
    for seed, symbol in enumerate(("ETHUSDT", "BTCUSDT", "DOGEUSDT")):
        kept = [k for k in range(bars) if not (symbol == "ETHUSDT" and 800 <= k < 810 + 30 * seed)]
        kept = kept[300:] if symbol == "DOGEUSDT" else kept
        columns = walk(bars, seed, flat_share=0.05)
        picked = tuple(np.array([column[k] for k in kept]) for column in columns)
        series[symbol] = (np.array([times(bars)[k] for k in kept]), *picked)
    return series


def model_rows_lived(series, restart: int) -> dict[str, list[tuple[int, tuple[float, ...]]]]:
    """Model rows close by close, as a running assistant makes them; the comparison is saved and restored once."""
    states = {symbol: features.new_state(HOUR) for symbol in series}
    rows = {symbol: [features.NOTHING] * WIDTH for symbol in series}
    places = {symbol: {int(ms): k for k, ms in enumerate(bars[0])} for symbol, bars in series.items()}
    found = {symbol: [] for symbol in series}
    among = Cross()
    for n, ms in enumerate(sorted({int(ms) for bars in series.values() for ms in bars[0]})):
        if n == restart:
            body, among = among.dump(), Cross()
            among.restore(body)
        here = [symbol for symbol in series if ms in places[symbol]]
        for symbol in here:
            k = places[symbol][ms]
            features.step_row(states[symbol], rows[symbol], ms, *(float(c[k]) for c in series[symbol][1:]))
        compared = among.seen(ms, {symbol: rows[symbol] for symbol in here})
        for symbol in here:
            if seen := features.model_row(rows[symbol], compared[symbol]):
                found[symbol].append((places[symbol][ms], seen))
    return found


@pytest.mark.parametrize("restart", [-1, 777])
def test_model_rows_of_several_symbols_are_those_of_the_live_path(restart):
    """Rank, beta and strength too: one time line, missing bars, a late listing, a restart, the same bits."""
    series = market(1600)
    batch = model_matrix(series, HOUR)
    for symbol, found in model_rows_lived(series, restart).items():
        places, x = batch[symbol]
        assert places.tolist() == [k for k, _ in found]
        assert digest(x) == digest([row for _, row in found])
        assert len(x) > 500


def test_model_rows_of_recorded_pairs_are_those_of_the_live_path():
    """On the recorded market as well."""
    series = {}
    for symbol in ("BTCUSDT", "LTCUSDT"):
        open_ms, columns = recorded(symbol, 2500)
        series[symbol] = (np.array(open_ms), *arrays(columns))
    batch = model_matrix(series, HOUR)
    for symbol, found in model_rows_lived(series, 1300).items():
        assert digest(batch[symbol][1]) == digest([row for _, row in found])


def test_a_model_row_has_every_number_or_does_not_exist():
    """Rows that are not warm are left out, the rest has no NaN; their places say which bars they are of."""
    series = market(1600)
    for symbol, (places, x) in model_matrix(series, HOUR).items():
        assert x.shape == (len(places), len(MODEL_NAMES))
        assert np.isfinite(x).all()
        assert places[0] == WARM_UP - 1, symbol


def test_the_order_of_symbols_changes_nothing():
    """Whatever order the pairs are named in, each gets the same rows."""
    series = market(1200)
    one = model_matrix(series, HOUR)
    other = model_matrix(dict(reversed(series.items())), HOUR)
    assert all(digest(one[symbol][1]) == digest(other[symbol][1]) for symbol in series)


def test_a_symbol_without_bars_has_no_rows():
    """A pair that is listed tomorrow disturbs nobody today."""
    empty = (np.array([], dtype=np.int64), *([np.array([])] * 5))
    found = model_matrix({"BTCUSDT": empty}, HOUR)
    assert found["BTCUSDT"][1].shape == (0, len(MODEL_NAMES))


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("column", range(5))
def test_a_bar_that_cannot_be_is_refused(column, number):
    """NaN, infinity and impossible prices stop at the edge with a sentence that names the bar."""
    columns = arrays(walk(50, 1))
    columns[column][7] = number
    with pytest.raises(BadData, match=r"the bar of 2020-01-01 07:00 cannot be: .+"):
        matrix(columns, np.array(times(50)), HOUR)


def test_times_that_do_not_rise_are_refused():
    """A bar twice, or out of order, is refused and not folded."""
    open_ms = np.array(times(50))
    open_ms[20] = open_ms[19]
    with pytest.raises(BadData, match="the bar of 2020-01-01 19:00 is not newer than the one before it"):
        matrix(arrays(walk(50, 1)), open_ms, HOUR)


CODE = """
import numpy as np
from datetime import timedelta
from core.learn import compiled
one = np.ones(3)
compiled._compare({"A": np.arange(3)}, {"A": np.full((3, len(compiled.features.MODEL_NAMES)), 0.5)})
print(sum(compiled._kernel(compiled._fold_closes, compiled._CLOSES).stats.cache_hits.values()))
"""


def hits(cache: Path) -> tuple[str, str]:
    """How much of the comparison's machine code came out of ``cache`` in another process, and its complaints."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip(), done.stderr


def test_machine_code_is_kept_by_version_and_rebuilt_where_it_is_damaged(tmp_path):
    """The second process need not compile; a damaged cache costs time, not an error."""
    assert hits(tmp_path) == ("0", "")
    assert [folder.name for folder in tmp_path.iterdir()] == [f"features-{features.version()[:16]}"]
    assert hits(tmp_path) == ("1", "")
    for file in tmp_path.rglob("*.nb*"):
        file.write_bytes(b"nothing of use")
    assert hits(tmp_path)[1] == ""


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    """Where no folder can be made the features are compiled all the same, and nothing is left beside the source."""
    (tmp_path / "a file").write_text("no folder")
    assert hits(tmp_path / "a file") == ("0", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "a file"]
    assert not list((ROOT / "core" / "learn").rglob("*.nbi"))


def test_nothing_is_computed_by_other_functions():
    """Every function the compiled loop calls is rebuilt from the live path's own code."""
    rebuilt = compiled._callee(features.step_row)
    assert rebuilt.py_func.__code__ is features.step_row.__code__
    assert compiled._callee(cross.step_cross).py_func.__code__ is cross.step_cross.__code__
