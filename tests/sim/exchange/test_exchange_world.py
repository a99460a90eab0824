"""The exchange's time and memory: lock-step, running, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.decide.venue import ListPlacement, Placement
from core.domain.errors import BadData, NeedsOwner, Refused
from core.domain.orders import OrderKind, Side, Tif
from core.sim.exchange.server import listening, serve
from core.sim.exchange.world import SimExchange
from tests.sim.exchange.exchange_rig import BALANCES, KEY, SECRET, START, exchange, seeded, served

D = Decimal
ROOT = Path(__file__).resolve().parents[3]


def market(side="BUY", qty="0.1", name="m"):
    return Placement("BTCUSDT", Side(side), OrderKind.MARKET, name, qty=D(qty))


def pair(last):
    def at(share):
        return (D(str(last)) * D(share)).quantize(D("0.01"))

    stop = Placement(
        "BTCUSDT", Side.SELL, OrderKind.STOP_LOSS_LIMIT, "stop", D("0.09"), None, at("0.9"), at("0.97"), Tif.GTC
    )
    target = Placement("BTCUSDT", Side.SELL, OrderKind.LIMIT_MAKER, "target", D("0.09"), None, at("1.03"))
    return ListPlacement("pair", (stop, target))


def live_a_little(found):
    """Buy, protect, cancel, sell, over some bars."""
    found.submit(market())
    found.submit_list(pair(found.tape.last("BTCUSDT")))
    for i in range(30):
        found.advance()
        low = D(str(found.tape.last("ETHUSDT"))).quantize(D(1)) - 40
        asked = Placement("ETHUSDT", Side.BUY, OrderKind.LIMIT, f"l{i}", D("0.5"), None, low)
        found.submit(asked)
        if i % 3 == 0:
            found.cancel("ETHUSDT", f"l{i}")
    with pytest.raises(Refused):
        found.submit(market(qty="500"))


def picture(found):
    """Everything a client could see of our account and the time."""
    history = found.history
    trades = {s: history.trades(s) for s in found.market.symbols}
    return found.now(), found.venue, history.orders, history.lists, trades


def test_a_killed_exchange_comes_back_exactly_as_it_was(tmp_path):
    """Orders, trades, balances, ids and time: all back from the log of inputs, without a clean ending."""
    path = tmp_path / "inputs.jsonl"
    first = exchange(path=path)
    live_a_little(first)
    again = exchange(path=path)
    assert picture(again) == picture(first)
    again.advance()
    first.close()
    assert exchange(path=path).now() == first.now() + timedelta(hours=1)


def test_a_torn_last_line_is_as_if_it_never_came(tmp_path):
    """The line that was being written when the power went was never answered."""
    path = tmp_path / "inputs.jsonl"
    first = exchange(path=path)
    live_a_little(first)
    with path.open("ab") as file:
        file.write(b'{"k":"place","at":17041,"order":{"symbol":"BTCUSDT","side":"BUY","kind":"MARKET","client_id":"mm')
    again = exchange(path=path)
    assert picture(again) == picture(first)
    again.advance()
    assert picture(exchange(path=path)) == picture(again)


def test_a_full_disk_leaves_no_half_line(tmp_path):
    """An input that found no room did not happen; when there is room again the exchange and its log go on."""
    path = tmp_path / "inputs.jsonl"
    script = f"""if True:
        import resource
        from tests.sim.exchange.test_exchange_world import *
        e, done = exchange(path=Path({str(path)!r})), 0
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        try:
            while True:
                e.submit(market(qty="0.001", name=f"m{{done}}"))
                done += 1
        except OSError:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert len(e.history.orders) == done
        e.submit(market(qty="0.001", name="last"))
        print(repr(picture(e)))
    """
    lived = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert repr(picture(exchange(path=path))) == lived.stdout.strip()


def test_kill_nine_loses_nothing_that_was_answered(tmp_path):
    """A process that dies in the middle of its work is found again as its last answer left it."""
    path = tmp_path / "inputs.jsonl"
    script = (
        "from tests.sim.exchange.test_exchange_world import *; import signal;"
        f"e = exchange(path=Path({str(path)!r})); live_a_little(e);"
        "print(repr(picture(e)), flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -9
    assert repr(picture(exchange(path=path))) == killed.stdout.strip()


def test_the_log_of_another_exchange_is_refused(tmp_path):
    """One sentence that names both, and the file stays as it was."""
    path = tmp_path / "inputs.jsonl"
    exchange(path=path).advance()
    before = path.read_bytes()
    with pytest.raises(BadData, match=r"belongs to another exchange \(seeded:7 .*, not seeded:8 "):
        exchange(path=path, seed=8)
    with pytest.raises(BadData, match="belongs to another exchange"):
        exchange(path=path, balances={"USDT": D(1)})
    assert path.read_bytes() == before
    path.write_text("hello\nworld\n")
    with pytest.raises(BadData, match="is no log of the simulated exchange"):
        exchange(path=path)


def test_a_refused_order_leaves_no_line(tmp_path):
    """Only what changed the exchange is in its memory."""
    path = tmp_path / "inputs.jsonl"
    found = exchange(path=path)
    with pytest.raises(Refused):
        found.submit(market(qty="500"))
    assert len(path.read_text().splitlines()) == 1


def test_another_process_with_the_same_seed_sees_the_same_exchange():
    """Prices, fills and ids do not depend on the process or its hash seed."""
    script = (
        "from tests.sim.exchange.test_exchange_world import *; import hashlib;"
        "e = exchange(); live_a_little(e); print(hashlib.sha256(repr(picture(e)).encode()).hexdigest())"
    )
    outs = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outs[0] == outs[1] != ""


def test_the_ledger_is_what_was_put_in_plus_what_trading_did():
    """totals() equals the start plus every trade and fee, to the last unit."""
    found = exchange()
    live_a_little(found)
    expected = dict(BALANCES)
    for symbol in found.market.symbols:
        instrument = found.terms(symbol).instrument
        for t in found.history.trades(symbol):
            sign = 1 if t.side is Side.BUY else -1
            expected[instrument.base] = expected.get(instrument.base, D(0)) + sign * t.qty
            expected[instrument.quote] -= sign * t.qty * t.price
            expected[t.fee_asset] -= t.fee
    assert found.totals() == {a: v for a, v in expected.items() if v}


async def test_a_running_exchange_moves_by_itself_and_remembers(tmp_path):
    """At speed, steps pass without anybody asking, and a restart goes on from there."""
    path = tmp_path / "inputs.jsonl"
    async with served(speed=36_000, path=path) as (found, plain):
        found.submit(market())
        hour_over = asyncio.Event()
        end_ms = found.tape.bar_ms + found.market.span_ms
        found.listeners.append((lambda moves: None, lambda: hour_over.set() if found.tape.now_ms >= end_ms else None))
        async with asyncio.timeout(5):
            await hour_over.wait()
        candles = await plain.get("/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=2)
        assert len(candles) == 2
    ended, account = found.tape.now_ms, found.venue
    lines = [json.loads(text)["k"] for text in path.read_text().splitlines()[1:]]
    assert "step" in lines
    again = exchange(speed=36_000, path=path)
    assert again.tape.now_ms <= ended
    assert again.venue == account


def test_the_end_of_a_record_is_told():
    """advance gives None when nothing is left, and the time stands still."""

    class Short:
        """A market that ends three bars after the start."""

        def __init__(self):
            self._whole = seeded()
            self.label, self.simulated = "short", True
            self.symbols, self.span_ms = self._whole.symbols, self._whole.span_ms
            self.pair, self.row, self.rows = self._whole.pair, self._whole.row, self._whole.rows
            self.first_ms = self._whole.first_ms

        def next_open(self, at_ms):
            end = int(START.timestamp() * 1000) + 3 * self.span_ms
            return self._whole.next_open(at_ms) if at_ms < end else None

    found = SimExchange(Short(), start=START, speed=None, keys={}, balances={})
    times = [found.advance() for _ in range(5)]
    assert times == [START + timedelta(hours=h) for h in (1, 2, 3)] + [None, None]
    with pytest.raises(BadData, match="choose an earlier start"):
        SimExchange(Short(), start=START + timedelta(days=1), speed=None, keys={}, balances={})


async def test_a_taken_port_is_told_in_one_sentence():
    """Two exchanges on one port: the second says so."""
    async with listening(exchange()) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(NeedsOwner, match=f"port {port} .* is not free"):
            async with listening(exchange(), port):
                pass


async def test_serving_alone_says_where_and_ends_when_cancelled(tmp_path):
    """What the command line runs: an address, an exchange on it, a clean end."""
    ready = asyncio.get_running_loop().create_future()
    path = tmp_path / "inputs.jsonl"
    serving = asyncio.create_task(
        serve(0, seeded(), None, start=START, keys={KEY: SECRET}, balances=BALANCES, path=path, ready=ready)
    )
    async with asyncio.timeout(5):
        assert (await ready).startswith("http://127.0.0.1:")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert path.exists()


def test_a_running_exchange_goes_by_the_clock_it_is_given():
    """A loop with virtual time drives it: hours pass as soon as that clock says so."""
    seconds = [1000.0]
    found = SimExchange(seeded(), start=START, speed=1, keys={}, balances=BALANCES, clock=lambda: seconds[0])
    assert found.now() == START
    seconds[0] += 5400.5
    assert found.now() == START + timedelta(seconds=5400.5)
