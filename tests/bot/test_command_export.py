"""export: what was recorded, as CSV or JSON, row by row."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from pathlib import Path

import pytest

from bot.commands import export
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.journal import TABLES
from core.adapters.readonly import table_rows
from tests.bot.lived import ROOT, environment, firstmate, live, one_line


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A demo that bought, was stopped out, and went on."""
    live(tmp_path / "home", until="sold")
    return tmp_path / "home"


@pytest.mark.parametrize("what", TABLES)
def test_csv_and_json_hold_every_row_of_the_table(home: Path, what: str):
    """Nothing is left out, and both formats name the same columns."""
    stored = list(table_rows(folder_of(home, "demo") / MAIN_FILE, what))
    as_csv = firstmate("export", what, "--format", "csv", home=home)
    as_json = firstmate("export", what, "--format", "json", home=home)
    assert (as_csv.returncode, as_csv.stderr, as_json.returncode, as_json.stderr) == (0, "", 0, "")
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert rows == [{k: "" if v is None else str(v) for k, v in row.items()} for row in stored]
    parsed = json.loads(as_json.stdout)
    assert [list(row) for row in parsed] == [list(row) for row in stored]
    assert stored


def test_money_in_json_is_exact(home: Path):
    """Fills add up to the order they fill."""
    orders = json.loads(firstmate("export", "orders", "--format", "json", home=home).stdout)
    fills = json.loads(firstmate("export", "fills", "--format", "json", home=home).stdout)
    filled = {order["client_id"]: Decimal(order["filled_qty"]) for order in orders if order["filled_qty"] != "0"}
    assert filled == {fill["client_id"]: Decimal(fill["qty"]) for fill in fills}


def test_the_journal_in_json_can_be_walked_into(home: Path):
    """An event's body is an object, its effects a list, not text in text."""
    lines = json.loads(firstmate("export", "journal", "--format", "json", home=home).stdout)
    bar = next(line for line in lines if line["kind"] == "BarSeen")
    assert bar["body"]["bar"]["symbol"] == "BTCUSDT"
    assert isinstance(bar["effects"], list)


@pytest.mark.parametrize("what", TABLES)
def test_an_empty_table_is_a_header_or_an_empty_array(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]):
    """Scripts that read an export need no special case for the first day."""
    live(tmp_path, until="empty")
    path = folder_of(tmp_path, "demo") / MAIN_FILE
    export.write_csv(sys.stdout, export.columns(path, what), table_rows(path, what))
    header = capsys.readouterr().out
    assert header.count("\n") == 1
    assert "seq" in header or "symbol" in header
    export.write_json(sys.stdout, table_rows(path, what), frozenset())
    assert json.loads(capsys.readouterr().out) == []


def test_a_row_of_any_text_survives_csv_and_json():
    """Commas, quotes and line ends in a reason do not shift a column."""
    row = {"reason": 'a "quoted",\nbroken; text', "qty": "1"}
    out = io.StringIO()
    export.write_csv(out, list(row), iter([row]))
    assert list(csv.DictReader(io.StringIO(out.getvalue()))) == [row]
    out = io.StringIO()
    export.write_json(out, iter([row]), frozenset())
    assert json.loads(out.getvalue()) == [row]


def test_memory_does_not_grow_with_the_rows():
    """A journal of years is exported in the memory of a page."""

    class Nowhere(io.TextIOBase):
        def write(self, text: str) -> int:
            return len(text)

    rows = ({"seq": number, "body": "x" * 1000} for number in range(20_000))
    tracemalloc.start()
    export.write_json(Nowhere(), rows, frozenset())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_reader_that_stops_early_is_no_traceback(home: Path):
    """`firstmate export journal … | head -1` ends quietly."""
    script = f"{sys.executable} -m bot export journal --format csv | head -1"
    done = subprocess.run(
        ["bash", "-c", script], env=environment(home), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout.startswith("seq,"), done.stderr) == (True, "")


def test_nothing_to_export_is_one_sentence(tmp_path: Path):
    """An empty folder is exit 4, and stays empty."""
    done = firstmate("export", "orders", "--format", "csv", home=tmp_path / "home")
    assert done.returncode == 4
    assert "holds no state yet" in one_line(done)
