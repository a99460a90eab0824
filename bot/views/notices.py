"""Pushed messages: a Tell as text.

Rule 1: pure; one short message that says what happened, to what, and what follows.
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Italic, Text

from bot.views import words
from bot.views.cards import signal_card
from core.domain.events import Tell, Topic
from core.domain.state import Position, Trade


def notice(tell: Tell, zone: ZoneInfo, span: timedelta, quote: str, simulated: bool) -> Text:
    """The text of one pushed message."""
    if tell.topic in (Topic.SIGNAL, Topic.ORDERED, Topic.EXPIRED) and tell.decision:
        return signal_card(tell.decision, zone, span, simulated, note=_CARD_NOTES.get(tell.topic) or tell.text)
    if tell.position:
        return bought(tell.position, protected=tell.topic is Topic.PROTECTED)
    if tell.topic is Topic.CLOSED and tell.trade:
        return closed(tell.trade, quote)
    if tell.topic is Topic.REFUSAL:
        return Text(Bold(f"⚪ {tell.ref}: not bought. "), tell.text, Italic(" /why shows the numbers."))
    light = "🔴" if tell.urgent else "ℹ️"
    return Text(Bold(f"{light} "), tell.text)


_CARD_NOTES = {Topic.ORDERED: "✅ Ordered."}


def bought(position: Position, *, protected: bool) -> Text:
    """A finished entry; ``protected`` once stop and target stand on the exchange."""
    barriers = f"target {words.price(position.target)} and stop {words.price(position.stop)}"
    state = f"🛡 Protected on the exchange: {barriers}." if protected else f"Placing {barriers} …"
    head = f"📥 Bought {words.qty(position.bought_qty)} {position.symbol} at {words.average(position.entry_price)}"
    return Text(Bold(head), f"\n{state}")


def closed(trade: Trade, quote: str) -> Text:
    """A closed round trip: what it earned and why it ended."""
    light = "✅" if trade.profit > 0 else "❌"
    reasons = {"target": "its target was reached", "stop": "its stop was hit", "time": "its time was up"}
    dust = f"\nDust left: {words.qty(trade.dust)}" if trade.dust else ""
    return Text(
        Bold(f"{light} Sold {trade.symbol}: {words.signed(trade.profit)} {quote}"),
        f"\n{words.average(trade.entry_price)} → {words.average(trade.exit_price)} "
        f"after {words.plural(trade.bars_held, 'bar')}, because {reasons.get(trade.why, trade.why)}.{dust}",
    )
