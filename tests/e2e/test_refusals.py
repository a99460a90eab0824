"""Bad input gets one clear line and the right exit code, and changes nothing."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import zigzag
from tests.e2e.program import Program, clean_env, run, running

QUICK = ("demo", "--speed", "max", "--headless", "--approve", "auto", "--symbols", "BTCUSDT", "--bars", "3")


def refused(folder: Path, *words: str, code: int, says: str, env: dict[str, str] | None = None) -> Program:
    """A run that was refused: one line on stderr with these words, nothing on stdout, this exit code."""
    done = run(folder, *words, env=env)
    assert (done.child.returncode, done.err.count("\n")) == (code, 1), (done.child.returncode, done.err)
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    return done


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` but the lock, which holds the pid of the last try."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """A state folder with a short interrupted-looking life in it: a demo of three bars."""
    done = run(tmp_path, *QUICK, "--state", str(tmp_path / "state"), env=clean_env(tmp_path, history_bars="500"))
    assert done.child.returncode == 0, done.err
    papers = tmp_path / "state" / "demo" / "demo.json"
    papers.write_text(papers.read_text().replace('"finished":true', '"finished":false'))
    return tmp_path / "state"


def again(lived: Path, code: int, says: str) -> None:
    """The same demo once more on that folder, refused, with every file as it was."""
    before = contents(lived)
    env = clean_env(lived.parent, history_bars="500")
    done = run(lived.parent, *QUICK, "--state", str(lived), name="again", env=env)
    assert (done.child.returncode, done.err.count("\n")) == (code, 1), (done.child.returncode, done.err)
    assert says in done.err
    assert contents(lived) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("demo", "--bars", "0"), "--bars"),
        (("demo", "--speed", "fast"), "--speed"),
        (("demo", "--market", "recorded:/nowhere"), "there is no folder /nowhere"),
        (("demo", "--symbols", "BTC-USDT"), "--symbols"),
        (("demo", "--from", "tomorrow"), "--from"),
        (("demo", "--headless", "--speed", "60"), "--headless needs an end"),
        (("demoo",), "did you mean 'demo'"),
        (("run", "--mode", "paper"), "keys set telegram"),
        (("run", "--mode", "gambling"), "--mode"),
    ],
)
def test_a_wrong_word_is_one_line_and_makes_no_folder(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    """What cannot be meant is named; no state folder appears."""
    env = clean_env(tmp_path, owner_id="77") if words[0] == "run" else None
    refused(tmp_path / "cwd", *words, "--state", str(tmp_path / "state"), code=2, says=says, env=env)
    assert not (tmp_path / "state").exists()


def dirty_csv(path: Path) -> None:
    lines = path.read_text().splitlines()
    lines[40] = lines[40].rsplit(",", 2)[0] + ",not-a-price,5"
    path.write_text("\n".join(lines) + "\n")


def cut_gzip(path: Path) -> None:
    whole = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_suffix(".csv.gz").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(dirty_csv, "BTCUSDT_1h.csv line 41"), (cut_gzip, "BTCUSDT_1h.csv.gz cannot be read"), (Path.unlink, "BTCUSDT")],
)
def test_a_spoilt_file_of_bars_stops_a_demo_before_it_begins(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """A dirty CSV, a truncated gzip, an unknown symbol: refused by name, nothing half-written."""
    market = zigzag.write(tmp_path / "bars", symbols=("BTCUSDT", "ETHUSDT"))
    spoil(market / "BTCUSDT_1h.csv")
    words = (*QUICK, "--market", f"recorded:{market}", "--from", "2024-01-01", "--state", str(tmp_path / "state"))
    refused(tmp_path / "cwd", *words, code=2, says=says)
    assert not (tmp_path / "state").exists()


def test_a_database_from_the_future_is_left_alone(lived: Path) -> None:
    """A newer program's state is neither used nor touched; the line names the way out."""
    with contextlib.closing(sqlite3.connect(lived / "demo" / "firstmate.db", isolation_level=None)) as con:
        con.execute("INSERT INTO schema_migrations VALUES (999, '0999_later', 'x', 0)")
    again(lived, 4, "was written by a newer firstmate")


def test_a_damaged_database_is_left_alone(lived: Path) -> None:
    """Bytes that are no database stop the start with the fix, and are not overwritten."""
    path = lived / "demo" / "firstmate.db"
    path.write_bytes(b"this is no database " * 500)
    again(lived, 4, "it is damaged")


def test_a_damaged_chat_log_is_left_alone(lived: Path) -> None:
    """The chat's own file is checked line by line."""
    path = lived / "demo" / "chat.jsonl"
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    again(lived, 2, "chat.jsonl line 1 is damaged")


def test_a_damaged_exchange_log_is_left_alone(lived: Path) -> None:
    """So is the simulated exchange's."""
    path = lived / "demo" / "exchange.jsonl"
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    again(lived, 2, "exchange.jsonl")


def test_a_second_start_on_the_same_state_names_the_first(tmp_path: Path) -> None:
    """Two assistants on one account would trade twice: the second is refused, the first goes on."""
    words = ("demo", "--symbols", "BTCUSDT", "--state", str(tmp_path / "state"))
    env = clean_env(tmp_path, history_bars="500")
    with running(tmp_path, *words, env=env) as first:
        first.wait_until(lambda: "Chat:" in first.out, "the greeting")
        second = run(tmp_path, *words, name="second", env=env)
        assert (second.child.returncode, second.out) == (3, "")
        assert f"process {first.pid}" in second.err
        assert second.err.count("\n") == 1
        assert first.alive
        assert first.stop() == 0


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A place where nothing can be written is named, with the way out."""
    (tmp_path / "file").write_text("")
    refused(tmp_path, *QUICK, "--state", str(tmp_path / "file" / "state"), code=4, says="cannot be made")


def test_a_full_disk_stops_a_start_in_one_line(tmp_path: Path) -> None:
    """No room for the database: exit 4 and the word disk, not a traceback."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from bot.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    env = clean_env(tmp_path, history_bars="500") | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *QUICK, "--state", str(tmp_path / "state")],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), (done.returncode, done.stderr)
    assert "disk" in done.stderr
