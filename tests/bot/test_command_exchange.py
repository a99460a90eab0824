"""exchange: the simulated exchange alone, as a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from binance.spot import Spot

from core.adapters import statelock
from tests.bot.lived import firstmate, one_line
from tests.bot.served import Server, serving

SMALL = ("--symbols", "BTCUSDT,ETHUSDT")


def url_of(server: Server) -> str:
    """Where it listens, once it said all it has to say."""
    found = re.search(r"exchange at (http://127\.0\.0\.1:\d+)", server.until("Ctrl-C stops."))
    assert found
    return found[1]


def asked(url: str, method: str = "GET") -> Any:
    """The JSON of one request."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as reply:
        return json.load(reply)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals):
    """Ctrl-C and the service manager get exit 0 and no traceback, and without --state nothing is left."""
    with serving("exchange", *SMALL, home=tmp_path / "home") as server:
        assert asked(f"{url_of(server)}/sim/v1/state")["symbols"] == ["BTCUSDT", "ETHUSDT"]
        assert server.end(number) == (0, "Stopped.\n", "")
    assert not (tmp_path / "home").exists()


def test_ccxt_trades_with_the_lines_it_prints(tmp_path: Path):
    """What is printed can be pasted into a program, and the account buys."""
    with serving("exchange", *SMALL, home=tmp_path / "home") as server:
        url_of(server)
        lines = server.printed[server.printed.index("import ccxt") : server.printed.index("Ctrl-C")]
        names: dict[str, Any] = {}
        exec(lines, names)
        order = names["exchange"].create_order("BTC/USDT", "market", "buy", 0.001)
        held = names["exchange"].fetch_balance()["total"]
        assert server.end(signal.SIGTERM)[0] == 0
    assert order["status"] == "closed"
    assert held["BTC"] > 0


def test_lock_step_moves_by_command_and_goes_on_from_its_log(tmp_path: Path):
    """With --state a second start is where the first one ended."""
    line = ("exchange", *SMALL, "--speed", "max", "--state", str(tmp_path / "kept"))
    with serving(*line, home=tmp_path / "home") as server:
        url = url_of(server)
        moved = asked(f"{url}/sim/v1/advance?bars=3", "POST")["time"]
        assert server.end(signal.SIGTERM)[0] == 0
    with serving(*line, home=tmp_path / "home") as server:
        assert asked(f"{url_of(server)}/sim/v1/state")["time"] == moved
    assert (tmp_path / "kept" / "exchange.jsonl").is_file()


def test_a_log_of_another_exchange_is_refused(tmp_path: Path):
    """Other flags on the same folder are a mistake, told in one line."""
    state = ("--state", str(tmp_path / "kept"))
    with serving("exchange", *SMALL, *state, home=tmp_path / "home") as server:
        url_of(server)
        server.end(signal.SIGTERM)
    done = firstmate("exchange", *SMALL, *state, "--seed", "2", home=tmp_path / "home")
    assert done.returncode == 2
    assert "belongs to another exchange" in one_line(done)


def test_two_on_one_folder_are_refused(tmp_path: Path):
    """One log has one writer."""
    with statelock.hold(tmp_path / "kept"):
        done = firstmate("exchange", "--state", str(tmp_path / "kept"), home=tmp_path / "home")
    assert done.returncode == 3
    one_line(done)


def test_a_taken_port_is_one_line(tmp_path: Path):
    """Another program on the port is told with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = firstmate("exchange", "--port", str(taken.getsockname()[1]), home=tmp_path / "home")
    assert done.returncode == 2
    assert "is not free" in one_line(done)


def test_a_symbol_that_is_no_pair_is_one_line(tmp_path: Path):
    """A market cannot be made for a name without a quote asset."""
    done = firstmate("exchange", "--symbols", "NOQUOTE", home=tmp_path / "home")
    assert done.returncode == 2
    assert "NOQUOTE is no pair" in one_line(done)


def test_a_client_on_the_walls_clock_is_served(tmp_path: Path):
    """A made-up market starts now, so a plain client need not know that its exchange is a stand-in."""
    with serving("exchange", *SMALL, "--timeframe", "1h", home=tmp_path / "home") as server:
        client = Spot("FAKE-exchange-key", "FAKE-exchange-secret", base_url=url_of(server))
        bought = client.new_order("BTCUSDT", "BUY", "MARKET", quantity="0.001")
        assert server.end(signal.SIGTERM)[0] == 0
    assert bought["status"] == "FILLED"


def test_faults_are_switched_on_and_off(tmp_path: Path):
    """With --faults every request may fail; a driver calms the exchange down before it compares."""
    with serving("exchange", *SMALL, "--faults", "7:1", home=tmp_path / "home") as server:
        url = url_of(server)
        assert "Faults: in 100% of the requests, drawn from seed 7" in server.printed
        assert asked(f"{url}/sim/v1/faults?share=0", "POST") == {"share": 0.0, "faults": {}}
        assert asked(f"{url}/api/v3/time")["serverTime"] > 0
        assert server.end(signal.SIGTERM)[0] == 0


def test_a_plan_of_faults_that_is_none_is_one_line(tmp_path: Path):
    """A share beyond 1 is refused before anything starts."""
    done = firstmate("exchange", "--faults", "7:1.5", home=tmp_path / "home")
    assert done.returncode == 2
    assert "is no plan of faults" in one_line(done)
