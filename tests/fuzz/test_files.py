"""Nothing in a file is an error of ours: bars from strangers, settings, small files, a database somebody changed."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot.passage import _practice
from core.adapters import handover, owner, permits
from core.adapters.barfiles import HEADER, Tally, name_file, read_file
from core.adapters.barimport import _another_instrument
from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.glance import reconciliation, waiting
from core.adapters.journal import TABLES, SqliteJournal
from core.adapters.readonly import load_state, table_rows
from core.adapters.records import SqliteRecords
from core.domain.errors import FirstmateError
from core.domain.market import from_ms
from core.setting_sources import load
from core.settings import PREFIX, SPECS
from tests.bot.lived import live
from tests.fuzz.shapes import NASTY, altered, drawn

# opening a database costs some milliseconds: a failure is shown as it was found
AS_FOUND = (Phase.explicit, Phase.generate)
SOME = drawn(150)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_MS, HOUR_MS = 1_704_067_200_000, 3_600_000
CSV = "\n".join([HEADER, *(f"{FIRST_MS + n * HOUR_MS},100,102,99,101,{n}.5" for n in range(5))]).encode() + b"\n"


def zipped(text: bytes) -> bytes:
    """The text as an archive's only member."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("BTCUSDT-1h-2024-01.csv"), text)
    return body.getvalue()


def refused_or_read(work: Callable[[], object]) -> None:
    """Let it work or refuse with one printable sentence of ours."""
    try:
        work()
    except FirstmateError as error:
        refused = error.user_text
    else:
        return
    assert refused
    assert len(refused) < 3000
    assert refused.replace("\n", "").isprintable()


def read(path: Path) -> None:
    """A file of bars to its end."""
    tally, bars = Tally(), 0
    for block in read_file(name_file(path, "BTCUSDT"), NOW, tally):
        for bar in block.bars():
            assert 0 < bar.low <= bar.high
            bars += 1
    assert bars == tally.read


@pytest.mark.parametrize("name", ["BTCUSDT_1h.csv", "BTCUSDT_1h.csv.gz", "BTCUSDT_1h.zip"])
@SOME
@given(data=st.data())
def test_a_file_of_bars_that_somebody_changed(name: str, data: st.DataObject) -> None:
    """Bytes flipped in the packing or in the table, cut, doubled, put in: bars that can be, or line and fix."""
    path = FOLDER / name
    text = data.draw(st.just(CSV) | altered(CSV))
    packed = {".csv": bytes, ".gz": lambda raw: gzip.compress(raw, mtime=0), ".zip": zipped}[path.suffix](text)
    path.write_bytes(data.draw(altered(packed)))
    refused_or_read(lambda: read(path))


@SOME
@given(st.lists(st.lists(NASTY.map(str) | st.text(max_size=12) | st.floats().map(str), max_size=7), max_size=5))
def test_a_table_with_anything_in_it(rows: list[list[str]]) -> None:
    """Numbers that are none, times of another age, too many fields, other alphabets."""
    path = FOLDER / "ETHUSDT_1h.csv"
    body = "\n".join([HEADER, f"{FIRST_MS},100,102,99,101,1", *(",".join(row) for row in rows)])
    path.write_bytes(body.encode("utf-8", "surrogateescape" if "\udc80" in body else "replace"))
    refused_or_read(lambda: read(path))


@given(*(st.floats(min_value=5e-324, allow_infinity=False),) * 2)
def test_no_two_prices_are_too_far_apart_to_be_compared(before: float, after: float) -> None:
    """Whether another instrument begins can be asked of any two prices there are."""
    _another_instrument((0, before), 10**12, after)


WORDS = st.sampled_from(
    [
        "~nobody-here", "\x00", "a" * 5000, "/" + "x" * 300, "http://[", "http://a:b", "[" * 3000, "9" * 5000,
        "1e999999999",
        "../../..", "NaN", "-Infinity", "sNaN", "22:00-25:00", "٣", "\ud800", "\r", "live", "0x10", "'", '"', "#", "=",
    ]
) | st.text(max_size=30)  # fmt: skip
NAMES = st.sampled_from([PREFIX + name.upper() for name in SPECS]) | st.text(max_size=10).map(PREFIX.__add__)
LINES = st.tuples(st.sampled_from([name for name in SPECS if name != "home"]) | st.text(max_size=10), WORDS)


@SOME
@given(st.dictionaries(NAMES, WORDS, max_size=5), st.dictionaries(st.sampled_from(list(SPECS)), WORDS, max_size=3))
def test_settings_in_the_environment_and_on_the_command_line(environ: dict[str, str], said: dict[str, str]) -> None:
    """Any name, any value: settings, or every problem in its own line."""
    refused_or_read(lambda: load({f"{PREFIX}HOME": str(FOLDER), **environ}, said, FOLDER / "nowhere"))


@SOME
@given(st.lists(LINES, max_size=5), st.binary(max_size=60), st.sampled_from([".env", "firstmate.toml"]))
def test_settings_in_files(lines: list[tuple[str, str]], rest: bytes, name: str) -> None:
    """Text that is no TOML, no assignment, no UTF-8, nested without end."""
    folder = FOLDER / "settings"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    body = "\n".join(f"{PREFIX + left.upper() if name == '.env' else left} = {right}" for left, right in lines)
    (folder / name).write_bytes(body.encode("utf-8", "surrogatepass") + b"\n" + rest)
    refused_or_read(lambda: load({f"{PREFIX}HOME": str(folder)}, {}, folder))


