"""Files of bars: every fault is named with its line, and what is good is read exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.barfiles import HEADER, Tally, name_file, read_file, recorded
from core.domain.errors import BadData
from core.domain.market import to_ms
from tests.adapters.store_samples import HOUR, HOUR_MS, START

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = to_ms(START)


def row(hour, close="101", time=None):
    return f"{FIRST + hour * HOUR_MS if time is None else time},100,102,99,{close},{hour}.5"


def write(folder, *rows, header=HEADER, name="BTCUSDT_1h.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def read(path, now=NOW):
    tally = Tally()
    bars = [b for block in read_file(name_file(path), now, tally) for b in block.bars()]
    return bars, tally


def test_a_good_file_is_read_exactly(tmp_path):
    """Times, prices and volumes are what the file says."""
    bars, tally = read(write(tmp_path, row(0), row(1, "100.25"), row(2)))
    assert [b.open_at for b in bars] == [START, START + HOUR, START + 2 * HOUR]
    assert str(bars[1].close) == "100.25"
    assert (tally.read, tally.duplicates, tally.unfinished) == (3, 0, 0)


@pytest.mark.parametrize(("name", "factor"), [("s", 0.001), ("ms", 1), ("us", 1_000), ("ns", 1_000_000)])
def test_every_unit_of_time_is_understood(tmp_path, name, factor):
    """Seconds, milliseconds, microseconds and nanoseconds are told apart by their size."""
    path = write(tmp_path, *(row(n, time=int((FIRST + n * HOUR_MS) * factor)) for n in range(3)))
    assert [b.open_at for b in read(path)[0]] == [START, START + HOUR, START + 2 * HOUR]


def test_a_time_some_program_wrote_as_a_float_is_understood(tmp_path):
    """1704067200000.0 is a whole number of milliseconds."""
    assert read(write(tmp_path, row(0, time=f"{FIRST}.0")))[0][0].open_at == START


def test_a_dump_without_a_header_is_understood(tmp_path):
    """Binance's own twelve columns need no header."""
    line = f"{FIRST}000,100,102,99,101,7.5,{FIRST + HOUR_MS - 1}999,1,2,3,4,0"
    path = tmp_path / "BTCUSDT-1h-2024-01.csv"
    path.write_text(line)
    (bar,) = read(path)[0]
    assert (bar.open_at, str(bar.volume)) == (START, "7.5")


def test_a_dump_with_a_header_is_understood(tmp_path):
    """More columns than ours do no harm where the header names the first six."""
    header = "open_time,open,high,low,close,volume,close_time,count"
    path = write(tmp_path, row(0) + ",1,2", header=header)
    assert len(read(path)[0]) == 1


def test_the_same_line_twice_is_skipped_and_counted(tmp_path):
    """A repeated line is no second bar."""
    bars, tally = read(write(tmp_path, row(0), row(1), row(1), row(1), row(2)))
    assert (len(bars), tally.duplicates) == (3, 2)


def test_a_hole_stays_a_hole(tmp_path):
    """What the exchange did not write is not invented."""
    assert len(read(write(tmp_path, row(0), row(1), row(9)))[0]) == 3


def test_a_bar_that_is_not_closed_yet_is_dropped(tmp_path):
    """The last candle of a fresh download is unfinished and not used."""
    bars, tally = read(write(tmp_path, row(0), row(1), row(2)), now=START + timedelta(hours=2, minutes=30))
    assert (len(bars), tally.unfinished) == (2, 1)


BAD = [
    ([row(0), row(2), row(1)], "4: older than the line before: sort the file"),
    ([row(0), row(1), row(1, "101.5")], "4: the same bar as the line before with other numbers"),
    ([row(0), row(1, "103")], "3: open or close lies outside low..high"),
    ([row(0), row(1, "-1")], "3: a price is not a positive number"),
    ([row(0), row(1, "nan")], "3: a price is not a positive number"),
    ([row(0), row(1, "inf")], "3: a price is not a positive number"),
    ([row(0), row(1).replace("1.5", "-1.5")], "3: volume is negative"),
    ([row(0), row(1, "1O1")], "3: could not convert .*1O1"),
    ([row(0), row(1, "")], "3: could not convert"),
    ([row(0), row(1, "1_01")], "3: .*no line of 6 plain numbers"),
    ([row(0), row(1, "\u0661\u0660\u0661")], "3: .*no line of 6 plain numbers"),
    ([row(0), row(1) + ",9"], "3: .*no line of 6 plain numbers"),
    ([row(0), "1704070800000,100"], "3: .*no line of 6 plain numbers"),
    ([row(0), row(1, time="2024-01-01 01:00:00")], "3: could not convert"),
    ([row(0, time=12)], "2: 12 is no time since 1970"),
    ([row(0, time=-FIRST)], "2: -.* is no time since 1970"),
    ([row(0, time=10**21)], "2: 10+ is no time since 1970"),
    ([row(0, time=FIRST + 60_000)], "2: .* is not the open time of a 1h bar: give the right timeframe"),
    ([row(0, time=f"{FIRST}.5")], "2: .* is no whole number"),
    ([row(0, time=FIRST * 1000 + 7)], "2: .* is not the open time of a 1h bar"),
    ([row(0), row(2), row(4), row(6)], "no two bars are 1h apart: give the right timeframe"),
]


