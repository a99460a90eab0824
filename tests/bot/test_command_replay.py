"""replay: the journal stepped again gives every effect again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from core.adapters import statelock
from core.adapters.folders import MAIN_FILE, folder_of
from tests.bot.lived import firstmate, live, one_line


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A demo that bought and was stopped out."""
    live(tmp_path / "home", until="sold")
    return tmp_path / "home"


def test_a_life_repeats_to_the_last_effect(home: Path, tmp_path: Path):
    """Lines and hash are printed, and the same life elsewhere has the same hash."""
    state = live(tmp_path / "other", until="sold")
    first, second = (firstmate("replay", home=place) for place in (home, tmp_path / "other"))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    assert f"demo: {state.seq} journal lines stepped again" in first.stdout
    assert "effects sha256 " in first.stdout


def test_replay_runs_beside_the_assistant_and_changes_nothing(home: Path):
    """Whoever holds the folder is not disturbed."""
    path = folder_of(home, "demo") / MAIN_FILE
    before = path.read_bytes()
    with statelock.hold(home):
        assert firstmate("replay", home=home).returncode == 0
    assert path.read_bytes() == before


def test_a_line_that_does_not_repeat_is_named(home: Path):
    """A journal somebody edited is found out, with the line."""
    con = sqlite3.connect(folder_of(home, "demo") / MAIN_FILE)
    with con:
        con.execute(
            "UPDATE journal SET effects = '[]' WHERE seq = (SELECT max(seq) FROM journal WHERE effects != '[]')"
        )
    con.close()
    done = firstmate("replay", home=home)
    assert done.returncode == 1
    assert "does not repeat" in one_line(done)


def test_no_journal_is_one_sentence(tmp_path: Path):
    """There is nothing to prove in an empty folder."""
    done = firstmate("replay", home=tmp_path / "home")
    assert done.returncode == 4
    assert "holds no state yet" in one_line(done)
