"""status: what is held and done, read beside a running assistant."""

from __future__ import annotations

import json
import sqlite3
from argparse import Namespace
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import status
from bot.standing import Standing, as_json, as_text, plain, problems
from core.adapters import statelock
from core.domain.orders import OrderState
from core.domain.state import Doubt, State, put
from core.settings import Settings
from tests.adapters.store_samples import HOUR, START, bar
from tests.bot.lived import firstmate, live, one_line


def shown(home: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `status --json` prints."""
    assert status.main(Namespace(json=True), Settings(home=home, mode=mode)) == 0
    return dict(json.loads(capsys.readouterr().out))


def standing(state: State, **changes: Any) -> Standing:
    """A running demo that has just seen its last bar."""
    whole = Standing("demo", bar(0).close_at, 1, state, 0, None)
    return replace(whole, **changes)


def test_the_whole_answer_of_the_real_process(tmp_path: Path):
    """A script reads mode, money, positions with their protective orders, orders, limits, bars and health."""
    home = tmp_path / "home"
    state = live(home, until="protected")
    done = firstmate("status", "--json", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    (position,) = answer["positions"]
    assert {order["purpose"] for order in position["protective_orders"]} == {"STOP", "TARGET"}
    assert {order["client_id"] for order in answer["orders"]} == {o.client_id for o in state.orders.values() if o.live}
    assert {order["state"] for order in answer["orders"]} == {"OPEN"}
    assert (answer["mode"], answer["running"], answer["last_seq"]) == ("demo", False, state.seq)
    assert answer["limits"]["orders_open_max"] == {"limit": "20", "used": "2"}
    assert answer["bars"]["BTCUSDT"]["close_at"] == "2024-01-01T01:00:00+00:00"
    assert answer["health"] == {"ok": False, "problems": ["The assistant is not running."]}


def test_the_keys_are_those_of_the_documentation(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """docs/status-json.md names every key there is."""
    live(tmp_path, until="protected")
    text = (Path(__file__).parents[2] / "docs" / "status-json.md").read_text()
    answer = shown(tmp_path, "demo", capsys)
    inner = [answer["trading"], answer["positions"][0], answer["orders"][0], answer["bars"]["BTCUSDT"]]
    names = {name for part in [answer, *inner, answer["health"], answer["limits"]] for name in part}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_money_adds_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Cash and positions together are the equity, to the last unit."""
    live(tmp_path, until="protected")
    answer = shown(tmp_path, "demo", capsys)
    held = sum(Decimal(position["value"]) for position in answer["positions"])
    assert Decimal(answer["cash"]) + held == Decimal(answer["equity"]) == Decimal(10_000)


def test_a_life_that_has_not_begun_can_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Between the first start and its first commit the answer is empty, not an error."""
    live(tmp_path, until="empty")
    answer = shown(tmp_path, "demo", capsys)
    assert (answer["last_seq"], answer["equity"], answer["positions"]) == (0, "0", [])
    assert "No bar has been seen yet." in answer["health"]["problems"]


def test_a_running_assistant_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Whoever holds the folder is shown by its process id, and all is well."""
    live(tmp_path, until="protected")
    with statelock.hold(tmp_path):
        answer = shown(tmp_path, "demo", capsys)
    assert answer["running"] is True
    assert answer["pid"] > 0
    assert answer["health"] == {"ok": True, "problems": []}


def test_a_demo_has_the_exchanges_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A demo that plays 2024 is not stale today: its clock is the close of its newest bar."""
    live(tmp_path, "demo", until="protected")
    answer = shown(tmp_path, "demo", capsys)
    assert (answer["at"], answer["bars"]["BTCUSDT"]["age_s"]) == ("2024-01-01T01:00:00+00:00", 0.0)


def test_paper_trading_has_the_walls_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The same bars on real data are stale today."""
    live(tmp_path, "paper", until="protected")
    assert shown(tmp_path, "paper", capsys)["bars"]["BTCUSDT"]["stale"] is True


def test_a_symbol_without_new_bars_is_stale(tmp_path: Path):
    """Old data is told with its age."""
    seen = standing(live(tmp_path, until="protected"), now=START + 30 * HOUR)
    assert "The last bar of BTCUSDT closed 29 h ago: it is too old to trade on." in list(problems(seen))


def test_a_position_without_a_protective_order_is_a_problem(tmp_path: Path):
    """A stop that only exists in our plans protects nothing."""
    bought = live(tmp_path, until="bought")
    assert "No stop of the position in BTCUSDT is proven to stand on the exchange." in list(problems(standing(bought)))


def test_an_order_of_unknown_fate_is_a_problem(tmp_path: Path):
    """What nobody can prove is said."""
    state = live(tmp_path, until="protected")
    order = next(order for order in state.orders.values() if order.live)
    doubtful = state.with_(orders=put(state.orders, order.client_id, replace(order, state=OrderState.MAYBE_SENT)))
    assert any(order.client_id in sentence for sentence in problems(standing(doubtful)))


def test_balances_in_doubt_are_a_problem_and_told_asset_by_asset(tmp_path: Path):
    """Theirs less ours, since when, and whether the owner knows."""
    doubt = Doubt((("BTC", Decimal("-0.50")), ("USDT", Decimal(7))), START)
    seen = standing(live(tmp_path, until="protected").with_(doubt=doubt))
    changes = {"BTC": "-0.5", "USDT": "7"}
    assert as_json(seen)["doubt"] == {"since": START.isoformat(), "told": False, "changes": changes}
    (sentence,) = problems(seen)
    assert "BTC -0.5, USDT +7" in sentence


def test_orders_in_doubt_are_listed(tmp_path: Path):
    """Planned or sent without an answer: nobody knows whether the exchange has them."""
    state = live(tmp_path, until="bought")
    names = [order.client_id for order in state.orders.values() if order.live]
    assert as_json(standing(state))["in_doubt"] == sorted(names)
    assert len(names) == 2


def test_a_position_tells_whether_its_stop_stands_and_follows(tmp_path: Path):
    """A script can check what protects the money."""
    state = live(tmp_path, until="protected")
    trailing = replace(state.positions["BTCUSDT"], trail_bips=265)
    seen = standing(state.with_(positions={"BTCUSDT": trailing}))
    (position,) = as_json(seen)["positions"]  # type: ignore[misc]
    assert (position["stop_stands"], position["stop_moving"], position["trail"]) == (True, False, "0.0265")
    assert "its stop stands and follows the price" in as_text(seen)


def test_messages_that_wait_too_long_are_a_problem(tmp_path: Path):
    """A chat that is cut off is noticed, a message of this minute is not."""
    state = live(tmp_path, until="protected")
    old = standing(state, undelivered=3, undelivered_since=bar(0).close_at - timedelta(hours=3))
    assert list(problems(old)) == ["3 messages wait to be delivered, the oldest for 3 h."]
    assert list(problems(replace(old, undelivered_since=bar(0).close_at))) == []


def test_the_outbox_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Every message the chat has not taken counts."""
    live(tmp_path, until="protected")
    with sqlite3.connect(tmp_path / "demo" / "firstmate.db") as con:
        waiting = con.execute("SELECT count(*) FROM outbox").fetchone()[0]
    con.close()
    assert shown(tmp_path, "demo", capsys)["undelivered"] == waiting > 0


def test_a_terminal_gets_aligned_lines(tmp_path: Path):
    """A screenful: money first, health last, nothing wider than it must be."""
    text = as_text(standing(live(tmp_path, until="protected")))
    lines = text.splitlines()
    assert lines[0] == "mode      demo, running as process 1"
    assert lines[-1] == "  all is well"
    assert max(map(len, lines)) < 120
    assert not any(line != line.rstrip() for line in lines)


def test_the_configured_mode_is_shown_before_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With a demo and a paper account the settings decide."""
    live(tmp_path, "demo", until="opened")
    live(tmp_path, "paper", until="protected")
    assert shown(tmp_path, "paper", capsys)["mode"] == "paper"
    assert shown(tmp_path, "demo", capsys)["mode"] == "demo"


def test_the_only_mode_there_is_needs_no_naming(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Where only a demo ran, status shows the demo."""
    live(tmp_path, "demo", until="opened")
    assert shown(tmp_path, "unset", capsys)["mode"] == "demo"


def test_two_modes_and_no_choice_are_one_sentence(tmp_path: Path):
    """Nothing is guessed where money is concerned."""
    home = tmp_path / "home"
    for mode in ("demo", "paper"):
        live(home, mode, until="opened")
    done = firstmate("status", home=home, symbols="BTCUSDT")
    assert done.returncode == 4
    assert "holds the modes demo, paper: say which by FIRSTMATE_MODE" in one_line(done)


def test_an_empty_folder_is_one_sentence(tmp_path: Path):
    """Asking too early says what to do, and makes no folder."""
    done = firstmate("status", "--json", home=tmp_path / "home")
    assert done.returncode == 4
    assert "holds no state yet" in one_line(done)
    assert not (tmp_path / "home").exists()


def test_a_damaged_database_is_one_sentence(tmp_path: Path):
    """Damage is exit 4 with the fix."""
    home = tmp_path / "home"
    (home / "demo").mkdir(parents=True)
    (home / "demo" / "firstmate.db").write_bytes(b"no database " * 500)
    done = firstmate("status", home=home)
    assert done.returncode == 4
    assert "damaged" in one_line(done)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**15), max_value=10**15))
def test_a_number_is_written_with_every_digit_and_no_exponent(number: Decimal):
    """What is read back is what was there."""
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert text != "-0"
