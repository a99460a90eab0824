"""The whole walks through ccxt and the chat server, end to end, on recorded and on made-up markets."""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e import zigzag
from tests.e2e.program import ROOT, Program, clean_env, rows, run

SHARED = ROOT.parent / "shared" / "data"
DEMO = ("demo", "--speed", "max", "--headless", "--approve", "auto")
REAL = (*DEMO, "--market", f"recorded:{SHARED}", "--symbols", "BTCUSDT,ETHUSDT,LINKUSDT", "--from", "2022-01-01")
SEEDED = (*DEMO, "--symbols", "BTCUSDT,ETHUSDT", "--bars", "40", "--seed", "3")
DRAWN = (*DEMO, "--symbols", ",".join(zigzag.SYMBOLS), "--from", "2024-01-01")


def demo(folder: Path, words: tuple[str, ...], history: int, hash_seed: str = "0") -> Program:
    """A demo that ran to its end in ``folder``."""
    env = clean_env(folder, history_bars=str(history)) | {"PYTHONHASHSEED": hash_seed}
    return run(folder, *words, "--state", str(folder / "state"), env=env)


def journal_hash(folder: Path) -> str:
    """SHA-256 over every column of every line of the journal."""
    lines = rows(folder / "state" / "demo" / "firstmate.db", "SELECT * FROM journal ORDER BY seq")
    assert lines
    return hashlib.sha256(repr(lines).encode()).hexdigest()


def ledgers(text: str) -> dict[str, tuple[Decimal, Decimal]]:
    """The table at the end: asset -> (assistant, exchange)."""
    table = text[text.index("exchange ledger") :]
    found = re.findall(r"^([A-Z0-9]+) +([\d.]+) +([\d.]+)$", table, re.MULTILINE)
    return {asset: (Decimal(ours), Decimal(theirs)) for asset, ours, theirs in found}


def assert_ended_well(done: Program, least_orders: int) -> None:
    """Exit 0, nothing on stderr, orders traded, and both ledgers the same, in print and in the databases."""
    assert (done.child.returncode, done.err) == (0, ""), (done.out[-2000:], done.err)
    state = done.out_path.parent / "state" / "demo"
    assert len(rows(state / "firstmate.db", "SELECT 1 FROM orders WHERE filled_qty != '0'")) >= least_orders
    table = ledgers(done.out)
    assert table["USDT"][0] > 0
    assert all(ours == theirs for ours, theirs in table.values())
    assert "Both ledgers agree to the last unit of each asset." in done.out


@pytest.fixture(scope="module")
def drawn_market(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hand-drawn market as a value for --market."""
    return f"recorded:{zigzag.write(tmp_path_factory.mktemp('drawn'))}"


def test_recorded_bars_of_the_exchange_are_traded_and_the_money_adds_up(tmp_path: Path) -> None:
    """Real history walks the whole way: bars, decisions, orders, fills, messages, equal ledgers."""
    if not (SHARED / "binance_BTCUSDT_1h.csv.gz").is_file():
        pytest.skip("no recorded bars in ../shared/data")
    done = demo(tmp_path, (*REAL, "--bars", "300"), history=50_000)
    assert_ended_well(done, least_orders=1)
    assert "/start" in done.out
    assert "Bought" in done.out


def test_a_market_that_wins_loses_and_waits_is_traded_and_the_money_adds_up(tmp_path: Path, drawn_market: str) -> None:
    """Without any data beside the project: targets, stops and a sale by time, all told, all booked."""
    done = demo(tmp_path, (*DRAWN, "--market", drawn_market), history=zigzag.HISTORY)
    assert_ended_well(done, least_orders=25)
    ends = {why for (why,) in rows(tmp_path / "state" / "demo" / "firstmate.db", "SELECT DISTINCT why FROM trades")}
    assert ends == {"target", "stop", "time"}
    assert all(f"because {text}" in done.out for text in ("its target was reached", "its stop was hit", "its time"))


def test_a_seeded_market_runs_headless_to_its_end(tmp_path: Path) -> None:
    """The made-up market needs no files at all, and calls itself simulated."""
    done = demo(tmp_path, SEEDED, history=600)
    assert_ended_well(done, least_orders=0)
    assert "SIMULATED" in done.out


def test_the_same_run_twice_is_the_same_to_the_last_byte(tmp_path: Path, drawn_market: str) -> None:
    """Another folder and another hash seed change neither a line of the journal nor a word of the transcript."""
    words = (*DRAWN, "--market", drawn_market, "--bars", "60")
    one, two = (demo(tmp_path / seed, words, history=zigzag.HISTORY, hash_seed=seed) for seed in ("0", "4242"))
    assert_ended_well(one, least_orders=8)
    assert journal_hash(tmp_path / "0") == journal_hash(tmp_path / "4242")
    assert one.out == two.out


def test_daily_bars_ask_for_no_time_before_there_was_a_market(tmp_path: Path) -> None:
    """The usual history of 50,000 bars would begin in the nineteenth century: it begins with the record instead."""
    words = (*DEMO, "--symbols", "BTCUSDT", "--timeframe", "1d", "--bars", "3", "--from", "2025-01-01")
    assert_ended_well(demo(tmp_path, words, history=50_000), least_orders=0)
