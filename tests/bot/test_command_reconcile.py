"""reconcile: books and exchange compared, beside a running assistant or in its place."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from argparse import Namespace
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.commands import reconcile
from bot.comparison import Comparison, as_json, as_text
from core.adapters import statelock
from core.adapters.db import Database
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.records import SqliteRecords
from core.domain.errors import AlreadyRunning, NeedsOwner, RetryLater
from core.domain.orders import OrderKind, OrderState, Side
from core.ports import OrderReport
from core.run.reconciliation import Reconciliation
from core.settings import Settings, SettingsWrong
from core.worlds import MODES, World
from tests import vaults
from tests.adapters.store_samples import BTC
from tests.bot.fakes import StandingClock
from tests.bot.lived import firstmate, live, one_line
from tests.bot.served import serving
from tests.bot.test_command_exchange import url_of

AT = datetime.fromisoformat("2024-01-01T01:00:00+00:00")
STRANGER = OrderReport(
    "web_4f1",
    "BTCUSDT",
    "77",
    OrderState.OPEN,
    Decimal(0),
    side=Side.BUY,
    kind=OrderKind.LIMIT,
    qty=Decimal("0.010"),
    price=Decimal(60000),
)
CLEAN = Reconciliation(AT, "every minute", ("BTCUSDT",), 2, 0, 2, True, (), (), (STRANGER,))


@dataclass
class Account:
    """An account as the exchange shows it: open orders, balances, no trade that is not booked; ``down`` is raised."""

    orders: list[OrderReport]
    held: dict[str, Decimal]
    down: Exception | None = None
    sent: int = 0

    def _answer(self, value: Any) -> Any:
        if self.down:
            raise self.down
        return value

    async def instruments(self, symbols: Any) -> Any:
        return self._answer(dict.fromkeys(symbols, BTC))

    async def open_orders(self, symbol: str = "") -> Any:
        return self._answer(self.orders)

    async def find(self, symbol: str, client_id: str) -> Any:
        return self._answer(next((r for r in self.orders if r.client_id == client_id), None))

    async def trades(self, symbol: str, after_id: str) -> Any:
        return self._answer(())

    async def newest_trade_id(self, symbol: str) -> int:
        return int(self._answer(7))

    async def balances(self) -> Any:
        return self._answer(self.held)

    async def submit_pair(self, stop: Any, target: Any) -> Any:
        self.sent += 1


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A paper life that holds a protected position, and the account it lives on."""
    state = live(tmp_path, "paper", until="protected")
    shown = [
        OrderReport(
            o.client_id,
            o.symbol,
            o.exchange_id,
            o.state,
            o.filled_qty,
            side=o.side,
            kind=o.kind,
            qty=o.qty,
            price=o.price,
        )
        for o in state.orders.values()
        if o.live
    ]
    (folder_of(tmp_path, "paper") / "install").write_text(f"{state.install}\n")
    made = Account([*shown, STRANGER], dict(state.balances))

    @asynccontextmanager
    async def world(settings: Settings, kept: Any) -> Any:
        yield World(StandingClock(AT), made, made, staged="")  # type: ignore[arg-type]

    monkeypatch.setitem(MODES, "paper", world)  # type: ignore[arg-type]
    return made