SMALL: dict[str, tuple[str, Callable[[Path], object]]] = {
    "permit": (
        '{"key": "abc123", "by": "root", "at": "2026-01-01T00:00:00Z", "checks": ["a", "b"]}',
        lambda home: permits.permit_fault(home, "FAKE-KEY-for-tests"),
    ),
    "go-live.phrase": ('{"at": "2026-01-01T00:00:00Z", "owner_id": 77}', permits.phrase),
    "owner": ('{"user_id": 77, "name": "Ann", "at": "2026-01-01T00:00:00Z"}', owner.bound),
    "confirm.request": ('{"ref": "r", "what": "resume", "until": "2026-01-01T00:00:00Z"}', handover.asked),
    "confirm.answer": ('{"ref": "r", "yes": true}', handover.said),
}


@pytest.mark.parametrize("name", SMALL)
@SOME
@given(data=st.data())
def test_a_small_file_that_somebody_changed(name: str, data: st.DataObject) -> None:
    """What cannot be read counts as none: whoever is in doubt asks the owner again."""
    good, ask = SMALL[name]
    body = data.draw(
        altered(good.encode()) | st.sampled_from([b"", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"1e999"])
    )
    home = FOLDER / "small"
    path = (folder_of(home, "live") if name == "permit" else home) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    path.chmod(0o600)
    ask(home)


@pytest.mark.parametrize("name", ["permit", "owner"])
def test_a_small_file_that_is_a_pipe_or_endless_is_none(name: str, tmp_path: Path) -> None:
    """Nobody waits for a pipe, and nothing without an end is read."""
    path = (folder_of(tmp_path, "live") if name == "permit" else tmp_path) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for make in (lambda: _pipe(path), lambda: path.symlink_to("/dev/zero")):
        path.unlink(missing_ok=True)
        make()
        assert (permits.permit(tmp_path) if name == "permit" else owner.bound(tmp_path)) is None


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


CELLS = NASTY.filter(lambda v: v is None or isinstance(v, str | float) or (isinstance(v, int) and abs(v) < 2**63))


async def look_at(path: Path) -> None:
    """Everything that is ever read of a database, each part for itself."""
    questions: list[Callable[[], object]] = [
        lambda: load_state(path),
        lambda: waiting(path),
        lambda: reconciliation(path),
        lambda: _practice(path),
        *(lambda table=table: list(table_rows(path, table)) for table in TABLES),  # type: ignore[misc]
    ]
    for ask in questions:
        refused_or_read(ask)
    with contextlib.suppress(FirstmateError):
        db = await Database.open(path, durable=False, readers=1)
        try:
            records, journal = SqliteRecords(db), SqliteJournal(db)
            for reading in (
                records.trades(10),
                records.orders(10),
                records.fills(from_ms(0), 10),
                journal.latest_snapshot(),
                journal.last_at(),
                everything(journal),
            ):
                with contextlib.suppress(FirstmateError):
                    await reading
        finally:
            await db.close()


async def everything(journal: SqliteJournal) -> None:
    """The journal to its end."""
    async for _ in journal.events_after(0):
        pass


@settings(drawn(60), phases=AS_FOUND)
@given(data=st.data())
async def test_a_database_in_which_somebody_wrote(data: st.DataObject) -> None:
    """Any cell of any table is something else: it is read, or one of our own errors names it."""
    path = copied()
    with contextlib.closing(sqlite3.connect(path)) as con:
        con.execute("PRAGMA synchronous = OFF")
        columns = [
            (table, name)
            for (table,) in con.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            for (name,) in con.execute("SELECT name FROM pragma_table_info(?)", (table,))
        ]
        for _ in range(data.draw(st.integers(1, 4))):
            table, name = data.draw(st.sampled_from(columns))
            value = data.draw(CELLS | st.text(max_size=8) | st.binary(max_size=8) | st.just("[" * 5000))
            with contextlib.suppress(sqlite3.Error, UnicodeEncodeError):  # a rule of the table, or no text at all
                con.execute(f"UPDATE {table} SET {name} = ?", (value,))
                con.commit()
    await look_at(path)


@settings(drawn(40), phases=AS_FOUND)
@given(data=st.data())
async def test_a_database_with_bytes_flipped(data: st.DataObject) -> None:
    """A disk that lies: what can be read is read, what cannot is one sentence."""
    path = copied()
    body = bytearray(path.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=20)):
        body[at] = data.draw(st.integers(0, 255))
    path.write_bytes(body)
    await look_at(path)


FOLDER = Path()


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One folder for all of these, with a short life in it to be spoiled."""
    global FOLDER
    FOLDER = tmp_path_factory.mktemp("fuzz")
    live(FOLDER / "lived")
    with contextlib.closing(sqlite3.connect(folder_of(FOLDER / "lived", "demo") / MAIN_FILE)) as con:
        con.execute("PRAGMA journal_mode = DELETE")


def copied() -> Path:
    """A fresh copy of that life's database."""
    path = FOLDER / "copy" / MAIN_FILE
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    shutil.copy(folder_of(FOLDER / "lived", "demo") / MAIN_FILE, path)
    return path
