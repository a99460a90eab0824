"""One scripted run, killed at one of its writes to the disk by fault injection, gone on with, and compared.

Rule 1: the script is the headless demo over a drawn market in lock-step: one buy that reaches its target, one that is
        stopped; without a kill it does the same every time.
Rule 2: a kill point is a system call on the database, its journal of writes, or the exchange's log, and how manieth of
        its kind it is; the process dies before that call is done.
Rule 3: afterwards the money, the orders and the trades are those of the run that nobody killed. The only difference
        allowed is an entry that was committed and perhaps never sent: it is given up, never sent again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from core.sim.market_recorded import RecordedMarket
from tests.e2e import zigzag
from tests.e2e.program import clean_env, rows
from tests.e2e.witness import DB, LOG, assert_nothing_lost_or_doubled

SYMBOLS = ("BTCUSDT", "ETHUSDT")
BEGIN = "2024-01-01T08:00"
BARS = 18
CALLS = ("pwrite64", "fdatasync", "write")
ENDS_WITHIN_S = 120.0
AGREE = "Both ledgers agree to the last unit of each asset."
TRADES = "SELECT symbol, intent, qty, entry_price, exit_price, profit, fees, dust, why FROM trades"
FILLS = "SELECT symbol, trade_id, client_id, side, qty, price, fee, fee_asset FROM fills ORDER BY symbol, trade_id"
Rows = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Before the ``nth`` call of its kind, counted from 1."""

    call: str
    nth: int

    def __str__(self) -> str:
        return f"{self.call} {self.nth}"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one kill: whether it happened, whether an entry was given up for it, and what is wrong."""

    point: Point
    killed: bool
    given_up: bool
    wrong: str = ""


def cannot_trace() -> str:
    """Why no call can be made to fail here; empty where it can."""
    if not shutil.which("strace"):
        return "strace is not installed (apt install strace)"
    tried = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", "trace=write", "-e", "inject=write:signal=SIGKILL:when=1", "echo"],
        capture_output=True,
        check=False,
    )
    return "" if tried.returncode in (-9, 137) else "this machine does not let a process be traced"


class Script:
    """The run; each time it is played in a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawn = zigzag.write(folder / "drawn", symbols=SYMBOLS)
        self._env = clean_env(folder, history_bars=str(zigzag.HISTORY))
        self._trades: Rows = []
        self._fills: Rows = []

    def points(self) -> list[Point]:
        """Every kill point there is, from a run that is only watched; it becomes what the others are compared with."""
        state, log = self._folder / "whole", self._folder / "calls.txt"
        done = self._play(state, "-o", str(log), "-e", f"trace={','.join(CALLS)}")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert AGREE in done.stdout
        self._trades, self._fills = rows(_demo(state) / DB, TRADES), rows(_demo(state) / DB, FILLS)
        assert len(self._trades) == len(SYMBOLS)
        counts: Counter[tuple[str, str]] = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.MULTILINE))
        # a call is counted in each thread by itself
        most = {call: max((n for (_, name), n in counts.items() if name == call), default=0) for call in CALLS}
        return [Point(call, nth) for call, n in most.items() for nth in range(1, n + 1)]

    def killed_at(self, point: Point) -> Found:
        """Kill a run there, go on with what it left behind, and compare."""
        state = self._folder / str(point).replace(" ", "-")
        inject = f"inject={point.call}:signal=SIGKILL:when={point.nth}"
        first = self._play(state, "-o", os.devnull, "-e", f"trace={point.call}", "-e", inject)
        killed = first.returncode != 0
        last = self._play(state) if killed else first
        try:
            return self._compared(point, state, killed, last)
        finally:
            shutil.rmtree(state)

    def _compared(self, point: Point, state: Path, killed: bool, last: subprocess.CompletedProcess[str]) -> Found:
        if last.returncode or AGREE not in last.stdout:
            said = f"{last.stdout[-500:]}{last.stderr[-500:]}"
            return Found(point, killed, False, f"ended with {last.returncode}: {said}")
        database = _demo(state) / DB
        given_up = bool(rows(database, "SELECT 1 FROM orders WHERE purpose = 'ENTRY' AND state = 'ABSENT'"))
        try:
            assert_nothing_lost_or_doubled(_demo(state), RecordedMarket(self._drawn, SYMBOLS, "1h"))
        except AssertionError as error:
            return Found(point, killed, given_up, f"{error}")
        same = rows(database, TRADES) == self._trades and rows(database, FILLS) == self._fills
        return Found(point, killed, given_up, "" if same or given_up else "other trades than without the kill")

    def _play(self, state: Path, *traced: str) -> subprocess.CompletedProcess[str]:
        """Run the script in ``state``, under strace where there is something to trace."""
        words = ["demo", "--market", f"recorded:{self._drawn}", "--symbols", ",".join(SYMBOLS), "--from", BEGIN]
        words += ["--bars", str(BARS), "--speed", "max", "--headless", "--approve", "auto", "--state", str(state)]
        files = [str(_demo(state) / name) for name in (DB, f"{DB}-wal", LOG)]
        tracer = ["strace", "-f", *traced, *(word for name in files for word in ("-P", name))] if traced else []
        return subprocess.run(
            [*tracer, sys.executable, "-m", "bot", *words],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )


def _demo(state: Path) -> Path:
    return state / "demo"
