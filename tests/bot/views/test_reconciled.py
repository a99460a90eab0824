"""One comparison with the exchange, as a message: what was looked at, what differs, what was done."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from bot.pieces import TEXT_MAX
from bot.views.fitting import size
from bot.views.reconciled import reconciled
from core.run.reconciliation import Reconciliation
from tests.bot.fakes import START
from tests.bot.views.test_lists import STRANGER

ZONE = ZoneInfo("UTC")
CLEAN = Reconciliation(START, "asked", ("BTCUSDT", "ETHUSDT"), 2, 0, 3, True, (), (), ())
COMPARED = "Compared Mon 1 Jan 00:00: BTCUSDT, ETHUSDT; 2 orders of mine, 0 new trades, 3 balances."


def of(report: Reconciliation, zone: ZoneInfo = ZONE) -> str:
    """The message as text."""
    return reconciled(report, zone).render()[0]


def test_a_clean_comparison_says_what_was_compared():
    """Agreement means something only where it is known of what."""
    assert of(CLEAN) == f"✅ Everything agrees.\n{COMPARED}\n"


def test_what_was_found_is_told_with_what_was_done():
    """Books that were behind and caught up agree, after what is listed."""
    found = ("Booked trade 7: SELL 1 BTCUSDT at 99.", "Order fm-1-t0 had expired.")
    assert of(replace(CLEAN, found=found, trades=1)) == (
        "✅ Everything agrees, after what is told below.\n"
        f"{COMPARED.replace('0 new trades', '1 new trade')}\n\n"
        "Found and booked\n• Booked trade 7: SELL 1 BTCUSDT at 99.\n• Order fm-1-t0 had expired.\n"
    )


def test_a_difference_comes_first_with_what_follows_from_it():
    """The owner reads what is wrong before what is well."""
    text = of(replace(CLEAN, differing=("USDT: the exchange has +5",), found=("Order fm-1-s0 stands.",)))
    assert text.startswith("⚠️ Something differs.\n")
    assert text.index("• USDT: the exchange has +5") < text.index("booked as deposit") < text.index("fm-1-s0 stands")


def test_balances_that_could_not_be_compared_are_not_called_equal():
    """While an order fills nobody can compare balances; that is said instead of "agrees"."""
    text = of(replace(CLEAN, steady=False))
    assert "balances were not compared" in text
    assert "no balances." in text
    assert "✅" not in text


def test_orders_of_others_stand_last():
    """They are shown and never touched."""
    text = of(replace(CLEAN, foreign=(STRANGER,)))
    assert text.endswith("Not mine, never touched: 1 open order\n• BTCUSDT buy 0.01 at 60,000 web_4f1\n")


def test_however_much_there_is_it_is_one_message():
    """Hundreds of symbols, findings and strangers are counted, not cut."""
    much = replace(
        CLEAN,
        symbols=tuple(f"COIN{n}USDT" for n in range(200)),
        differing=("USDT: the exchange has +5",) * 100,
        found=("Order fm-BTCUSDT-s5kq2o-s0 never reached the exchange.",) * 300,
        foreign=(STRANGER,) * 300,
    )
    text = reconciled(much, ZONE)
    assert size(text) <= TEXT_MAX
    assert "and 192 more; 2 orders of mine" in text.render()[0]
    assert "… and " in text.render()[0]
