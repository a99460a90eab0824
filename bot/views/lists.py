"""Lists and tables of the chat: status, positions, orders, trades, balances, limits, health.

Rule 1: pure: values in, formatted text out, no arithmetic beyond adding up what is shown.
Rule 2: each answer fits one message; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Code, Italic, Text

from bot.views import words
from bot.views.fitting import fit
from core.domain.market import Instrument, span_name
from core.domain.orders import Order
from core.domain.state import Trade, TradingState
from core.run.desk import Stranger
from core.run.overview import LimitLine, Overview, PositionLine
from core.run.questions import About, Check

# enough for a dozen strangers beside ten orders of ours
STRANGERS_MAX = 1_200

_LIGHTS = {TradingState.ACTIVE: "🟢", TradingState.REDUCING: "🟡", TradingState.HALTED: "🔴"}


def status(seen: Overview, about: About, zone: ZoneInfo, auto: bool) -> Text:
    """Mode, trading state, money, positions and how fresh the data is."""
    market = f"{about.staged} market" if about.staged else "Binance spot"
    fall = f"{words.percent(seen.drawdown, 2)} under the peak" if seen.drawdown > 0 else "at the peak"
    head = Text(
        _trading(seen),
        f"\n{about.mode} mode, {market}, {span_name(about.span)} bars, ",
        "acts alone within limits" if auto else "asks before it buys",
        "\n\nEquity ",
        Bold(f"{words.money(seen.equity)} {seen.quote}"),
        f"\nToday {words.signed_percent(seen.today, 2)}, {fall}",
        f"\nFree cash {words.money(seen.free_cash)} {seen.quote}",
        f"\n\n{words.plural(len(seen.positions), 'position')}, {words.plural(len(seen.orders), 'open order')}, ",
        f"{words.plural(seen.proposals, 'proposal')}\n",
    )
    doubts = [Text("⚠️ ", text, "\n") for text in seen.doubts]
    blocks = [*doubts, *(_short_position(line) for line in seen.positions)]
    return fit(blocks, head, Text("\n", Italic(_freshness(seen, zone))))


def _trading(seen: Overview) -> Text:
    reason = f" ({seen.trading.reason})" if seen.trading.reason else ""
    return Text(Bold(f"{_LIGHTS[seen.trading.state]} {seen.trading.state.value}"), reason)


def _short_position(line: PositionLine) -> Text:
    return Text(f"• {line.symbol} {words.signed_percent(line.change)} ({words.signed(line.profit)}), {_guard(line)}\n")


def _guard(line: PositionLine) -> str:
    """In a word or two, how this position stands."""
    if line.leaving:
        return "being sold"
    if not line.qty:
        return "being bought"
    if line.moving:
        return "its stop is being moved"
    if line.stands:
        return "protected"
    return "its stop is NOT proven" if line.protected_by else "NOT protected yet"


def _freshness(seen: Overview, zone: ZoneInfo) -> str:
    if not seen.bars:
        return "No bar has closed yet."
    newest = max(seen.bars, key=lambda bar: bar.close_at)
    stale = [bar.symbol for bar in seen.bars if bar.stale]
    return f"Last bar closed {words.moment(newest.close_at, zone)}" + (f"; stale: {', '.join(stale)}" if stale else "")


def positions(lines: Sequence[PositionLine], quote: str, zone: ZoneInfo, span: timedelta) -> Text:
    """Each position with entry, mark, barriers, what protects it and how long it may last."""
    if not lines:
        return Text("No positions.")
    return fit([Text(*_position(line, quote, zone, span)) for line in lines])


def _position(line: PositionLine, quote: str, zone: ZoneInfo, span: timedelta) -> Iterator[object]:
    base = line.symbol.removesuffix(quote)
    yield Bold(f"{line.symbol} {words.signed_percent(line.change, 2)}")
    yield f" ({words.signed(line.profit)} {quote})\n"
    if line.qty:
        bought = f"{words.qty(line.qty)} {base} bought at {words.average(line.entry_price)}"
        yield f"{bought}, now {words.price(line.mark)}\n"
    yield f"Target {words.price(line.target)}, stop {words.price(line.stop)}{_trail(line)}"
    yield f"\nSince {words.moment(line.opened_at, zone)}, {words.bars(line.bars_left, span)} left\n"
    yield from (*_protection(line), "\n\n")


def _trail(line: PositionLine) -> str:
    """How the stop follows the price, where it does."""
    share = Decimal(line.trail_bips) / 10_000
    return f", following {words.percent(share, 2)} under the highest price" if share else ""


def _protection(line: PositionLine) -> Iterator[object]:
    """What the exchange does for this position if we are gone."""
    if line.leaving:
        yield f"Being sold: {line.leaving}"
    elif not line.qty:
        yield "Being bought; its stop and target come with it"
    elif line.moving:
        yield "Its stop is being moved: the old pair goes, the new one comes"
    elif line.stands:
        yield from ("🛡 On the exchange: ", *_codes(line.protected_by))
    elif line.protected_by:
        yield from (Bold("⚠️ Not proven to stand on the exchange: "), *_codes(line.protected_by))
    else:
        yield Bold("⚠️ Not protected on the exchange yet")


def _codes(names: Sequence[str]) -> Iterator[object]:
    for number, name in enumerate(names):
        yield from (", " if number else "", Code(name))


def orders(recent: Sequence[Order], zone: ZoneInfo, foreign: Sequence[Stranger] = ()) -> Text:
    """The newest orders, open ones first, then the account's open orders that are not ours."""
    if not recent and not foreign:
        return Text("No orders yet.")
    ours = [_order(order, zone) for order in sorted(recent, key=lambda o: not o.live)]
    return fit(ours, None if ours else Text("No orders of mine yet.\n\n"), strangers(foreign))


