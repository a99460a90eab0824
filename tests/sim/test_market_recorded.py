"""A market from files: every kind of file, holes kept, bad lines refused: core.sim.market_recorded."""

from __future__ import annotations

import gzip
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.errors import BadData
from core.sim.market_recorded import RecordedMarket, in_ms

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
HOUR_MS = 3_600_000
START_MS = 1_640_995_200_000
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the recorded bars in ../shared/data")


def csv_text(hours, header=True):
    head = "timestamp,open,high,low,close,volume\n" if header else ""
    return head + "".join(f"{START_MS + h * HOUR_MS},100,101,99,100.5,12.5\n" for h in hours)


def dump_text(hours, unit):
    rows = (f"{(START_MS + h * HOUR_MS) * unit},100.0,101.0,99.0,100.5,12.5,0,0,9,0,0,0\n" for h in hours)
    return "".join(rows)


def times(market, symbol="BTCUSDT"):
    rows = market.rows(symbol, 0, 1 << 60, 10_000)
    return [(row.open_ms - START_MS) // HOUR_MS for row in rows]


def zipped(path, name, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, text)


def test_csv_gz_and_dump_files_of_one_symbol_are_joined(tmp_path):
    """Plain CSV, gzip, and the exchange's own zips in ms and in µs make one history; a hole stays a hole."""
    (tmp_path / "binance_BTCUSDT_1h.csv").write_text(csv_text([0, 1, 2]))
    (tmp_path / "more_BTCUSDT_1h.csv.gz").write_bytes(gzip.compress(csv_text([2, 3], header=False).encode()))
    zipped(tmp_path / "BTCUSDT-1h-2022-01.zip", "BTCUSDT-1h-2022-01.csv", dump_text([7, 8], 1))
    zipped(tmp_path / "BTCUSDT-1h-2025-01.zip", "BTCUSDT-1h-2025-01.csv", dump_text([10], 1000))
    (tmp_path / "binance_BTCUSDT_1d.csv").write_text("not asked for")
    market = RecordedMarket(tmp_path, ("BTCUSDT",), "1h")
    assert times(market) == [0, 1, 2, 3, 7, 8, 10]
    assert market.row("BTCUSDT", START_MS + 4 * HOUR_MS) is None
    assert market.next_open(START_MS + 4 * HOUR_MS) == START_MS + 7 * HOUR_MS
    assert market.next_open(START_MS + 11 * HOUR_MS) is None
    assert not market.simulated


def test_bars_are_found_from_both_ends(tmp_path):
    """The first ones from a time on, or the newest before one."""
    (tmp_path / "BTCUSDT_1h.csv").write_text(csv_text(range(10)))
    market = RecordedMarket(tmp_path, ("BTCUSDT",), "1h")
    since, until = START_MS + 2 * HOUR_MS, START_MS + 8 * HOUR_MS
    assert [r.open_ms for r in market.rows("BTCUSDT", since, until, 2)] == [since, since + HOUR_MS]
    assert [r.open_ms for r in market.rows("BTCUSDT", 0, until, 2, newest=True)] == [
        until - 2 * HOUR_MS,
        until - HOUR_MS,
    ]
    assert market.rows("BTCUSDT", until, since, 5) == []


def test_the_tick_is_as_fine_as_the_recorded_prices(tmp_path):
    """Old prices with more decimals than today's tick still lie on the grid."""
    (tmp_path / "BTCUSDT_1h.csv").write_text(f"{START_MS},100.123,101,99,100.1234,1\n")
    (tmp_path / "ODDUSDT_1h.csv").write_text(f"{START_MS},0.00012,0.00013,0.00011,0.000125,1\n")
    market = RecordedMarket(tmp_path, ("BTCUSDT", "ODDUSDT"), "1h")
    assert market.pair("BTCUSDT").rules.instrument.tick == Decimal("0.0001")
    odd = market.pair("ODDUSDT").rules.instrument
    assert odd.tick <= Decimal("0.000001")
    assert odd.lot == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{START_MS},100,99,98,100,1\n", "line 1: open or close lies outside low..high"),
        (f"{START_MS},100,101,99,100,1\nx,100,101,99,100,1\n", "line 2: invalid literal"),
        (f"{START_MS},100,101,99,100\n", "line 1: not enough values"),
        (f"{START_MS},nan,101,99,100,1\n", "line 1: a price is not a positive number"),
        (f"{START_MS + 5},100,101,99,100,1\n", "line 1: the time is not on the bar's grid"),
        ("timestamp,open\n", "its files are empty"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(tmp_path, text, told):
    """One wrong line is named; nothing is guessed."""
    (tmp_path / "BTCUSDT_1h.csv").write_text(text)
    with pytest.raises(BadData, match=told):
        RecordedMarket(tmp_path, ("BTCUSDT",), "1h")


def test_a_torn_archive_is_refused(tmp_path):
    """Half a gzip and half a zip are told apart from whole ones."""
    whole = gzip.compress(csv_text(range(2000)).encode())
    (tmp_path / "BTCUSDT_1h.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "ETHUSDT_1h.zip").write_bytes(b"PK\x03\x04 torn")
    zipped(tmp_path / "LTCUSDT_1h.zip", "readme.txt", "hello")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        with pytest.raises(BadData, match=f"{symbol}_1h.* cannot be read"):
            RecordedMarket(tmp_path, (symbol,), "1h")
    with pytest.raises(BadData, match="expected one CSV inside, found 0"):
        RecordedMarket(tmp_path, ("LTCUSDT",), "1h")


def test_a_missing_symbol_or_folder_is_told_with_what_is_there(tmp_path):
    """The refusal names what could be asked for instead."""
    (tmp_path / "BTCUSDT_1h.csv").write_text(csv_text([0]))
    with pytest.raises(BadData, match=r"holds no 1h bars of ETHUSDT; it has: BTCUSDT 1h"):
        RecordedMarket(tmp_path, ("ETHUSDT",), "1h")
    with pytest.raises(BadData, match="is no folder"):
        RecordedMarket(tmp_path / "nowhere", ("BTCUSDT",), "1h")


def test_seconds_milliseconds_and_microseconds_are_one_time():
    """The size of the number tells its unit."""
    assert in_ms(1_640_995_200) == in_ms(START_MS) == in_ms(START_MS * 1000) == START_MS


@needs_data
@pytest.mark.parametrize(
    ("symbol", "span", "first_ms"),
    [("BTCUSDT", "1d", 1_502_928_000_000), ("BTCUSDT", "5m", 1_704_067_200_000), ("ETHUSDT", "1m", None)],
)
def test_recorded_files_of_the_exchange_are_read_whole(symbol, span, first_ms):
    """Real files, each bar length: sorted, on the grid, from the first line on."""
    market = RecordedMarket(DATA, (symbol,), span)
    assert first_ms in (None, market.first_ms)
    rows = market.rows(symbol, 0, 1 << 60, 10_000_000)
    assert [r.open_ms for r in rows] == sorted({r.open_ms for r in rows})


@needs_data
def test_the_exchanges_own_dump_continues_the_record():
    """The zip of 2024-10-28 adds its 24 hours to the CSV that ends in 2023; the hole between them stays."""
    market = RecordedMarket(DATA, ("BTCUSDT",), "1h")
    dump = market.rows("BTCUSDT", 1_730_073_600_000, 1 << 60, 100)
    assert [len(dump), dump[0].open, dump[0].volume] == [24, 68021.69, 555.35912]
    assert market.next_open(1_704_067_200_000) == 1_730_073_600_000
