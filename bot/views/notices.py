"""Pushed messages: a Tell as text.

Rule 1: pure; one short message that says what happened, to what, and what follows.
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Code, Text

from bot.views import words
from bot.views.cards import signal_card
from core.domain.effects import Tell, Topic
from core.domain.state import Position, Trade


def notice(tell: Tell, zone: ZoneInfo, span: timedelta, quote: str, staged: str) -> Text:
    """The text of one pushed message."""
    if tell.topic in (Topic.SIGNAL, Topic.ORDERED, Topic.EXPIRED) and tell.decision:
        note = _CARD_NOTES.get(tell.topic, tell.text)
        return signal_card(tell.decision, zone, span, quote, staged, note)
    if tell.topic in (Topic.FILL, Topic.PROTECTED) and tell.position:
        return bought(tell.position, quote, protected=tell.topic is Topic.PROTECTED)
    if tell.topic is Topic.CLOSED and tell.trade:
        return closed(tell.trade, quote)
    if tell.topic is Topic.REFUSAL:
        return Text(Bold(f"⚪ {tell.ref}: not bought. "), tell.text, " The numbers: ", Code(f"/why {tell.ref}"))
    return Text(f"{_light(tell)} ", tell.text)


def _light(tell: Tell) -> str:
    """What to feel at first sight: money that moved and a stop that stands again are no alarm, though they ring."""
    known = _LIGHTS.get(tell.ref.partition(":")[0]) if tell.topic is Topic.STATE else None
    return known or ("🔴" if tell.urgent else "ℹ️")


_LIGHTS = {"deposit": "💰", "withdrawal": "💸", "proven": "🛡", "missed": "⚪"}


_CARD_NOTES = {Topic.ORDERED: "✅ Ordered."}


def bought(position: Position, quote: str, *, protected: bool) -> Text:
    """A finished entry; ``protected`` once stop and target stand on the exchange."""
    base = position.symbol.removesuffix(quote)
    follows = ", which follows the price" if position.trail_bips else ""
    barriers = f"target {words.price(position.target)} and stop {words.price(position.stop)}{follows}"
    state = f"🛡 Protected on the exchange: {barriers}." if protected else f"Placing {barriers} …"
    return Text(
        Bold(f"📥 Bought {words.qty(position.bought_qty)} {base} at {words.average(position.entry_price)}"),
        f", {words.money(position.cost)} {quote} in all\n{state}",
    )


def closed(trade: Trade, quote: str) -> Text:
    """A closed round trip: what it earned and why it ended."""
    dust = f"\n{words.qty(trade.dust)} {trade.symbol.removesuffix(quote)} is left, too little to sell."
    return Text(
        Bold(f"{words.light(trade.profit)} Sold {trade.symbol}: {words.signed(trade.profit)} {quote}"),
        f" after fees\n{words.average(trade.entry_price)} → {words.average(trade.exit_price)} "
        f"after {words.plural(trade.bars_held, 'bar')}, because {_REASONS.get(trade.why, trade.why)}.",
        dust if trade.dust else "",
    )


_REASONS = {
    "target": "its target was reached",
    "stop": "its stop was hit",
    "time": "its time was up",
    "panic": "you pressed panic",
    "protection refused": "the exchange took no stop for it",
    "its protection does not hold": "the exchange kept ending its stop",
    "bought by an order whose plan is lost": "it was bought by an order I had given up",
    "dust": "it is too little to sell",
}
