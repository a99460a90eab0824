"""features: what a forecast sees of the stored bars, as a table and as CSV."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from bot.commands import features as command
from core.adapters.columns import Columns
from core.learn import features
from core.learn.compiled import model_matrix
from tests.bot.lived import ROOT, firstmate, one_line
from tests.bot.test_command_bars import fill
from tests.learn.markets import HOUR_MS, times, walk

BARS = 700
HOUR = timedelta(hours=1)


def stored(symbol: str, seed: int) -> Columns:
    made = Columns(symbol, HOUR_MS)
    for open_ms, *numbers in zip(times(BARS), *walk(BARS, seed), strict=True):
        made.append(open_ms, tuple(numbers))
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars of two pairs, imported."""
    home = tmp_path_factory.mktemp("features") / "home"
    fill(home, "paper", stored("BTCUSDT", 1), stored("ETHUSDT", 2))
    return home


def exported(home: Path, *words: str) -> list[dict[str, str]]:
    done = firstmate("features", "ETHUSDT", "--csv", "-", *words, home=home, symbols="BTCUSDT,ETHUSDT")
    assert (done.returncode, done.stderr) == (0, "")
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_the_table_names_every_feature_with_its_warm_up(home: Path):
    """One line a feature, the newest bars to the right, the set's version on top."""
    done = firstmate("features", "ETHUSDT", "--last", "2", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    top, _, heads, *lines = done.stdout.splitlines()
    assert features.version()[:12] in top
    assert heads.split() == ["feature", "warm-up", "01-30", "02:00", "01-30", "03:00"]
    assert [line.replace("*", " ").split()[0] for line in lines] == list(command.NAMES)
    assert [line.split()[-3] for line in lines] == [str(bars) for bars in command.WARM_UPS]
    assert sum(line.startswith("*") for line in lines) == len(features.MODEL_NAMES)


def test_the_export_is_what_the_model_learns_from(home: Path):
    """Every number of the CSV is, to the last bit, the one the compiled features give a training."""
    rows = exported(home)
    series = {
        symbol: tuple(np.array(column) for column in (times(BARS), *walk(BARS, seed)))
        for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))
    }
    places, x = model_matrix(series, HOUR)["ETHUSDT"]
    assert [int(row["open_ms"]) for row in rows] == times(BARS)
    warm = [[float(rows[k][name]) for name in features.MODEL_NAMES] for k in places]
    assert np.array(warm).tobytes() == x.tobytes()
    assert {row["feature_set"] for row in rows} == {features.version()[:12]}


def test_what_is_not_warm_is_empty_in_csv_and_a_dash_in_the_table(home: Path):
    """A number that is not known yet is never shown as one."""
    rows = exported(home)
    assert (rows[0]["ret_1"], rows[598]["ema_200"]) == ("", "")
    assert rows[599]["ema_200"] != ""
    first = command.table("ETHUSDT", HOUR, [(times(1)[0], [math.nan] * len(command.NAMES))])
    assert {line.split()[-1] for line in first[3:]} == {"-"}


def test_many_bars_are_shown_in_blocks():
    """A long table is cut into pieces that fit a screen."""
    newest = [(ms, [0.5] * len(command.NAMES)) for ms in times(8)]
    lines = command.table("ETHUSDT", HOUR, newest)
    assert max(map(len, lines)) <= 120
    assert len(lines) == 1 + 2 * (2 + len(command.NAMES))


def test_the_newest_rows_do_not_depend_on_how_far_back_they_were_folded_from():
    """Rows folded from RUN_UP bars before are those folded from the beginning, as far as a card can show."""
    bars = command.RUN_UP + 400
    made = Columns("BTCUSDT", HOUR_MS)
    for open_ms, *numbers in zip(times(bars), *walk(bars, 3), strict=True):
        made.append(open_ms, tuple(numbers))
    *_, whole = command.rows({"BTCUSDT": made}, "BTCUSDT", HOUR)
    *_, part = command.rows({"BTCUSDT": made.part(399, bars)}, "BTCUSDT", HOUR)
    assert part[1] == pytest.approx(whole[1], rel=1e-9, abs=1e-12)


def test_a_file_gets_the_same_rows(home: Path, tmp_path: Path):
    """--csv FILE writes what - prints, says so, and leaves nothing else behind."""
    done = firstmate("features", "ETHUSDT", "--last", "3", "--csv", str(tmp_path / "rows.csv"), home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 rows of ETHUSDT 1h in ")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_that_cannot_be_written_is_one_sentence(home: Path, tmp_path: Path):
    """A folder that is not there is told with the fix, before anything is written."""
    done = firstmate("features", "ETHUSDT", "--csv", str(tmp_path / "nowhere" / "rows.csv"), home=home)
    assert done.returncode == 2
    assert "cannot be written" in one_line(done)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_what_names_no_file_is_refused(home: Path, name: str):
    """A variable that was empty, or a folder: one line, and no table instead."""
    done = firstmate("features", "ETHUSDT", "--csv", name, home=home)
    assert done.returncode == 2
    assert "names no file; give one, or - for standard output" in one_line(done)


def test_a_pair_without_bars_is_one_sentence(home: Path):
    """What is not stored is named with the way to get it."""
    done = firstmate("features", "DOGEUSDT", home=home)
    assert done.returncode == 2
    assert "no bars of DOGEUSDT 1h are stored: firstmate fetch DOGEUSDT" in one_line(done)


def test_it_needs_no_numeric_library():
    """The table is made by the live path itself: numpy, pandas and numba stay out."""
    code = "import sys, bot.commands.features; print({'numpy', 'pandas', 'numba', 'scipy'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "set()"
