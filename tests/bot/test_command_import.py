"""import: files of bars into the store, all of them or none."""

from __future__ import annotations

import gzip
import importlib
import io
import os
from datetime import timedelta
from pathlib import Path

import pytest

from core.adapters import statelock
from core.adapters.barimport import ImportReport
from core.domain.market import from_ms
from tests.bot.lived import firstmate, one_line

FIRST_MS, HOUR_MS = 1_704_067_200_000, 3_600_000
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
command = importlib.import_module("bot.commands.import")


def rows(count: int, first: int = 0) -> str:
    """A CSV of so many hourly bars."""
    lines = [f"{FIRST_MS + hour * HOUR_MS},100,101,99,100.5,7" for hour in range(first, first + count)]
    return "\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A file of 48 bars."""
    path = tmp_path / "BTCUSDT_1h.csv"
    path.write_text(rows(48))
    return path


def test_a_file_is_imported_into_the_paper_store(tmp_path: Path, good: Path):
    """Without a configured mode the bars are kept for paper trading, and the answer says where."""
    done = firstmate("import", str(good), home=tmp_path / "home")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "BTCUSDT_1h.csv: 48 bars of BTCUSDT 1h, 48 new.",
        f"Stored in {tmp_path / 'home' / 'paper'}.",
    ]


def test_importing_again_changes_nothing(tmp_path: Path, good: Path):
    """Scripts may import the same folder every night."""
    first, second = (firstmate("import", str(good), home=tmp_path / "home") for _ in range(2))
    assert "48 new" in first.stdout
    assert "0 new; 48 were stored before" in second.stdout


@pytest.mark.parametrize(
    ("mode", "folder"), [("demo", "paper"), ("paper", "paper"), ("testnet", "testnet"), ("live", "live")]
)
def test_bars_go_where_they_are_traded_on(tmp_path: Path, good: Path, mode: str, folder: str):
    """A demo plays its own market; every other mode has its own store."""
    firstmate("import", str(good), home=tmp_path / "home", mode=mode)
    assert [path.parent.name for path in (tmp_path / "home").glob("*/bars.db")] == [folder]


def test_one_bad_line_in_the_last_file_leaves_the_folder_as_it_was(tmp_path: Path, good: Path):
    """Nothing is half-written: not the good file before it, not even the folder."""
    bad = tmp_path / "ETHUSDT_1h.csv"
    bad.write_text(rows(10).replace("100.5", "200", 1))
    done = firstmate("import", str(good), str(bad), home=tmp_path / "home")
    assert done.returncode == 2
    assert one_line(done).startswith("firstmate: ETHUSDT_1h.csv:2: ")
    assert not (tmp_path / "home").exists()


def test_a_truncated_archive_is_refused(tmp_path: Path):
    """A download that broke off is found before anything is stored."""
    path = tmp_path / "BTCUSDT_1h.csv.gz"
    path.write_bytes(gzip.compress(rows(5_000).encode())[:-200])
    done = firstmate("import", str(path), home=tmp_path / "home")
    assert done.returncode == 2
    assert "breaks off: fetch the file again" in one_line(done)
    assert not (tmp_path / "home").exists()


def test_a_file_without_a_closed_bar_is_refused(tmp_path: Path):
    """A header alone is not history."""
    path = tmp_path / "BTCUSDT_1h.csv"
    path.write_text("timestamp,open,high,low,close,volume\n")
    done = firstmate("import", str(path), home=tmp_path / "home")
    assert done.returncode == 2
    assert "holds no closed bar" in one_line(done)


def test_a_nameless_file_needs_flags(tmp_path: Path, good: Path):
    """What the name does not tell is told by --symbol and --timeframe."""
    path = good.rename(tmp_path / "prices.csv")
    done = firstmate("import", str(path), home=tmp_path / "home")
    assert done.returncode == 2
    assert "tells no symbol and bar length" in one_line(done)
    flags = ("--symbol", "LTCUSDT", "--timeframe", "1h")
    assert "48 bars of LTCUSDT 1h" in firstmate("import", str(path), *flags, home=tmp_path / "home").stdout


def test_nothing_is_imported_under_a_running_assistant(tmp_path: Path, good: Path):
    """The running one is named and left alone."""
    home = tmp_path / "home"
    with statelock.hold(home):
        done = firstmate("import", str(good), home=home)
    assert done.returncode == 3
    assert f"process {os.getpid()}" in one_line(done)
    assert not (home / "paper").exists()


def test_every_oddity_of_a_file_is_told():
    """Repeats, conflicts, holes, an unfinished bar and a second instrument under one name, each in plain words."""
    at = from_ms(FIRST_MS)
    report = ImportReport("LUNAUSDT", timedelta(hours=1), 1_000, 900, 3, 40, 2, (at,), 1)
    assert "; ".join(command.words(report)) == (
        "1,000 bars of LUNAUSDT 1h, 900 new; 60 were stored before; 40 differ from the stored ones, which stay; "
        "3 repeated lines were skipped; holes left: 2; the last bar was not closed yet and was left out; "
        "another instrument from 2024-01-01 on, the one before is LUNAUSDT~1"
    )


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_progress(good: Path, monkeypatch: pytest.MonkeyPatch):
    """A bar that moves, on a terminal only."""
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        command.check(command.name_file(good), from_ms(FIRST_MS + 10**9))
        assert ("checking BTCUSDT_1h.csv" in stream.getvalue()) is shown


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} with recorded bars is not here")
def test_a_dump_of_binance_itself_is_read(tmp_path: Path):
    """The exchange's own zip, as it is downloaded."""
    done = firstmate("import", str(DATA / "binance_dump_BTCUSDT_1h_2024-10-28.zip"), home=tmp_path / "home")
    assert "24 bars of BTCUSDT 1h, 24 new" in done.stdout
