"""What is pushed says what happened and what follows, in one look."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.notices import bought, closed, notice
from core.decide.transfers import ADOPTED_ENTRY
from core.domain.effects import Tell, Topic
from core.domain.state import Position, Trade
from tests.bot.fakes import HOUR, START
from tests.bot.views.test_cards import ODD, decided

HELD = Position(
    symbol="BTCUSDT",
    intent="BTCUSDT-abc",
    stop=Decimal("130781.15"),
    target=Decimal("146763.07"),
    horizon_bars=96,
    opened_at=START,
    qty=Decimal("0.01460538"),
    cost=Decimal("1990.146038"),
    bought_qty=Decimal("0.01462"),
    bought_quote=Decimal("1990.146038"),
)
DONE = Trade(
    symbol="BTCUSDT",
    intent="BTCUSDT-abc",
    qty=Decimal("0.01462"),
    entry_price=Decimal("136124.9"),
    exit_price=Decimal("146763.07"),
    profit=Decimal("150.446"),
    fees=(),
    opened_at=START,
    closed_at=START + 51 * HOUR,
    bars_held=51,
    why="target",
)


def shown(tell: Tell, *, staged: str = "SIMULATED") -> str:
    """The message as text."""
    return notice(tell, ZoneInfo("UTC"), HOUR, "USDT", staged).render()[0]


def test_a_purchase_says_what_it_cost_and_that_it_is_not_protected_yet():
    """Coin, average price, money in all, and what is being placed."""
    text = shown(Tell(Topic.FILL, "i", position=HELD))
    assert text == (
        "📥 Bought 0.01462 BTC at 136,124.9, 1,990.15 USDT in all\nPlacing target 146,763.07 and stop 130,781.15 …"
    )


def test_a_protected_purchase_says_so():
    """The shield appears once stop and target stand on the exchange."""
    assert "🛡 Protected on the exchange: target 146,763.07 and stop 130,781.15." in shown(
        Tell(Topic.PROTECTED, "i", position=HELD)
    )
    assert "🛡" not in bought(HELD, "USDT", protected=False).render()[0]


def test_a_closed_trade_says_what_it_earned_and_why_it_ended():
    """Profit after fees first, then prices, time and reason."""
    assert shown(Tell(Topic.CLOSED, "i", trade=DONE)) == (
        "✅ Sold BTCUSDT: +150.45 USDT after fees\n136,124.9 → 146,763.1 after 51 bars, because its target was reached."
    )


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("stop", "its stop was hit"),
        ("time", "its time was up"),
        ("panic", "you pressed panic"),
        ("protection refused", "the exchange took no stop for it"),
        (ADOPTED_ENTRY, "it was bought by an order I had given up"),
        ("something new", "something new"),
    ],
)
def test_each_way_to_end_has_its_words(why: str, words: str):
    """Also a reason without a sentence of its own is told."""
    assert words in closed(replace(DONE, why=why), "USDT").render()[0]


def test_a_loss_looks_like_one_and_dust_is_named():
    """Red, a real minus, and what stays in the account."""
    text = closed(replace(DONE, profit=Decimal("-70"), dust=Decimal("0.00000538"), bars_held=1), "USDT").render()[0]
    assert text.startswith("❌ Sold BTCUSDT: −70.00 USDT")
    assert "after 1 bar," in text
    assert text.endswith("0.00000538 BTC is left, too little to sell.")


def test_a_refusal_names_its_symbol_and_where_the_numbers_are():
    """Tapping the command copies it with its symbol."""
    text = notice(Tell(Topic.REFUSAL, "ETHUSDT", "No room."), ZoneInfo("UTC"), HOUR, "USDT", True)
    rendered, entities = text.render()
    assert rendered == "⚪ ETHUSDT: not bought. No room. The numbers: /why ETHUSDT"
    assert "code" in [entity.type for entity in entities]


@pytest.mark.parametrize(("topic", "note"), [(Topic.ORDERED, "✅ Ordered."), (Topic.EXPIRED, "Skipped.")])
def test_a_cards_fate_is_on_the_card(topic: Topic, note: str):
    """The same card, with its end; simulated where it is."""
    text = shown(Tell(topic, "i", "Skipped.", decision=decided()))
    assert note in text
    assert "SIMULATED" in text
    assert "fixed rule" in text


def test_a_proposal_carries_no_fate_yet():
    """Nothing became of it so far."""
    text = shown(Tell(Topic.SIGNAL, "i", decision=decided()), staged="")
    assert "Ordered" not in text
    assert "SIMULATED" not in text


@given(st.sampled_from([Topic.STATE, Topic.ERROR]), st.booleans(), ODD)
def test_plain_news_are_told_as_they_are(topic: Topic, urgent: bool, text: str):
    """Red where it is urgent; the words unchanged, never markup."""
    made = notice(Tell(topic, "r", text, urgent=urgent), ZoneInfo("UTC"), HOUR, "USDT", True)
    rendered, entities = made.render()
    assert rendered == f"{'🔴' if urgent else 'ℹ️'} {text}"
    assert entities == []


@pytest.mark.parametrize(
    ("topic", "ref", "light"),
    [
        (Topic.STATE, "deposit:USDT", "💰"),
        (Topic.STATE, "withdrawal:BTC", "💸"),
        (Topic.STATE, "proven:BTCUSDT", "🛡"),
        (Topic.STATE, "HALTED", "🔴"),
        (Topic.ERROR, "balances", "🔴"),
        (Topic.ERROR, "deposit:USDT", "🔴"),
    ],
)
def test_money_that_moved_is_no_alarm(topic: Topic, ref: str, light: str):
    """It rings, but only what is wrong is red."""
    assert shown(Tell(topic, ref, "News.", urgent=True)) == f"{light} News."


def test_a_stop_that_follows_the_price_is_announced_as_one():
    """The owner knows that the number will rise."""
    text = bought(replace(HELD, trail_bips=265), "USDT", protected=True).render()[0]
    assert text.endswith("target 146,763.07 and stop 130,781.15, which follows the price.")
