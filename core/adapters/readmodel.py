"""What the owner looks things up in: orders, fills, trades, signals, messages, as rows made from one committed step.

Rule 1: rows follow from the journal line alone; nothing is decided here.
Rule 2: an order that leaves the state keeps its row, as the effect shows it at the moment it left.
Rule 3: an event that changed nothing leaves no row but its journal line.
Rule 4: one decision (strategy, symbol, closed bar, side) enters once: a second entry on it breaks the whole commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from core.adapters.codec import encode
from core.adapters.parts import Statement
from core.domain.effects import Decided, Effect, OrdersDone, Tell, TradeDone
from core.domain.errors import InvariantBroken
from core.domain.events import Filled
from core.domain.market import to_ms
from core.domain.orders import Fill, Order, OrderState, Purpose
from core.domain.state import Decision, Outcome, State, Trade
from core.ports import Change

_ORDER = """INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (client_id) DO UPDATE SET state = excluded.state, filled_qty = excluded.filled_qty,
    filled_quote = excluded.filled_quote, exchange_id = excluded.exchange_id, list_id = excluded.list_id,
    reason = excluded.reason, updated_ms = excluded.updated_ms"""
_INTENT = "INSERT INTO intents VALUES (?, ?, ?, ?, ?, ?)"
_FILL = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TRADE = "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SIGNAL = "INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_MESSAGE = "INSERT INTO outbox (seq, topic, ref, body, at_ms, trace) VALUES (?, ?, ?, ?, ?, ?)"

_FIELDS = [f.name for f in fields(State) if f.name != "seq"]


def rows(change: Change) -> list[Statement]:
    """SQL with its rows for everything but the journal line and the state itself."""
    before, after, event, effects = change.before, change.after, change.event, change.effects
    seq, at_ms = after.seq, to_ms(event.at)
    fills = [event.fill] if isinstance(event, Filled) and changed(before, after) else []
    return [
        (_ORDER, [_order_row(order, at_ms) for order in changed_orders(before, after, effects)]),
        (_INTENT, [_intent_row(order, effects) for order in _new_entries(before, after)]),
        (_FILL, [_fill_row(fill) for fill in fills]),
        (_TRADE, [_trade_row(seq, e.trade) for e in effects if isinstance(e, TradeDone)]),
        (_SIGNAL, [_signal_row(seq, e.decision) for e in effects if isinstance(e, Decided)]),
        (_MESSAGE, [_message_row(seq, e, at_ms, event.trace) for e in effects if isinstance(e, Tell)]),
    ]


def changed(before: State, after: State) -> bool:
    """Whether the step changed anything but the count of steps; a duplicate changes nothing."""
    return any(getattr(before, name) is not getattr(after, name) for name in _FIELDS)


def changed_orders(before: State, after: State, effects: Sequence[Effect]) -> Iterator[Order]:
    """Orders that this step made or changed, as they are after it, those that left the state last."""
    if after.orders is before.orders:
        return
    yield from (order for key, order in after.orders.items() if before.orders.get(key) is not order)
    done = (order for effect in effects if isinstance(effect, OrdersDone) for order in effect.orders)
    yield from (order for order in done if before.orders.get(order.client_id) is not order)


def _new_entries(before: State, after: State) -> Iterator[Order]:
    """Entries that were planned in this step; one that was found on the exchange is no decision of this program."""
    if after.orders is before.orders:
        return
    new = (order for key, order in after.orders.items() if key not in before.orders)
    yield from (order for order in new if order.purpose is Purpose.ENTRY and order.state is OrderState.PLANNED)


def _intent_row(order: Order, effects: Sequence[Effect]) -> tuple[object, ...]:
    """The key of the decision this entry follows from. Raises InvariantBroken for an entry nobody decided on."""
    decided = (effect.decision for effect in effects if isinstance(effect, Decided))
    made = next((d for d in decided if d.symbol == order.symbol and d.outcome is Outcome.ORDERED), None)
    if made is None or made.forecast is None:
        raise InvariantBroken(f"entry {order.client_id} follows from no decision")
    deadline_ms = to_ms(order.send_by) if order.send_by else None
    return made.forecast.model_id, order.symbol, to_ms(made.bar_open_at), order.side.value, order.client_id, deadline_ms


def _order_row(order: Order, at_ms: int) -> tuple[object, ...]:
    return (
        order.client_id,
        order.symbol,
        order.side.value,
        order.kind.value,
        order.purpose.name,
        str(order.qty),
        None if order.price is None else str(order.price),
        None if order.stop_price is None else str(order.stop_price),
        order.state.value,
        str(order.filled_qty),
        str(order.filled_quote),
        order.exchange_id,
        order.list_id,
        order.reason,
        to_ms(order.created_at),
        at_ms,
    )


def _fill_row(fill: Fill) -> tuple[object, ...]:
    return (
        fill.symbol,
        fill.trade_id,
        fill.client_id,
        fill.side.value,
        str(fill.qty),
        str(fill.price),
        str(fill.fee),
        fill.fee_asset,
        int(fill.maker),
        to_ms(fill.at),
    )


def _trade_row(seq: int, trade: Trade) -> tuple[object, ...]:
    return (
        seq,
        trade.symbol,
        trade.intent,
        str(trade.qty),
        str(trade.entry_price),
        str(trade.exit_price),
        str(trade.profit),
        encode(trade.fees).decode(),
        str(trade.dust),
        to_ms(trade.opened_at),
        to_ms(trade.closed_at),
        trade.bars_held,
        trade.why,
    )


def _signal_row(seq: int, decision: Decision) -> tuple[object, ...]:
    refusal = decision.refusal
    return (
        seq,
        to_ms(decision.at),
        decision.symbol,
        to_ms(decision.bar_open_at),
        str(decision.price),
        decision.outcome.value,
        refusal.code if refusal else "",
        refusal.sentence if refusal else "",
        encode(refusal.numbers if refusal else ()).decode(),
        encode(decision.forecast).decode() if decision.forecast else None,
        encode(decision.steps).decode(),
        str(decision.qty),
        str(decision.stop),
        str(decision.target),
        decision.intent,
    )


def _message_row(seq: int, tell: Tell, at_ms: int, trace: str) -> tuple[object, ...]:
    return seq, tell.topic.value, tell.ref, encode(tell).decode(), at_ms, trace
