"""How things stand, for `firstmate status`: the values of one moment as JSON and as text, and what is wrong with them.

Rule 1: pure: values in, dictionaries and lines out; both faces show the same numbers.
Rule 2: money, prices and quantities are text in JSON, never floats; times are ISO 8601 in UTC; a key once there stays.
Rule 3: a problem is one sentence about now. No problem means that the assistant does what it was told to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.market import Bar
from core.domain.orders import Order, OrderState
from core.domain.state import Doubt, State
from core.run.overview import BarLine, LimitLine, Overview, PositionLine, limit_lines, overview

Json = dict[str, object]

DELIVERY_PATIENCE = timedelta(minutes=10)
IN_DOUBT = frozenset({OrderState.PLANNED, OrderState.MAYBE_SENT})


@dataclass(frozen=True, slots=True)
class Standing:
    """One state folder at one moment: ``pid`` of the running assistant or None, undelivered messages."""

    mode: str
    now: datetime
    pid: int | None
    state: State
    undelivered: int
    undelivered_since: datetime | None
    patience: timedelta = DELIVERY_PATIENCE

    @property
    def overview(self) -> Overview:
        """The same overview the chat shows."""
        return overview(self.state, self.now)


def newest_bar(state: State) -> Bar | None:
    """The bar that closed last, of any symbol."""
    return max((mark.bar for mark in state.marks.values()), key=lambda bar: bar.close_at, default=None)


def problems(standing: Standing) -> Iterator[str]:
    """One sentence for each thing that should not be so."""
    seen = standing.overview
    if standing.pid is None:
        yield "The assistant is not running."
    if not seen.bars:
        yield "No bar has been seen yet."
    for bar in seen.bars:
        if bar.stale:
            yield f"The last bar of {bar.symbol} closed {ago(bar.age_s)} ago: it is too old to trade on."
    for position in seen.positions:
        if position.qty and not (position.leaving or position.stands or position.moving):
            yield f"No stop of the position in {position.symbol} is proven to stand on the exchange."
    yield from seen.doubts
    yield from _delivery(standing)


def _delivery(standing: Standing) -> Iterator[str]:
    since = standing.undelivered_since
    if since and standing.now - since > standing.patience:
        waited = ago((standing.now - since).total_seconds())
        yield f"{standing.undelivered} messages wait to be delivered, the oldest for {waited}."


def as_json(standing: Standing) -> Json:
    """Everything, under the keys of docs/status-json.md."""
    seen, state = standing.overview, standing.state
    wrong = list(problems(standing))
    return {
        "mode": standing.mode,
        "running": standing.pid is not None,
        "pid": standing.pid,
        "at": standing.now.isoformat(),
        "last_seq": state.seq,
        "trading": {
            "state": seen.trading.state.value,
            "reason": seen.trading.reason,
            "since": _iso(seen.trading.since),
        },
        "quote": seen.quote,
        "cash": plain(seen.cash),
        "free_cash": plain(seen.free_cash),
        "equity": plain(seen.equity),
        "today": plain(seen.today),
        "drawdown": plain(seen.drawdown),
        "balances": {asset: plain(held) for asset, held in sorted(state.balances.items()) if held},
        "positions": [_position(state, line) for line in seen.positions],
        "orders": [_order(order) for order in seen.orders],
        "limits": {line.name: _limit(line) for line in limit_lines(state, standing.now)},
        "bars": {
            bar.symbol: {
                "close_at": bar.close_at.isoformat(),
                "price": plain(bar.price),
                "age_s": bar.age_s,
                "stale": bar.stale,
            }
            for bar in seen.bars
        },
        "in_doubt": [order.client_id for order in seen.orders if order.state in IN_DOUBT],
        "doubt": _doubt(state.doubt),
        "proposals": seen.proposals,
        "undelivered": standing.undelivered,
        "health": {"ok": not wrong, "problems": wrong},
    }


def _doubt(doubt: Doubt | None) -> Json | None:
    """How the exchange's balances differ from ours, theirs less ours."""
    if doubt is None:
        return None
    changes = {asset: plain(gap) for asset, gap in doubt.changes}
    return {"since": doubt.since.isoformat(), "told": doubt.told, "changes": changes}


