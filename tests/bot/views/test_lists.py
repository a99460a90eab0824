"""Each list answers its question, in one message, however much there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pieces import TEXT_MAX
from bot.views import lists
from bot.views.fitting import size
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.domain.state import Trading, TradingState
from core.ports import OrderReport
from core.run.overview import BarLine, LimitLine, Overview, PositionLine
from core.run.questions import About, Check
from tests.bot.fakes import HOUR, START, instrument
from tests.bot.views.test_notices import DONE

ZONE = ZoneInfo("UTC")
ABOUT = About("demo", "SIMULATED", ("BTCUSDT",), HOUR)
LINE = PositionLine(
    symbol="ETHUSDT",
    intent="ETHUSDT-abc",
    qty=Decimal("0.2662335"),
    entry_price=Decimal("7533.8"),
    mark=Decimal("7710.08"),
    value=Decimal("2052.68"),
    profit=Decimal("44.92"),
    change=Decimal("0.0224"),
    stop=Decimal("7334.92"),
    target=Decimal("7928.8"),
    bars_left=66,
    opened_at=START,
    leaving="",
    protected_by=("fm-ETHUSDT-abc-s0", "fm-ETHUSDT-abc-t0"),
    stands=True,
    trail_bips=0,
    moving=False,
)
BARE = replace(LINE, protected_by=(), stands=False)
ORDER = Order(
    client_id="fm-ETHUSDT-abc-t0",
    symbol="ETHUSDT",
    side=Side.SELL,
    kind=OrderKind.LIMIT_MAKER,
    purpose=Purpose.TARGET,
    qty=Decimal("0.2662"),
    created_at=START,
    price=Decimal("7928.8"),
    state=OrderState.OPEN,
)
SEEN = Overview(
    quote="USDT",
    trading=Trading(),
    cash=Decimal("6087.017"),
    free_cash=Decimal("6087.017"),
    equity=Decimal("10166.826"),
    today=Decimal("0.0092"),
    drawdown=Decimal("0.0242"),
    positions=(LINE,),
    orders=(ORDER,),
    proposals=0,
    bars=(BarLine("ETHUSDT", START + HOUR, Decimal("7710.08"), 12.0, False),),
    doubts=(),
)
STRANGER = OrderReport(
    "web_4f1",
    "BTCUSDT",
    "77",
    OrderState.OPEN,
    Decimal(0),
    side=Side.BUY,
    kind=OrderKind.LIMIT,
    qty=Decimal("0.01"),
    price=Decimal(60000),
)
LIMIT = LimitLine("day_loss_max", Decimal("0.03"), Decimal("0.0123"), True, "loss since 00:00 UTC")


def of(text) -> str:
    """A list as text."""
    return text.render()[0]


def test_status_shows_everything_at_one_glance():
    """State, mode, money, the day, the peak, positions, freshness."""
    assert of(lists.status(SEEN, ABOUT, ZONE, auto=False)) == (
        "🟢 ACTIVE\n"
        "demo mode, SIMULATED market, 1h bars, asks before it buys\n\n"
        "Equity 10,166.83 USDT\n"
        "Today +0.92%, 2.42% under the peak\n"
        "Free cash 6,087.02 USDT\n\n"
        "1 position, 1 open order, 0 proposals\n"
        "• ETHUSDT +2.2% (+44.92), protected\n\n"
        "Last bar closed Mon 1 Jan 01:00"
    )


def test_status_says_why_it_does_not_trade_and_what_is_stale():
    """Halted with its reason, stale symbols by name, no position unprotected in silence."""
    trouble = replace(
        SEEN,
        trading=Trading(TradingState.HALTED, "panic button"),
        drawdown=Decimal(0),
        positions=(BARE, replace(BARE, leaving="panic")),
        bars=(*SEEN.bars, BarLine("BTCUSDT", START, Decimal(1), 9e4, True)),
    )
    text = of(lists.status(trouble, replace(ABOUT, staged="", mode="live"), ZONE, auto=True))
    assert text.startswith("🔴 HALTED (panic button)\nlive mode, Binance spot, 1h bars, acts alone within limits")
    for piece in ("at the peak", "NOT protected yet", "being sold", "stale: BTCUSDT"):
        assert piece in text
    assert "No bar has closed yet." in of(lists.status(replace(SEEN, bars=()), ABOUT, ZONE, auto=True))


def test_times_are_shown_in_the_owners_zone():
    """The same position, seen from New York."""
    seen = of(lists.positions([LINE], "USDT", ZoneInfo("America/New_York"), HOUR))
    assert "Since Sun 31 Dec 19:00" in seen


def test_a_position_shows_what_it_earned_its_barriers_and_what_protects_it():
    """Everything one wants to know before going to bed."""
    assert of(lists.positions([LINE], "USDT", ZONE, HOUR)) == (
        "ETHUSDT +2.24% (+44.92 USDT)\n"
        "0.2662335 ETH bought at 7,533.8, now 7,710.08\n"
        "Target 7,928.8, stop 7,334.92\n"
        "Since Mon 1 Jan 00:00, 66 bars (3 d) left\n"
        "🛡 On the exchange: fm-ETHUSDT-abc-s0, fm-ETHUSDT-abc-t0\n\n"
    )


@pytest.mark.parametrize(
    ("line", "status", "whole"),
    [
        (BARE, "NOT protected yet", "⚠️ Not protected on the exchange yet"),
        (
            replace(LINE, stands=False),
            "its stop is NOT proven",
            "⚠️ Not proven to stand on the exchange: fm-ETHUSDT-abc-s0",
        ),
        (replace(LINE, stands=False, moving=True), "its stop is being moved", "Its stop is being moved: the old pair"),
        (replace(LINE, leaving="time"), "being sold", "Being sold: time"),
        (replace(BARE, qty=Decimal(0)), "being bought", "Being bought; its stop and target come with it"),
    ],
    ids=["bare", "unproven", "moving", "leaving", "buying"],
)
def test_how_a_position_is_protected_cannot_be_overlooked(line, status, whole):
    """What does not stand on the exchange is never called protected, in the short list and in the long one."""
    assert status in of(lists.status(replace(SEEN, positions=(line,)), ABOUT, ZONE, auto=False))
    text = of(lists.positions([line], "USDT", ZONE, HOUR))
    assert whole in text
    assert "🛡" not in text


def test_a_stop_that_follows_the_price_says_how_far():
    """The distance the exchange keeps, in percent."""
    text = of(lists.positions([replace(LINE, trail_bips=265)], "USDT", ZONE, HOUR))
    assert "stop 7,334.92, following 2.65% under the highest price\n" in text


def test_what_nobody_can_prove_stands_in_the_status():
    """Orders of unknown fate, stops no read shows, balances that differ: before the positions, in words."""
    doubt = "Whether order fm-1-e0 exists at the exchange is not known yet."
    text = of(lists.status(replace(SEEN, doubts=(doubt,)), ABOUT, ZONE, auto=False))
    assert text.index(f"⚠️ {doubt}\n") < text.index("• ETHUSDT")


def test_orders_of_others_have_a_section_of_their_own():
    """Under ours, named as what they are."""
    section = "Not mine, never touched: 1 open order\n• BTCUSDT buy 0.01 at 60,000 web_4f1\n"
    assert of(lists.orders([ORDER], ZONE, [STRANGER])).endswith(f"fm-ETHUSDT-abc-t0\n\n{section}")
    assert of(lists.orders([], ZONE, [STRANGER])) == f"No orders of mine yet.\n\n{section}"


def test_however_many_orders_others_have_ours_are_still_shown():
    """A grid bot beside us with hundreds of orders cannot push ours out of the message."""
    text = of(lists.orders([ORDER] * 10, ZONE, [STRANGER] * 300))
    assert text.count("fm-ETHUSDT-abc-t0") == 10
    assert "Not mine, never touched: 300 open orders" in text


def test_orders_show_the_open_ones_first():
    """What can still fill matters most; what is partly filled says how far."""
    market = replace(
        ORDER, price=None, state=OrderState.FILLED, filled_qty=ORDER.qty, purpose=Purpose.ENTRY, side=Side.BUY
    )
    part = replace(ORDER, state=OrderState.PARTIAL, filled_qty=Decimal("0.1"), stop_price=Decimal("7000"))
    assert of(lists.orders([market, part], ZONE)) == (
        "ETHUSDT target: PARTIAL\nsell 0.2662 at 7,000, 0.1 filled, Mon 1 Jan 00:00\nfm-ETHUSDT-abc-t0\n\n"
        "ETHUSDT entry: FILLED\nbuy 0.2662 at market, Mon 1 Jan 00:00\nfm-ETHUSDT-abc-t0\n\n"
    )


def test_trades_add_up_to_what_stands_above_them():
    """The sum is the sum of the lines."""
    text = of(lists.trades([DONE, replace(DONE, profit=Decimal("-50.5"), why="stop")], "USDT", ZONE))
    assert text.startswith(
        "Last 2 trades: +99.95 USDT after fees\n\n✅ BTCUSDT +150.45 (target)\n136,124.9 → 146,763.1"
    )
    assert "❌ BTCUSDT −50.50 (stop)" in text


def test_the_balance_names_what_is_not_ours():
    """Coins without a position are dust or somebody else's; zeros are left out."""
    held = {"USDT": Decimal("6087.01721226"), "ETH": Decimal("0.27"), "BNB": Decimal("0.00079"), "SOL": Decimal(0)}
    assert of(lists.balance(held, {"ETHUSDT": instrument("ETHUSDT")}, SEEN)) == (
        "Balances\nBNB 0.00079 (dust or not bought by me)\nETH 0.27\nUSDT 6,087.02\n\nEquity 10,166.83 USDT"
    )