@pytest.mark.parametrize(("rows", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_line_is_named_with_its_fix(tmp_path, rows, told):
    """The first fault stops the reading and says where it is."""
    with pytest.raises(BadData, match=rf"BTCUSDT_1h\.csv:? ?{told}"):
        read(write(tmp_path, *rows))


def test_two_bars_from_the_future_are_a_wrong_clock(tmp_path):
    """Only the last bar can be unfinished; more means that a clock is wrong."""
    with pytest.raises(BadData, match="4: it follows a bar that is not closed yet"):
        read(write(tmp_path, row(0), row(1), row(2)), now=START + HOUR)


@pytest.mark.parametrize("header", ["a,b,c,d,e,f", "timestamp,open,low,high,close,volume", "", "time,close"])
def test_a_wrong_header_is_refused(tmp_path, header):
    """Which column is which is not guessed."""
    with pytest.raises(BadData, match="1: expected the header timestamp,open,high,low,close,volume"):
        read(write(tmp_path, row(0), header=header))


def test_an_empty_file_is_refused(tmp_path):
    """Nothing is not a history."""
    path = tmp_path / "BTCUSDT_1h.csv"
    path.touch()
    with pytest.raises(BadData, match="the file is empty"):
        read(path)


@given(st.binary(min_size=1, max_size=300).filter(lambda body: body.strip(b"\r\n")))
def test_garbage_is_refused_in_our_own_words(tmp_path_factory, body):
    """Whatever bytes a file holds, the answer is a sentence."""
    path = tmp_path_factory.mktemp("garbage") / "BTCUSDT_1h.csv"
    path.write_bytes(HEADER.encode() + b"\n" + body)
    with pytest.raises(BadData, match=r"\ABTCUSDT_1h\.csv:\d+: [^\n]+\Z"):
        read(path)


@pytest.mark.parametrize(
    ("name", "symbol", "span"),
    [
        ("binance_BTCUSDT_1h.csv.gz", "BTCUSDT", HOUR),
        ("BTCUSDT-1h-2024-10.zip", "BTCUSDT", HOUR),
        ("binance_dump_BTCUSDT_1h_2024-10-28.zip", "BTCUSDT", HOUR),
        ("1INCHUSDT_5m.csv", "1INCHUSDT", timedelta(minutes=5)),
        ("bitfinex_BTCUSD_1m.csv.gz", "BTCUSD", timedelta(minutes=1)),
        ("BTCUSDT-1d-2024.zip", "BTCUSDT", timedelta(days=1)),
    ],
)
def test_a_name_tells_symbol_and_length(name, symbol, span):
    """Files named as exchanges and archives name them need no further word."""
    file = name_file(Path(name))
    assert (file.symbol, file.span) == (symbol, span)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("prices.csv", "tells no symbol and bar length: rename it like BTCUSDT_1h.csv"),
        ("BTCUSDT_7m.csv", "tells no symbol"),
        ("BTCUSDT_1h.xlsx", "not one of .csv"),
    ],
)
def test_a_name_that_tells_nothing_asks_for_both(name, told):
    """What is in a file is asked, never guessed."""
    with pytest.raises(BadData, match=told):
        name_file(Path(name))


def test_given_words_go_before_the_name():
    """Symbol and length can be given for a file of any name."""
    file = name_file(Path("prices.csv"), "ETHUSDT", HOUR)
    assert (file.symbol, file.span) == ("ETHUSDT", HOUR)
    with pytest.raises(BadData, match="no symbol: capital letters"):
        name_file(Path("prices.csv"), "../etc", HOUR)


def test_a_folder_is_read_by_symbol(tmp_path):
    """A folder of recordings is told by its names; other files in it do no harm."""
    for name in ("BTCUSDT_1h.csv", "BTCUSDT_1m.csv", "ETHUSDT_1h.csv", "README.md", "notes.csv"):
        (tmp_path / name).touch()
    found = recorded(tmp_path)
    assert {symbol: len(files) for symbol, files in found.items()} == {"BTCUSDT": 2, "ETHUSDT": 1}
    with pytest.raises(BadData, match="is no folder"):
        recorded(tmp_path / "nowhere")


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of recorded data is not here")
@pytest.mark.parametrize(
    ("name", "count"),
    [("binance_LINKUSDT_1h.csv.gz", 43_394), ("binance_dump_BTCUSDT_1h_2024-10-28.zip", 24)],
)
def test_real_recordings_are_read_to_the_last_bar(name, count):
    """Recorded history is good as it is, holes and all."""
    assert sum(map(len, read_file(name_file(DATA / name), NOW, Tally()))) == count


def test_what_a_file_says_cannot_steer_the_terminal(tmp_path):
    """A cell with a control character is quoted without it."""
    path = tmp_path / "BTCUSDT_1h.csv"
    path.write_bytes(b"timestamp,open,high,low,close,volume\n170406720000\t,100,102,99,101,0.5\n")
    with pytest.raises(BadData) as refused:
        read(path)
    assert refused.value.user_text.isprintable()