def _position(state: State, line: PositionLine) -> Json:
    return {
        "symbol": line.symbol,
        "intent": line.intent,
        "qty": plain(line.qty),
        "entry_price": plain(line.entry_price),
        "mark": plain(line.mark),
        "value": plain(line.value),
        "profit": plain(line.profit),
        "change": plain(line.change),
        "stop": plain(line.stop),
        "stop_stands": line.stands,
        "stop_moving": line.moving,
        "trail": plain(Decimal(line.trail_bips) / 10_000),
        "target": plain(line.target),
        "bars_left": line.bars_left,
        "opened_at": line.opened_at.isoformat(),
        "leaving": line.leaving,
        "protective_orders": [_order(state.orders[client_id]) for client_id in line.protected_by],
    }


def _order(order: Order) -> Json:
    return {
        "client_id": order.client_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "kind": order.kind.value,
        "purpose": order.purpose.name,
        "state": order.state.value,
        "qty": plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        "price": None if order.price is None else plain(order.price),
        "stop_price": None if order.stop_price is None else plain(order.stop_price),
        "exchange_id": order.exchange_id,
        "list_id": order.list_id,
        "waits_for": order.waits_for,
        "trail": plain(Decimal(order.trail_bips) / 10_000),
        "created_at": order.created_at.isoformat(),
    }


def _limit(line: LimitLine) -> Json:
    return {"limit": plain(line.limit), "used": None if line.used is None else plain(line.used)}


def plain(number: Decimal) -> str:
    """Every digit of a number, without exponent, idle zeros or a minus before zero."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def as_text(standing: Standing) -> str:
    """The same on a terminal, a screenful."""
    seen = standing.overview
    running = f"running as process {standing.pid}" if standing.pid else "not running"
    head = [
        ("mode", f"{standing.mode}, {running}"),
        ("at", f"{standing.now:%Y-%m-%d %H:%M:%S} UTC, journal line {standing.state.seq}"),
        ("trading", seen.trading.state.value + (f": {seen.trading.reason}" if seen.trading.reason else "")),
        ("equity", f"{seen.equity:,.2f} {seen.quote}, today {seen.today:+.2%}, {seen.drawdown:.2%} under its highest"),
        ("cash", f"{seen.cash:,.2f} {seen.quote}, {seen.free_cash:,.2f} of it free"),
        ("waiting", f"{seen.proposals} proposals, {standing.undelivered} undelivered messages"),
    ]
    parts = [
        [f"{name:9} {value}" for name, value in head],
        _table("positions", [_position_row(line) for line in seen.positions]),
        _table("open orders", [_order_row(order) for order in seen.orders]),
        _table("limits", [_limit_row(line) for line in limit_lines(standing.state, standing.now)]),
        _table("last bars", [_bar_row(bar) for bar in seen.bars]),
        _table("health", [(sentence,) for sentence in problems(standing)] or [("all is well",)]),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _position_row(line: PositionLine) -> tuple[str, ...]:
    held = f"{plain(line.qty)} at {_short(line.entry_price)}, now {_short(line.mark)} ({line.change:+.2%})"
    barriers = f"stop {_short(line.stop)}, target {_short(line.target)}"
    return line.symbol, held, barriers, _guard(line)


def _guard(line: PositionLine) -> str:
    if line.leaving:
        return f"being sold: {line.leaving}"
    trail = " and follows the price" if line.trail_bips else ""
    return f"its stop stands{trail}" if line.stands else "NO stop is proven to stand"


def _order_row(order: Order) -> tuple[str, ...]:
    price = " / ".join(plain(p) for p in (order.stop_price, order.price) if p is not None)
    what = f"{order.side} {order.kind}"
    return order.client_id, what, order.state.value, f"{plain(order.filled_qty)} of {plain(order.qty)}", price


def _limit_row(line: LimitLine) -> tuple[str, ...]:
    def show(number: Decimal) -> str:
        return f"{number:.1%}" if line.fraction else plain(number)

    used = "" if line.used is None else f"{show(line.used)} of "
    return line.name, used + show(line.limit), line.text


def _table(title: str, rows: list[tuple[str, ...]]) -> list[str]:
    """A title and rows in columns as wide as they need."""
    if not rows:
        return [title, "  none"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [title] + [
        ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))).rstrip() for row in rows
    ]


def _short(price: Decimal) -> str:
    """A price with as many digits as tell it: averages have 28."""
    return plain(Decimal(f"{price:.8g}"))


def _bar_row(bar: BarLine) -> tuple[str, ...]:
    age = f"{ago(bar.age_s)} old" + (", stale" if bar.stale else "")
    return bar.symbol, f"{bar.close_at:%Y-%m-%d %H:%M}", plain(bar.price), age


def ago(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h``, ``2 days``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