def test_a_limit_shows_its_value_its_meaning_and_its_use():
    """As the owner wrote it, 3%, and how much of it is used now."""
    count = LimitLine("orders_open_max", Decimal(20), Decimal(4), False, "open orders")
    unused = LimitLine("kelly_fraction", Decimal("0.25"), None, True, "of the Kelly size")
    text = of(lists.limits([LIMIT, count, unused]))
    assert "day_loss_max 3% loss since 00:00 UTC; now 1.2%\n" in text
    assert "orders_open_max 20 open orders; now 4\n" in text
    assert "kelly_fraction 25% of the Kelly size\n" in text


@given(st.decimals(0, 5, places=4), st.decimals(0, 1, places=4))
def test_a_gauge_never_leaves_its_five_marks(used: Decimal, limit: Decimal):
    """Also a limit of zero or one that is passed has a picture."""
    text = of(lists.risk([replace(LIMIT, used=used, limit=limit)], SEEN))
    assert text.count("▰") + text.count("▱") == 5


def test_risk_adds_up_what_the_stops_would_cost():
    """The loss if every stop is hit now, from the marks."""
    text = of(lists.risk([LIMIT], SEEN))
    assert "If every stop is hit now: −99.88 USDT" in text
    assert "▰▰▱▱▱ 1.2% loss since 00:00 UTC (limit 3%)" in text


