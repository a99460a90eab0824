"""audit: who did what, shown, proven, and noted."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from argparse import Namespace
from pathlib import Path

import pytest

from bot.commands import audit as command
from core.adapters import audit
from core.adapters.audit import Deed, What
from core.adapters.folders import MAIN_FILE
from core.domain.errors import BadData, StoreUnusable
from core.settings import Settings
from tests.bot.lived import firstmate, live, one_line

NOTHING = "0" * 64


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A demo that bought and sold once."""
    live(tmp_path / "home")
    return tmp_path / "home"


def asked(home: Path, what: str, head: str | None = None, last: int | None = None, *, as_json: bool = False) -> int:
    """The exit code of one question."""
    return command.main(Namespace(what=what, head=head, last=last, json=as_json), Settings(home=home, mode="demo"))


def forge(home: Path, *statements: str) -> None:
    """Changes by somebody who may write the file and puts the triggers back."""
    with contextlib.closing(sqlite3.connect(home / "demo" / MAIN_FILE)) as con, con:
        triggers = con.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            con.execute(f"DROP TRIGGER {name}")
        for sql in statements:
            con.execute(sql)
        for _, sql in triggers:
            con.execute(sql)


def test_the_real_command_proves_a_chain_by_its_head(home: Path):
    """Note the head today, prove by it tomorrow that nothing was cut: two commands of the real process."""
    noted = firstmate("audit", "head", home=home)
    assert noted.returncode == 0
    proven = firstmate("audit", "verify", "--head", noted.stdout.split()[0], home=home)
    assert (proven.returncode, proven.stderr) == (0, "")
    assert proven.stdout.splitlines()[0] == "demo: 10 audit rows"
    assert proven.stdout.endswith("the head you noted is row 10, 0 follow it\n")


def test_a_sound_chain_is_said_to_be_one(home: Path, capsys: pytest.CaptureFixture[str]):
    """How many rows, the head, and that each follows."""
    assert asked(home, "verify") == 0
    rows, head, verdict = capsys.readouterr().out.splitlines()
    assert rows == "demo: 10 audit rows"
    assert head == f"head {audit.head_of(home / 'demo' / MAIN_FILE)[1]}"
    assert verdict == "every row follows from the one before it"


def test_the_first_broken_row_is_named(home: Path, capsys: pytest.CaptureFixture[str]):
    """Exit 1, and where to begin to look."""
    forge(home, "UPDATE audit SET details = replace(details, 'BUY', 'SELL') WHERE what = 'ORDER'")
    assert asked(home, "verify") == 1
    shown = capsys.readouterr().out
    assert "demo: 10 audit rows\n" in shown
    assert shown.endswith("BROKEN at row 2: its hash is not that of its contents\n")


def test_missing_guards_are_named(home: Path, capsys: pytest.CaptureFixture[str]):
    """A chain without its triggers is not well, though every row fits."""
    with contextlib.closing(sqlite3.connect(home / "demo" / MAIN_FILE)) as con:
        con.execute("DROP TRIGGER audit_stays")
    assert asked(home, "verify") == 1
    assert "BROKEN at the table: audit_stays is not as it was made" in capsys.readouterr().out


def test_a_cut_tail_is_named_by_its_noted_head(home: Path, capsys: pytest.CaptureFixture[str]):
    """Without the noted head the shorter chain looks whole; with it, it does not."""
    noted = audit.head_of(home / "demo" / MAIN_FILE)[1]
    forge(home, "DELETE FROM audit WHERE seq > 7")
    assert asked(home, "verify") == 0
    assert asked(home, "verify", noted) == 1
    assert "BROKEN: the head you noted is not in this chain" in capsys.readouterr().out


def test_the_newest_rows_are_shown(home: Path, capsys: pytest.CaptureFixture[str]):
    """A line a row, the newest last, as many as wanted."""
    assert asked(home, "show", last=3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["8", "9", "10"]
    assert lines[-1].startswith("    10  2024-01-01 02:00:00  machine  ORDER  fm-BTCUSDT-")
    assert asked(home, "show") == 0
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_a_script_reads_a_json_object_a_line(home: Path, capsys: pytest.CaptureFixture[str]):
    """Every column, the details opened."""
    assert asked(home, "show", last=1, as_json=True) == 0
    row = json.loads(capsys.readouterr().out)
    assert set(row) == set(command.COLUMNS)
    assert (row["seq"], row["what"], row["details"]["state"]) == (10, "ORDER", "EXPIRED")


def test_text_from_outside_cannot_steer_the_terminal(home: Path, capsys: pytest.CaptureFixture[str]):
    """What an exchange or a forger wrote is shown as text, not obeyed."""
    escape = "\x1b[2J\x9b31m\n"
    path = home / "demo" / MAIN_FILE
    audit.append(path, Deed(1_700_000_000_000, "machine", What.COMMAND, escape, {"text": escape}))
    assert asked(home, "show", last=1) == 0
    shown = capsys.readouterr().out
    assert shown.removesuffix("\n").isprintable()
    assert "\\x1b[2J" in shown


def test_forged_rows_can_still_be_looked_at(home: Path, capsys: pytest.CaptureFixture[str]):
    """Whoever looks for the damage sees the row, whatever was put into it."""
    forge(
        home,
        "UPDATE audit SET at_ms = 'never', details = CAST(x'7bff' AS TEXT) WHERE seq = 9",
        "UPDATE audit SET at_ms = 9e18, details = x'00ff' WHERE seq = 10",
    )
    assert asked(home, "show", last=2) == 0
    assert asked(home, "show", last=2, as_json=True) == 0
    ninth, _, ninth_json, tenth_json = capsys.readouterr().out.splitlines()
    assert ninth.startswith("     9  never  ")
    assert json.loads(ninth_json)["details"].startswith("{")
    assert "x00" in json.loads(tenth_json)["details"]


@pytest.mark.parametrize(
    ("what", "flags"),
    [
        ("show", {"head": NOTHING}),
        ("head", {"head": NOTHING}),
        ("verify", {"last": 3}),
        ("verify", {"as_json": True}),
        ("verify", {"head": "abc"}),
        ("verify", {"head": NOTHING + "0"}),
        ("verify", {"head": "g" * 64}),
    ],
)
def test_a_flag_that_does_not_fit_is_refused(home: Path, what: str, flags: dict[str, object]):
    """Nobody believes in a proof that was not made: what cannot be used is said, not passed over."""
    with pytest.raises(BadData, match=r"--(head|last|json) "):
        asked(home, what, **flags)  # type: ignore[arg-type]


def test_a_state_folder_without_a_database_is_one_sentence(tmp_path: Path):
    """There is nothing to prove yet."""
    with pytest.raises(StoreUnusable, match="holds no state yet"):
        asked(tmp_path, "verify")


def test_a_wrong_word_is_one_line(home: Path):
    """As everywhere on the command line."""
    done = firstmate("audit", "prove", home=home)
    assert done.returncode == 2
    assert "verify" in one_line(done)
