"""``kill -9`` at chosen and at random moments of a headless demo: it goes on, nothing lost, nothing doubled."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.sim.market_recorded import RecordedMarket
from tests.e2e import zigzag
from tests.e2e.program import Program, Reader, clean_env, run, running
from tests.e2e.witness import DB, Log, assert_nothing_lost_or_doubled, placed

BARS = "60"
LONG = "101"
LIVES_MAX = 8


class Demo:
    """One headless demo of the hand-drawn market, to be killed and started again in the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.market = zigzag.write(folder / "drawn")
        self.state = folder / "state" / "demo"
        self._env = clean_env(folder, history_bars=str(zigzag.HISTORY))
        self._words = ("demo", "--market", f"recorded:{self.market}", "--symbols", ",".join(zigzag.SYMBOLS))
        self._words += ("--from", "2024-01-01", "--speed", "max", "--headless", "--approve", "auto")
        self._words += ("--state", str(folder / "state"))
        self.starts = 0
        self.log = Log(self.state)
        self.db = Reader(self.state / DB)

    def start(self, bars: str = BARS) -> tuple[Path, tuple[str, ...], str, dict[str, str]]:
        """What ``running`` and ``run`` take for the next start."""
        self.starts += 1
        return self.folder, (*self._words, "--bars", bars), f"run{self.starts}", self._env

    def kill_when(self, look: Callable[[], bool], bars: str = BARS) -> None:
        """Start it and kill it at that moment, which must come."""
        assert self.killed_when(look, bars), "the moment never came"

    def killed_when(self, look: Callable[[], bool], bars: str = BARS, from_bar: int = 0) -> bool:
        """Start it and kill it at that moment, after ``from_bar`` bars or later; False where it ended before."""
        folder, words, name, env = self.start(bars)
        with running(folder, *words, name=name, env=env) as program:
            program.wait_until(lambda: program.out and len(self.times()) >= from_bar, "a first word")
            return program.kill_when(look)

    def finish(self, bars: str = BARS) -> Program:
        """Start it and let it end; it must go on with what it finds and end well."""
        folder, words, name, env = self.start(bars)
        done = run(folder, *words, name=name, env=env)
        assert done.child.returncode == 0, (done.out[-3000:], done.err)
        assert self.starts == 1 or done.out.startswith("Going on with the demo that was interrupted here.")
        assert "Both ledgers agree to the last unit of each asset." in done.out
        assert_nothing_lost_or_doubled(self.state, self.read_market())
        return done

    def read_market(self) -> RecordedMarket:
        """The market the exchange plays."""
        return RecordedMarket(self.market, zigzag.SYMBOLS, "1h")

    # what can be seen from outside at one moment

    def orders(self, purpose: str, *states: str) -> set[str]:
        """Client ids the journal holds in one of these states."""
        marks = ",".join("?" * len(states))
        sql = f"SELECT client_id FROM orders WHERE purpose = ? AND state IN ({marks})"
        return {str(name) for (name,) in self.db.rows(sql, purpose, *states)}

    def at_exchange(self) -> set[str]:
        """Client ids in the exchange's own log."""
        return set(placed(self.log.lines()))

    def canceled_there(self) -> bool:
        """Whether the exchange took a cancel."""
        return any(line["k"] == "cancel" for line in self.log.lines())

    def cancel_committed(self) -> bool:
        """Whether the journal holds an order to cancel."""
        newest = "SELECT 1 FROM journal WHERE seq > (SELECT max(seq) - 12 FROM journal)"
        return bool(self.db.rows(newest + " AND effects LIKE ?", '[["Cancel"%'))

    def bars_behind(self) -> bool:
        """Whether the exchange is a bar ahead of the journal, the fetching of which is under way."""
        newest = self.db.rows("SELECT max(at_ms) FROM journal WHERE kind = 'BarSeen'")
        return bool(newest and newest[0][0]) and self.times()[-1] > newest[0][0]

    def times(self) -> list[int]:
        """Close times of the bars the exchange has played, epoch ms."""
        return [line["at"] for line in self.log.lines() if line["k"] == "bar"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo that was never started."""
    made = Demo(tmp_path)
    yield made
    made.db.close()


@pytest.mark.parametrize("purpose", ["ENTRY", "STOP"])
@pytest.mark.parametrize("arrived", [False, True], ids=["before-it-was-sent", "before-its-answer-was-heard"])
def test_a_kill_after_the_commit_of_an_order_neither_loses_nor_doubles_it(
    demo: Demo, purpose: str, arrived: bool
) -> None:
    """Committed and not sent, or sent and not known: an entry is never sent again, a protection always comes."""
    known: set[str] = set()

    def moment() -> bool:
        doubtful = demo.orders(purpose, "PLANNED", "MAYBE_SENT") - known
        there = demo.at_exchange()
        found = {name for name in doubtful if (name in there) is arrived}
        known.update(found)
        return bool(found)

    demo.kill_when(moment)
    demo.kill_when(moment)
    demo.finish()
    if not arrived:  # an entry brings its stop: what was not sent with it never comes
        assert demo.orders(purpose, "ABSENT") >= known
    elif purpose == "ENTRY":
        assert demo.orders("ENTRY", "FILLED") >= known
    else:
        positions = demo.db.rows("SELECT count(*) FROM fills WHERE side = 'SELL'")
        assert positions[0][0] >= len(known)


@pytest.mark.parametrize("arrived", [False, True], ids=["before-it-was-sent", "before-its-answer-was-heard"])
def test_a_kill_in_the_middle_of_leaving_by_time_still_leaves_once(tmp_path: Path, arrived: bool) -> None:
    """Cancel the protection, then sell: whatever half of it was done, the position is sold, once."""
    first = _canceled_unheard if arrived else _cancel_unsent

    def caught(demo: Demo) -> bool:
        """Whether it was killed at both moments, each of which may be over before it is seen."""
        return demo.killed_when(lambda: first(demo), LONG, from_bar=90) and demo.killed_when(
            lambda: bool(demo.orders("EXIT", "PLANNED")) and _exit_there(demo) is arrived, LONG
        )

    lives = (Demo(tmp_path / str(number)) for number in range(LIVES_MAX))
    demo = next((demo for demo in lives if caught(demo)), None)
    assert demo, f"the moments were over before they were seen in {LIVES_MAX} lives"
    demo.finish(LONG)
    assert len(demo.orders("EXIT", "FILLED")) == 1
    assert demo.db.rows("SELECT why FROM trades WHERE symbol = ?", zigzag.FLAT) == [("time",)]
    demo.db.close()


def _cancel_unsent(demo: Demo) -> bool:
    return demo.cancel_committed()  # as early as it can be seen: the moment before it is sent is too short to wait for


def _canceled_unheard(demo: Demo) -> bool:
    stop = f"%-{zigzag.FLAT}-%-s0"
    sql = "SELECT 1 FROM orders WHERE state = 'OPEN' AND client_id LIKE ?"
    return demo.canceled_there() and bool(demo.db.rows(sql, stop))


def _exit_there(demo: Demo) -> bool:
    return any(name.rsplit("-", 1)[1].startswith("x") for name in demo.at_exchange())


def test_a_kill_between_two_bars_loses_none(demo: Demo) -> None:
    """Killed while the newest bars are being fetched and decided on: each is decided on once."""
    demo.kill_when(demo.bars_behind)
    demo.kill_when(demo.bars_behind)
    demo.finish()
    found = demo.db.rows("SELECT key, count(*) FROM journal WHERE kind = 'BarSeen' GROUP BY body")
    assert len(found) == int(BARS) * len(zigzag.SYMBOLS)


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_random_moments_change_no_sum(demo: Demo, seed: int) -> None:
    """Start, kill, start, kill, wherever it hits: in the start-up, in a bar, in an order, in an answer."""
    dice = random.Random(seed)
    for _ in range(5):
        folder, words, name, env = demo.start(LONG)
        with running(folder, *words, name=name, env=env) as program:
            if dice.random() < 0.7:
                program.wait_until(lambda: program.out, "a first word")
            time.sleep(dice.uniform(0.0, 0.5))
            assert program.alive
    demo.finish(LONG)


def test_a_disk_that_fills_up_in_the_middle_ends_in_one_line_and_costs_nothing(demo: Demo) -> None:
    """No room for the next journal line: the program stops rather than act unrecorded, and goes on when there is."""
    folder, words, name, env = demo.start()
    with running(folder, *words, name=name, env=env) as program:
        program.wait_until(lambda: len(demo.times()) > 15, "fifteen bars")
        full = (demo.state / f"{DB}-wal").stat().st_size
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (full, full))
        assert program.end() == 4, program.err
        said = [line for line in program.err.splitlines() if line.startswith("firstmate: ")]
        assert len(said) == 1
        assert "disk" in said[0]
        assert "Traceback" not in program.err
    demo.finish()
