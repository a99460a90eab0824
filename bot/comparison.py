"""One comparison of books and exchange, for `firstmate reconcile`: as JSON and as text.

Rule 1: pure: values in, dictionaries and lines out; both faces show the same.
Rule 2: quantities and prices are text with every digit; times are ISO 8601 in UTC; a key once there stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.standing import Json, ago, plain
from core.ports import OrderReport
from core.run.reconciliation import Reconciliation


@dataclass(frozen=True, slots=True)
class Comparison:
    """A reconciliation as another program sees it: ``pid`` of the assistant that made it, None where it was made now.

    ``unsent`` are orders that followed from it and wait for the next start of the assistant.
    """

    mode: str
    pid: int | None
    now: datetime
    report: Reconciliation
    unsent: tuple[str, ...] = ()

    @property
    def age_s(self) -> float:
        """Seconds since it was made."""
        return max(0.0, (self.now - self.report.at).total_seconds())


def as_json(made: Comparison) -> Json:
    """Everything, under the keys of docs/status-json.md."""
    report = made.report
    return {
        "mode": made.mode,
        "running": made.pid is not None,
        "pid": made.pid,
        "at": report.at.isoformat(),
        "age_s": made.age_s,
        "why": report.why,
        "clean": report.clean,
        "compared": {
            "symbols": list(report.symbols),
            "orders": report.orders,
            "new_trades": report.trades,
            "assets": report.assets,
            "balances": report.steady,
        },
        "differing": list(report.differing),
        "found": list(report.found),
        "foreign": [_stranger(order) for order in report.foreign],
        "unsent": list(made.unsent),
    }


def _stranger(order: OrderReport) -> Json:
    return {
        "client_id": order.client_id,
        "exchange_id": order.exchange_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "kind": order.kind.value,
        "qty": plain(order.qty),
        "filled_qty": plain(order.filled_qty),
        "price": None if order.price is None else plain(order.price),
        "stop_price": None if order.stop_price is None else plain(order.stop_price),
    }


def as_text(made: Comparison) -> str:
    """The same on a terminal."""
    report = made.report
    running = f"running as process {made.pid}" if made.pid else "not running"
    balances = f"{report.assets} balances" if report.steady else "no balances, because an order was filling"
    head = [
        f"mode       {made.mode}, {running}",
        f"compared   {report.at:%Y-%m-%d %H:%M:%S} UTC, {ago(made.age_s)} ago ({report.why})",
        f"           {', '.join(report.symbols) or 'no symbols'}",
        f"           {report.orders} open orders of ours, {report.trades} new trades, {balances}",
        f"verdict    {_verdict(report)}",
    ]
    sections = [
        ("differing", report.differing),
        ("found and booked", report.found),
        ("not ours, never touched", tuple(_line(order) for order in report.foreign)),
        ("orders that wait for the next start", made.unsent),
    ]
    told = ["\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in sections if lines]
    return "\n\n".join(["\n".join(head), *told])


def _verdict(report: Reconciliation) -> str:
    if report.differing:
        return "something differs"
    return "everything agrees" if report.steady else "orders agree; ask again for the balances"


def _line(order: OrderReport) -> str:
    prices = " / ".join(plain(p) for p in (order.stop_price, order.price) if p is not None)
    what = f"{order.symbol} {order.side} {order.kind} {plain(order.qty)}"
    return f"{what} {prices}  {order.client_id or order.exchange_id}".replace("  ", " ")
