"""Lists and tables of the chat: status, positions, orders, trades, balances, limits, health.

Rule 1: pure: values in, formatted text out, no arithmetic beyond adding up what is shown.
Rule 2: each answer fits one message; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Code, Italic, Text

from bot.views import words
from core.domain.market import Instrument, span_name
from core.domain.orders import Order
from core.domain.state import Trade, TradingState
from core.run.desk import About, Check
from core.run.overview import LimitLine, Overview, PositionLine

_LIGHTS = {TradingState.ACTIVE: "🟢", TradingState.REDUCING: "🟡", TradingState.HALTED: "🔴"}


def status(seen: Overview, about: About, zone: ZoneInfo, auto: bool) -> Text:
    """Mode, trading state, money, positions and how fresh the data is."""
    market = "simulated market" if about.simulated else "Binance spot"
    reason = f" ({seen.trading.reason})" if seen.trading.reason else ""
    parts: list[object] = [
        Bold(f"{_LIGHTS[seen.trading.state]} {seen.trading.state.value}"),
        reason,
        f"\n{about.mode} mode, {market}, {span_name(about.span)} bars, ",
        "acts alone within limits" if auto else "asks before it buys",
        "\n\nEquity ",
        Bold(f"{words.money(seen.equity)} {seen.quote}"),
        f"\nToday {words.signed_percent(seen.today, 2)}, from the peak −{words.percent(seen.drawdown, 2)}",
        f"\nFree cash {words.money(seen.free_cash)}",
        f"\n\n{words.plural(len(seen.positions), 'position')}, {words.plural(len(seen.orders), 'open order')}, ",
        words.plural(seen.proposals, "proposal"),
    ]
    parts += [f"\n• {_short_position(line)}" for line in seen.positions]
    parts += ["\n\n", Italic(_freshness(seen, zone))]
    return Text(*parts)


def _short_position(line: PositionLine) -> str:
    unguarded = "being sold" if line.leaving else "NOT protected yet"
    guard = "protected" if line.protected_by else unguarded
    return f"{line.symbol} {words.signed_percent(line.change)} ({words.signed(line.profit)}), {guard}"


def _freshness(seen: Overview, zone: ZoneInfo) -> str:
    if not seen.bars:
        return "No bar has closed yet."
    newest = max(seen.bars, key=lambda bar: bar.close_at)
    stale = [bar.symbol for bar in seen.bars if bar.stale]
    return f"last bar {words.moment(newest.close_at, zone)}" + (f"; stale: {', '.join(stale)}" if stale else "")


def positions(lines: Sequence[PositionLine], quote: str, zone: ZoneInfo) -> Text:
    """Each position with entry, mark, barriers, what protects it and how long it may last."""
    if not lines:
        return Text("No positions.")
    parts: list[object] = []
    for line in lines:
        parts += [*_position(line, quote, zone), "\n\n"]
    return Text(*parts[:-1])


def _position(line: PositionLine, quote: str, zone: ZoneInfo) -> Iterator[object]:
    yield Bold(f"{line.symbol} {words.signed_percent(line.change, 2)}")
    yield f" ({words.signed(line.profit)} {quote})\n"
    yield f"{words.qty(line.qty)} bought at {words.average(line.entry_price)}, now {words.price(line.mark)}"
    yield f"\nTarget {words.price(line.target)}, stop {words.price(line.stop)}, {line.bars_left} bars left"
    if line.leaving:
        yield f"\nBeing sold: {line.leaving}"
    elif line.protected_by:
        yield from ("\nProtected on the exchange by ", Code(" ".join(line.protected_by)))
    else:
        yield Bold("\nNot protected on the exchange yet")
    yield f"\nSince {words.moment(line.opened_at, zone)}"


def orders(recent: Sequence[Order], zone: ZoneInfo) -> Text:
    """The newest orders, open ones first."""
    if not recent:
        return Text("No orders yet.")
    parts: list[object] = []
    for order in sorted(recent, key=lambda o: not o.live):
        at = order.stop_price or order.price
        where = f" at {words.price(at)}" if at else ""
        parts += [
            Bold(order.state.value),
            f" {order.side.value.lower()} {words.qty(order.qty)} {order.symbol}{where} "
            f"({order.purpose.name.lower()}, filled {words.qty(order.filled_qty)})\n",
            Code(order.client_id),
            f" {words.moment(order.created_at, zone)}\n",
        ]
    return Text(*parts)


def trades(done: Sequence[Trade], quote: str, zone: ZoneInfo) -> Text:
    """The newest closed round trips with what they earned."""
    if not done:
        return Text("No closed trades yet.")
    parts: list[object] = [Bold(f"Last {words.plural(len(done), 'trade')}"), "\n"]
    for trade in done:
        light = "✅" if trade.profit > 0 else "❌"
        parts.append(
            f"{light} {trade.symbol} {words.signed(trade.profit)}: {words.average(trade.entry_price)} → "
            f"{words.average(trade.exit_price)}, {trade.why}, {words.moment(trade.closed_at, zone)}\n"
        )
    total = sum((trade.profit for trade in done), Decimal(0))
    parts += [Bold(f"Together {words.signed(total)} {quote}")]
    return Text(*parts)


def balance(balances: Mapping[str, Decimal], instruments: Mapping[str, Instrument], seen: Overview) -> Text:
    """Every asset held; what is no position of ours is named as such."""
    ours = {instruments[line.symbol].base for line in seen.positions}
    parts: list[object] = [Bold("Balances"), "\n"]
    for asset in sorted(a for a, held in balances.items() if held):
        note = "" if asset == seen.quote or asset in ours else " (dust or not bought by me)"
        parts.append(f"{asset} {words.qty(balances[asset])}{note}\n")
    parts += ["Equity ", Bold(f"{words.money(seen.equity)} {seen.quote}")]
    return Text(*parts)


def limits(lines: Sequence[LimitLine]) -> Text:
    """Every limit with a bar of how much of it is used."""
    parts: list[object] = [Bold("Limits"), "\n"]
    for line in lines:
        limit = words.percent(line.limit) if line.fraction else f"{line.limit}"
        used = "" if line.used is None else f"{_amount(line)} of "
        parts += [Code(line.name), f" {used}{limit} {line.text}\n"]
    parts.append(Italic("Tighten one: /limits day_loss_max 2%"))
    return Text(*parts)


def risk(lines: Sequence[LimitLine], seen: Overview) -> Text:
    """What is at risk now: exposure, loss at the stops, how near each limit is."""
    at_stops = sum(((line.mark - line.stop) * line.qty for line in seen.positions), Decimal(0))
    parts: list[object] = [
        Bold(f"{_LIGHTS[seen.trading.state]} {seen.trading.state.value}"),
        f"\nIf every stop is hit now: {words.signed(-at_stops)} {seen.quote}\n\n",
    ]
    for line in lines:
        if line.used is not None:
            parts.append(f"{_gauge(line)} {_amount(line)} {line.text} (limit {_limit(line)})\n")
    return Text(*parts)


def _amount(line: LimitLine) -> str:
    used = line.used or Decimal(0)
    return words.percent(used) if line.fraction else f"{used}"


def _limit(line: LimitLine) -> str:
    return words.percent(line.limit) if line.fraction else f"{line.limit}"


def _gauge(line: LimitLine) -> str:
    share = float((line.used or Decimal(0)) / line.limit) if line.limit else 1.0
    filled = min(5, max(0, round(share * 5)))
    return "▰" * filled + "▱" * (5 - filled)


def health(checks: Sequence[Check]) -> Text:
    """Each check with its light."""
    parts: list[object] = [Bold("Health"), "\n"]
    for check in checks:
        parts += ["🟢 " if check.well else "🔴 ", Bold(check.name), f": {check.text}\n"]
    return Text(*parts)