def test_health_shows_a_light_for_each_check():
    """Green and red."""
    text = of(lists.health([Check("feed", True, "4 s ago"), Check("disk", False, "full")]))
    assert text == "Health\n🟢 feed: 4 s ago\n🔴 disk: full\n"


@pytest.mark.parametrize(
    "text",
    [lists.positions([], "USDT", ZONE, HOUR), lists.orders([], ZONE), lists.trades([], "USDT", ZONE)],
    ids=["positions", "orders", "trades"],
)
def test_an_empty_list_says_so(text):
    """An answer is never empty."""
    assert of(text).startswith("No ")


MANY = 120
PILES = {
    "status": lists.status(replace(SEEN, positions=(LINE,) * MANY), ABOUT, ZONE, auto=True),
    "positions": lists.positions([LINE] * MANY, "USDT", ZONE, timedelta(minutes=1)),
    "orders": lists.orders([ORDER] * MANY, ZONE, [STRANGER] * MANY),
    "trades": lists.trades([DONE] * MANY, "USDT", ZONE),
    "balance": lists.balance({f"COIN{n}": Decimal("0.12345678") for n in range(MANY)}, {}, replace(SEEN, positions=())),
    "limits": lists.limits([LIMIT] * MANY),
    "risk": lists.risk([LIMIT] * MANY, SEEN),
    "health": lists.health([Check(f"check {n}", False, "it is full of words " * 3) for n in range(MANY)]),
}


@pytest.mark.parametrize("pile", PILES)
def test_however_much_there_is_it_fits_one_message_and_counts_the_rest(pile: str):
    """A hundred and twenty of anything: cut, counted, and never refused by Telegram."""
    text = PILES[pile]
    assert size(text) <= TEXT_MAX
    assert "… and " in of(text)
