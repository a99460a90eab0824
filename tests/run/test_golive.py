"""The checks before real money: what passes, what does not, and that each failure names its fix."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.market import Instrument, Quote
from core.domain.orders import OrderKind, Side
from core.ports import Rights
from core.run import golive
from core.run.golive import Measured

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WELL = Rights((), ())


def rule(symbol: str = "BTCUSDT", **changes: object) -> Instrument:
    """Rules of a pair."""
    plain = Instrument(symbol, symbol.removesuffix("USDT"), "USDT", *map(Decimal, ("0.01", "0.00001", "0.00001", "5")))
    return replace(plain, **changes)


def round_trips(count: int, days: float) -> list[tuple[datetime, datetime]]:
    """So many, the first opened and the last closed ``days`` apart."""
    opened = [(NOW - days * DAY, NOW - days * DAY)] * (count - 1)
    return [*opened, (NOW, NOW)] if count > 1 else [(NOW - days * DAY, NOW)][:count]


WHOLE = Measured(
    practice=round_trips(20, 7),
    chat="",
    key="",
    rights=WELL,
    clock_off_ms=12.0,
    rules={"BTCUSDT": rule(), "ETHUSDT": rule("ETHUSDT")},
    tried="",
    live_pid=None,
    free_mb=5_000,
    own_model=True,
    at=NOW,
)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def failed(**changes: object) -> list[golive.Hurdle]:
    """The checks that do not pass when so much is different."""
    return [hurdle for hurdle in golive.hurdles(SYMBOLS, replace(WHOLE, **changes)) if not hurdle.passed]


def test_with_everything_in_order_all_checks_pass_and_none_has_a_fix():
    """Nine lines, each with what was measured."""
    found = golive.hurdles(SYMBOLS, WHOLE)
    assert [hurdle.name for hurdle in found] == [
        "paper trades", "chat", "key", "key rights", "clock", "symbols", "protection", "alone", "disk",
    ]  # fmt: skip
    assert all(hurdle.passed and hurdle.found and not hurdle.fix for hurdle in found)


def test_live_without_a_model_of_its_own_is_told_and_keeps_nobody_from_it():
    """It is a note: nothing to pass, and what it means stands there."""
    found = golive.hurdles(SYMBOLS, replace(WHOLE, own_model=False))
    assert all(hurdle.passed for hurdle in found)
    assert [hurdle.name for hurdle in found if not hurdle.judged] == ["model"]
    first, fix = list(golive.lines(found))[-2:]
    assert first.startswith("note    model")
    assert first.endswith("it will watch and train, and buy nothing until one has.")
    assert fix.endswith("./run models promote ID --from paper")


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"practice": []}, "paper trades", "no round trip"),
        ({"practice": round_trips(19, 30)}, "paper trades", "19 closed"),
        ({"practice": round_trips(100, 6.9)}, "paper trades", "6.9 days"),
        ({"practice": "The database is damaged"}, "paper trades", "damaged"),
        ({"chat": "Mode live needs the bot's token: `./run keys set telegram`."}, "chat", "token"),
        ({"rights": Rights(("enableWithdrawals",), ())}, "key rights", "too much: enableWithdrawals"),
        ({"rights": Rights((), ("ipRestrict",))}, "key rights", "lacks ipRestrict"),
        ({"rights": "No usable answer"}, "key rights", "not known"),
        ({"rights": Rights((), (), NOW)}, "key rights", "right to trade ended on 2026-05-01 12:00 UTC"),
        ({"rights": Rights((), (), NOW - 30 * DAY)}, "key rights", "right to trade ended on 2026-04-01 12:00 UTC"),
        ({"clock_off_ms": 500.0}, "clock", "500 ms fast"),
        ({"clock_off_ms": -800.0}, "clock", "800 ms slow"),
        ({"clock_off_ms": "no answer in time"}, "clock", "no answer"),
        ({"rules": {"BTCUSDT": rule()}}, "symbols", "ETHUSDT has no rules"),
        ({"rules": {"BTCUSDT": rule(status="HALT"), "ETHUSDT": rule()}}, "symbols", "BTCUSDT is HALT"),
        ({"rules": "No usable answer"}, "symbols", "not known"),
        ({"tried": "Filter failure: NOTIONAL (-1013)"}, "protection", "NOTIONAL"),
        ({"live_pid": 4711}, "alone", "4711"),
        ({"free_mb": 999}, "disk", "999 MB"),
    ],
)
def test_each_failure_is_told_by_name_with_its_fix(changes: dict[str, object], name: str, says: str):
    """One thing wrong is one line wrong, and the line says what to do."""
    (only,) = failed(**changes)
    assert (only.name, says in only.found, bool(only.fix)) == (name, True, True)
    text = "\n".join(golive.lines(golive.hurdles(SYMBOLS, replace(WHOLE, **changes))))
    assert text.count("FAILED") == text.count("fix: ") == 1


def test_without_a_key_that_is_said_once_and_what_it_would_have_shown_is_named():
    """Four checks ask the account: they did not pass, and they do not repeat why nobody asked."""
    missing = "Mode live needs a key: `./run keys set exchange-live`."
    found = golive.hurdles(SYMBOLS, replace(WHOLE, key=missing, rights=missing, clock_off_ms=missing, tried=missing))
    assert [hurdle.name for hurdle in found if not hurdle.passed] == ["key", *golive.BY_KEY]
    text = "\n".join(golive.lines(found))
    assert (text.count("needs a key"), text.count("FAILED"), text.count("fix: ")) == (1, 1, 1)
    assert text.count("not looked at: no usable key") == len(golive.BY_KEY) == 4


@given(st.sets(st.sampled_from(sorted(golive.LABELS)), min_size=1), st.integers(0, 9))
def test_every_right_that_is_wrong_is_named_with_its_box(names: set[str], cut: int):
    """However many are wrong, none is left out, and the one line says which boxes to tick and untick."""
    wrong = sorted(names)
    fault = golive.rights_fault(Rights(tuple(wrong[:cut]), tuple(wrong[cut:])), NOW)
    assert "\n" not in fault
    for place, name in enumerate(wrong):
        assert name in fault
        assert f"{'untick' if place < cut else 'tick'} “{golive.LABELS[name]}”" in fault


def test_a_key_with_the_right_rights_has_no_fault_and_an_unknown_one_has():
    """What nobody can say is not good enough."""
    assert golive.rights_fault(WELL, NOW) == ""
    assert "not known: timeout" in golive.rights_fault("timeout", NOW)


@pytest.mark.parametrize(("days", "told"), [(0.01, True), (14, True), (14.01, False), (300, False)])
def test_a_right_to_trade_that_ends_within_two_weeks_passes_and_says_so(days: float, told: bool):
    """Going live is still possible; the line names the moment."""
    judged = golive.rights(Rights((), (), NOW + days * DAY), NOW)
    assert (judged.passed, "ends on 2026-05" in judged.found) == (True, told)


@given(
    bid=st.decimals(min_value="0.0001", max_value=200_000, places=6),
    tick=st.sampled_from(["0.01", "0.0001", "0.000001"]),
    lot=st.sampled_from(["1", "0.01", "0.00001"]),
    least=st.sampled_from(["5", "10", "100"]),
)
def test_trial_orders_are_small_and_each_is_worth_the_minimum(bid: Decimal, tick: str, lot: str, least: str):
    """Whatever the pair: one quantity on the grid, stop below the market, target above, all above the minimum."""
    pair = rule(tick=Decimal(tick), lot=Decimal(lot), qty_min=Decimal(lot), notional_min=Decimal(least))
    if bid < 100 * pair.tick:
        return
    quote = Quote("BTCUSDT", NOW, bid, bid + pair.tick)
    entry, stop, target = golive.trial_orders(pair, quote, NOW)
    assert (entry.side, stop.side, target.side) == (Side.BUY, Side.SELL, Side.SELL)
    assert (stop.kind, target.kind) == (OrderKind.STOP_LOSS_LIMIT, OrderKind.LIMIT_MAKER)
    assert entry.qty == stop.qty == target.qty == pair.floor_qty(entry.qty)
    assert stop.price is not None
    assert stop.stop_price is not None
    assert target.price is not None
    assert stop.price <= stop.stop_price < bid < target.price
    worth = entry.qty * stop.price
    assert pair.notional_min <= worth <= pair.notional_min * 2 + pair.lot * bid


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        (None, "not typed"),
        (NOW, ""),
        (NOW - timedelta(minutes=15), ""),
        (NOW - timedelta(minutes=15, seconds=1), "type it again"),
        (NOW + timedelta(seconds=1), "type it again"),
    ],
)
def test_the_phrase_holds_for_a_quarter_of_an_hour(typed: datetime | None, fault: str):
    """An old phrase, one never typed, and one of the future allow nothing."""
    said = golive.phrase_fault(typed, NOW)
    assert fault in said if fault else not said