def strangers(foreign: Sequence[Stranger]) -> Text:
    """Open orders that somebody else placed, in a section of their own; empty where there are none."""
    if not foreign:
        return Text()
    head = Text(Bold(f"Not mine, never touched: {words.plural(len(foreign), 'open order')}"), "\n")
    return fit([_stranger(report) for report in foreign], head, units=STRANGERS_MAX)


def _stranger(report: Stranger) -> Text:
    what = f"• {report.symbol} {report.side.value.lower()} {words.qty(report.qty)}{_where(report)} "
    return Text(what, Code(report.client_id or report.exchange_id), "\n")


def _where(order: Order | Stranger) -> str:
    at = order.stop_price or order.price
    return f" at {words.price(at)}" if at else " at market"


def _order(order: Order, zone: ZoneInfo) -> Text:
    part = f", {words.qty(order.filled_qty)} filled" if 0 < order.filled_qty < order.qty else ""
    return Text(
        Bold(f"{order.symbol} {order.purpose.name.lower()}: {order.state.value}"),
        f"\n{order.side.value.lower()} {words.qty(order.qty)}{_where(order)}{part}, "
        f"{words.moment(order.created_at, zone)}\n",
        Code(order.client_id),
        "\n\n",
    )


def trades(done: Sequence[Trade], quote: str, zone: ZoneInfo) -> Text:
    """The newest closed round trips with what they earned."""
    if not done:
        return Text("No closed trades yet.")
    total = sum((trade.profit for trade in done), Decimal(0))
    head = Text(Bold(f"Last {words.plural(len(done), 'trade')}: {words.signed(total)} {quote}"), " after fees\n\n")
    return fit([_trade(trade, zone) for trade in done], head)


def _trade(trade: Trade, zone: ZoneInfo) -> Text:
    prices = f"{words.average(trade.entry_price)} → {words.average(trade.exit_price)}"
    return Text(
        f"{words.light(trade.profit)} {trade.symbol} {words.signed(trade.profit)} ({trade.why})\n"
        f"{prices}, {words.moment(trade.closed_at, zone)}\n"
    )


def balance(balances: Mapping[str, Decimal], instruments: Mapping[str, Instrument], seen: Overview) -> Text:
    """Every asset held; what is no position of ours is named as such."""
    ours = {instruments[line.symbol].base for line in seen.positions}
    lines = [_asset(asset, balances[asset], seen.quote, ours) for asset in sorted(a for a, q in balances.items() if q)]
    foot = Text("\nEquity ", Bold(f"{words.money(seen.equity)} {seen.quote}"))
    return fit(lines, Text(Bold("Balances"), "\n"), foot)


def _asset(asset: str, held: Decimal, quote: str, ours: set[str]) -> Text:
    if asset == quote:
        return Text(f"{asset} {words.money(held)}\n")
    return Text(f"{asset} {words.qty(held)}{'' if asset in ours else ' (dust or not bought by me)'}\n")


def limits(lines: Sequence[LimitLine]) -> Text:
    """Every limit, what it means and how much of it is used."""
    foot = Text("\nTighten one: ", Code("/limits day_loss_max 2%"))
    return fit([_limit_line(line) for line in lines], Text(Bold("Limits"), "\n"), foot)


def _limit_line(line: LimitLine) -> Text:
    used = "" if line.used is None else f"; now {_amount(line)}"
    return Text(Code(line.name), f" {_limit(line)} {line.text}{used}\n")


def risk(lines: Sequence[LimitLine], seen: Overview) -> Text:
    """What is at risk now: exposure, loss at the stops, how near each limit is."""
    at_stops = sum(((line.mark - line.stop) * line.qty for line in seen.positions), Decimal(0))
    head = Text(_trading(seen), f"\nIf every stop is hit now: {words.signed(-at_stops)} {seen.quote}\n\n")
    return fit([_gauge_line(line) for line in lines if line.used is not None], head)


def _gauge_line(line: LimitLine) -> Text:
    return Text(f"{_gauge(line)} {_amount(line)} {line.text} (limit {_limit(line)})\n")


def _amount(line: LimitLine) -> str:
    used = line.used or Decimal(0)
    return words.percent(used) if line.fraction else f"{used}"


def _limit(line: LimitLine) -> str:
    return words.setting_percent(line.limit) if line.fraction else f"{line.limit}"


def _gauge(line: LimitLine) -> str:
    share = float((line.used or Decimal(0)) / line.limit) if line.limit else 1.0
    filled = min(5, max(0, round(share * 5)))
    return "▰" * filled + "▱" * (5 - filled)


def health(checks: Sequence[Check]) -> Text:
    """Each check with its light."""
    lines = [Text("🟢 " if check.well else "🔴 ", Bold(check.name), f": {check.text}\n") for check in checks]
    return fit(lines, Text(Bold("Health"), "\n"))