def asked(home: Path, capsys: pytest.CaptureFixture[str], mode: str = "paper") -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `reconcile --json`."""
    settings = Settings(home=home, mode=mode, symbols=("BTCUSDT",))
    code = reconcile.main(Namespace(json=True), settings)
    return code, json.loads(capsys.readouterr().out)


def keep(home: Path, mode: str, report: Reconciliation) -> None:
    """As the running assistant keeps it."""

    async def work() -> None:
        db = await Database.open(folder_of(home, mode) / MAIN_FILE, durable=False)
        await SqliteRecords(db).keep_reconciliation(report.at, report)
        await db.close()

    asyncio.run(work())


def test_an_assistant_that_does_not_run_is_stood_in_for(tmp_path, account, capsys):
    """Orders, trades and balances are compared with the account itself; agreement is exit 0."""
    code, answer = asked(tmp_path, capsys)
    assert (code, answer["clean"], answer["running"], answer["why"]) == (0, True, False, "asked")
    assert answer["compared"] == {
        "symbols": ["BTCUSDT"],
        "orders": 2,
        "new_trades": 0,
        "assets": 2,
        "balances": True,
    }
    assert [order["client_id"] for order in answer["foreign"]] == ["web_4f1"]
    assert answer["foreign"][0]["qty"] == "0.01"


def test_what_differs_is_exit_1(tmp_path, account, capsys):
    """A script notices money that moved beside the assistant."""
    account.held["USDT"] += 5
    code, answer = asked(tmp_path, capsys)
    assert (code, answer["clean"]) == (1, False)
    assert answer["differing"][0].startswith("USDT: the exchange has +5")


def test_what_is_found_is_booked_and_nothing_is_sent(tmp_path, account, capsys):
    """A pair that was cancelled by hand is found; the one that replaces it waits for the start, and is named."""
    account.orders = [
        OrderReport(r.client_id, r.symbol, r.exchange_id, OrderState.CANCELED, r.filled_qty) for r in account.orders[:2]
    ]
    _, answer = asked(tmp_path, capsys)
    assert len([line for line in answer["found"] if line.endswith("had been cancelled.")]) == 2
    assert len(answer["unsent"]) == 2
    assert account.sent == 0
    _, again = asked(tmp_path, capsys)
    assert again["unsent"] == answer["unsent"]


def test_an_exchange_that_does_not_answer_is_exit_5(tmp_path, account, capsys):
    """The error says so by its own exit code, and the books stay as they were."""
    account.down = RetryLater("Binance cannot be reached.")
    with pytest.raises(RetryLater) as caught:
        asked(tmp_path, capsys)
    assert caught.value.exit_code == 5


def test_an_exchange_that_hangs_is_not_waited_for_without_end(tmp_path, account, capsys, monkeypatch):
    """After its time the command gives up with one line."""

    async def hang(symbols: Any) -> Any:
        await asyncio.Event().wait()

    account.instruments = hang  # type: ignore[method-assign]
    monkeypatch.setattr(reconcile, "COMPARE_WITHIN_S", 0.05)
    with pytest.raises(RetryLater, match="did not answer everything"):
        asked(tmp_path, capsys)


def test_a_comparison_made_now_is_kept(tmp_path, account, capsys):
    """Whoever asks next beside a running assistant finds it."""
    _, answer = asked(tmp_path, capsys)
    with statelock.hold(folder_of(tmp_path, "paper")):
        _, kept = asked(tmp_path, capsys)
    assert (kept["at"], kept["foreign"]) == (answer["at"], answer["foreign"])


def test_beside_a_running_assistant_its_newest_comparison_is_shown(tmp_path, capsys):
    """With its age, and the exit code it deserves; the exchange is not asked by two programs."""
    live(tmp_path, "demo", until="protected")
    keep(tmp_path, "demo", CLEAN)
    keep(
        tmp_path, "demo", Reconciliation(AT, "every minute", (), 0, 0, 1, True, ("USDT: the exchange has -3",), (), ())
    )
    with statelock.hold(tmp_path):
        code, answer = asked(tmp_path, capsys, "demo")
    assert (code, answer["running"], answer["differing"]) == (1, True, ["USDT: the exchange has -3"])
    assert answer["age_s"] == 0.0


def test_before_the_first_comparison_there_is_a_line(tmp_path, capsys):
    """It is no agreement."""
    live(tmp_path, "demo", until="protected")
    with pytest.raises(RetryLater, match="Nothing was compared yet"):
        asked(tmp_path, capsys, "demo")


def test_a_folder_that_another_mode_works_in_is_left_alone(tmp_path, account, capsys):
    """Two programs never work on one state folder."""
    with statelock.hold(tmp_path), pytest.raises(AlreadyRunning):
        asked(tmp_path, capsys)


@pytest.mark.parametrize("mode", ["testnet", "live"])
def test_an_account_without_a_key_cannot_be_asked(tmp_path, capsys, mode):
    """The line says how to give it one."""
    live(tmp_path, mode, until="protected")
    with pytest.raises(SettingsWrong, match="keys set exchange-"):
        asked(tmp_path, capsys, mode)


def test_an_account_of_another_key_is_not_compared_with_these_books(tmp_path, monkeypatch):
    """Live is asked with the key it was allowed for, or the other account's balances would be booked."""
    live(tmp_path, "live", until="protected")
    keys = vaults.exchange("live", "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests")
    done = firstmate("reconcile", home=tmp_path, env=vaults.sealed(tmp_path, keys, tmp_path / "keys"), mode="live")
    assert done.returncode == NeedsOwner.exit_code
    assert "leave" in one_line(done)


def test_the_keys_are_those_of_the_documentation():
    """docs/status-json.md names every key there is."""
    text = (Path(__file__).parents[2] / "docs" / "status-json.md").read_text()
    answer = as_json(Comparison("paper", 5, AT, CLEAN))
    names = {*answer, *answer["compared"], *answer["foreign"][0]}  # type: ignore[misc, index]
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_a_terminal_gets_what_was_compared_and_only_what_there_is():
    """Sections without a line are left out."""
    seen = Comparison("testnet", 4242, AT + timedelta(seconds=34), CLEAN)
    assert as_text(seen) == (
        "mode       testnet, running as process 4242\n"
        "compared   2024-01-01 01:00:00 UTC, 34 s ago (every minute)\n"
        "           BTCUSDT\n"
        "           2 open orders of ours, 0 new trades, 2 balances\n"
        "verdict    everything agrees\n\n"
        "not ours, never touched\n"
        "  BTCUSDT BUY LIMIT 0.01 60000 web_4f1"
    )


def test_the_real_process_compares_with_a_served_exchange(tmp_path: Path):
    """Over HTTP with a signature: 10,000 USDT adopted, agreement, exit 0; without the exchange exit 5 in one line."""
    home = tmp_path / "home"
    live(home, "testnet", until="empty")
    env = vaults.sealed(home, vaults.exchange("testnet", "FAKE-exchange-key", "FAKE-exchange-secret"))
    with serving("exchange", "--symbols", "BTCUSDT", home=tmp_path / "there") as server:
        settings = {"mode": "testnet", "testnet_url": url_of(server), "symbols": "BTCUSDT"}
        done = firstmate("reconcile", "--json", home=home, env=env, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["compared"]["symbols"] == ["BTCUSDT"]
    with sqlite3.connect(folder_of(home, "testnet") / MAIN_FILE) as con:
        kinds = {kind for (kind,) in con.execute("SELECT kind FROM journal")}
    assert kinds == {"Configured", "InstrumentsSeen", "TradesBegan", "BalancesSeen"}
    gone = firstmate("reconcile", "--json", home=home, env=env, **settings)
    assert gone.returncode == 5
    assert "firstmate:" in one_line(gone)
