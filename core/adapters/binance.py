"""Binance spot, and whatever speaks its language, as MarketData and Broker.

Rule 1: every number that is money is taken from the exchange's own text; nothing passes through float.
Rule 2: a bar is handed on only when the exchange's own clock proves it closed.
Rule 3: no order is ever sent twice; an answer that does not prove anything becomes OutcomeUnknown.
Rule 4: the simulated exchange, the testnet and Binance's several hosts differ by the base URL alone.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.adapters import binance_parse as parse
from core.adapters.binance_account import Fees, rights_of
from core.adapters.binance_errors import ARCHIVED, DUPLICATE, NO_ORDER
from core.adapters.binance_ledger import Ledger
from core.adapters.binance_orders import bracket_params, order_params, pair_params
from core.adapters.binance_proof import proven, proven_cancel, proven_list
from core.adapters.binance_rules import instrument_of
from core.adapters.binance_stream import BinanceStream
from core.adapters.binance_wire import Wire
from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused
from core.domain.market import ZERO, Bar, Depth, Instrument, Quote, from_ms, span_name, to_ms
from core.domain.orders import Fill, Order, OrderState
from core.ports import Clock, OrderReport, Rights

PAGE = 1000


class Binance:
    """One account at one address; without a key only the public half works. ``await close()`` when done."""

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        api_key: str = "",
        secret: str = "",
        *,
        paced: bool = True,
        timeout_s: float = 15.0,
        recv_window_ms: int = 5000,
    ) -> None:
        self._wire = Wire(
            base_url, clock, api_key, secret, timeout_s=timeout_s, paced=paced, recv_window_ms=recv_window_ms
        )
        self._proven_ms = 0
        self._asking_time = asyncio.Lock()
        self._ledger = Ledger(self._wire)
        self._fees = Fees(self._wire)

    async def close(self) -> None:
        """Give the connections back."""
        await self._wire.close()

    # public data

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Rules of these symbols; BadData names an unknown symbol and its nearest match."""
        if not symbols:
            return {}
        try:
            said = await self._wire.read("publicGetExchangeInfo", {"symbols": _listed(symbols)})
        except (BadData, Refused):
            await self._check_names(symbols)
            raise
        with parse.usable("the rules"):
            rows = {row["symbol"]: row for row in said["symbols"]}
        if not rows.keys() >= set(symbols):
            await self._check_names(symbols)
            raise BadData(f"The exchange gave no rules for {', '.join(sorted(set(symbols) - rows.keys()))}")
        return {symbol: instrument_of(rows[symbol], *await self._fees.of(symbol)) for symbol in symbols}

    async def bars(self, symbol: str, span: timedelta, since: datetime | None, limit: int) -> Sequence[Bar]:
        """Up to ``limit`` (1..1000) **closed** bars, oldest first, from ``since`` or the newest ones."""
        await self._learn_time(span)
        params: dict[str, str | int] = {"symbol": symbol, "interval": span_name(span)}
        if since is None:
            # one more, because the newest is usually unfinished
            rows = await self._wire.read("publicGetKlines", {**params, "limit": min(PAGE, limit + 1)})
        else:
            rows = await self._wire.read("publicGetKlines", {**params, "startTime": to_ms(since), "limit": limit})
        with parse.usable(f"the bars of {symbol}"):
            # a candle that is there proves that the exchange's clock has reached its open time
            self._proven_ms = max(self._proven_ms, *(parse.whole(row[0]) for row in rows[-1:]), 0)
        return parse.bars_of(rows, symbol, span, self._proven_ms)[-limit:]

    async def history(self, symbol: str, span: timedelta, since: datetime) -> AsyncIterator[Sequence[Bar]]:
        """All closed bars from ``since`` on, in pages of up to 1000, oldest first."""
        while page := await self.bars(symbol, span, since, PAGE):
            yield page
            since = page[-1].close_at

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Best bid and ask of each symbol."""
        if not symbols:
            return {}
        rows = await self._wire.read("publicGetTickerBookTicker", {"symbols": _listed(symbols)})
        with parse.usable("quotes"):
            quotes = {row["symbol"]: parse.quote_of(row, self._wire.now_ms()) for row in rows}
            return {symbol: quotes[symbol] for symbol in symbols}

    async def depth(self, symbol: str, levels: int) -> Depth:
        """The order book, ``levels`` (1..5000) deep on each side."""
        row = await self._wire.read("publicGetDepth", {"symbol": symbol, "limit": levels})
        return parse.depth_of(row, symbol, levels)

    async def server_time(self) -> datetime:
        """The exchange's clock."""
        said = await self._wire.read("publicGetTime")
        with parse.usable("the time"):
            now_ms = parse.whole(said["serverTime"])
            self._proven_ms = max(self._proven_ms, now_ms)
            return from_ms(now_ms)

    # orders

    async def submit(self, order: Order) -> OrderReport:
        """Send one order, once. Raises Refused, OutcomeUnknown or RetryLater (proven not done)."""
        try:
            row = await self._wire.change("privatePostOrder", order.client_id, order_params(order))
        except Refused as refused:
            if refused.code != DUPLICATE:
                raise
            return await self._existing(order.symbol, order.client_id)
        return self._ledger.note(proven(row, order))

    async def try_out(self, order: Order) -> None:
        """Let the exchange check an order and place nothing. Raises as ``submit`` does."""
        await self._wire.change("privatePostOrderTest", order.client_id, order_params(order))

    async def submit_pair(self, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Send both as one OCO list, once; the reports come stop first."""
        return await self._submit_list("privatePostOrderListOco", pair_params(stop, target), (stop, target))

    async def submit_bracket(self, entry: Order, stop: Order, target: Order) -> Sequence[OrderReport]:
        """Send an entry with the pair that protects it once it is filled, once; reports in this order."""
        params = bracket_params(entry, stop, target)
        return await self._submit_list("privatePostOrderListOtoco", params, (entry, stop, target))

    async def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel an order, its whole list if it belongs to one; Refused when there is nothing to cancel."""
        params = {"symbol": symbol, "origClientOrderId": client_id}
        proven_cancel(await self._wire.change("privateDeleteOrder", client_id, params), client_id)

    async def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """The order as it stands, or None where the exchange does not know it (yet: reads may lag)."""
        try:
            row = await self._wire.read("privateGetOrder", {"symbol": symbol, "origClientOrderId": client_id})
        except Refused as refused:
            if refused.code == NO_ORDER:
                return None
            if refused.code == ARCHIVED:
                # the exchange says so of orders that ended long ago without having bought or sold anything
                return OrderReport(client_id, symbol, "", OrderState.CANCELED, ZERO)
            raise
        return self._ledger.note(parse.report_of(row))

    async def open_orders(self, symbol: str = "") -> Sequence[OrderReport]:
        """All open orders of a symbol, or of every one in one request, foreign ones included."""
        rows = await self._wire.read("privateGetOpenOrders", {"symbol": symbol} if symbol else {})
        with parse.usable("open orders"):
            return [self._ledger.note(parse.report_of(row)) for row in rows]

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        """Our trades with an id above ``after_id`` ("" = from the first), oldest first; client ids filled in."""
        return await self._ledger.trades(symbol, after_id)

    async def newest_trade_id(self, symbol: str) -> int:
        """The id of our newest trade of a symbol, -1 for none."""
        return await self._ledger.newest_id(symbol)

    async def balances(self) -> Mapping[str, Decimal]:
        """Total of each asset held, free and locked, without zeros."""
        return parse.balances_of(await self._wire.read("privateGetAccount", {"omitZeroBalances": "true"}))

    async def sync_clock(self) -> float:
        """Learn the exchange's time; how far our clock was off, milliseconds, positive when fast."""
        return await self._wire.sync_clock()

    async def rights(self) -> Rights:
        """What the key may do. Raises where that cannot be known for certain."""
        return rights_of(await self._wire.read("sapiGetAccountApirestrictions"))

    def stream(self, ws_url: str) -> BinanceStream:
        """The account's events at this address of the WebSocket API. Raises NeedsOwner without a key."""
        if not self._wire.has_key:
            raise NeedsOwner("The stream of our orders needs an API key of the exchange: none is set")
        return BinanceStream(ws_url, self._wire)

    # the rest

    async def _learn_time(self, span: timedelta) -> None:
        """Ask the exchange's time where, by our clock, a bar may have closed since it was last proven."""
        span_ms = span // timedelta(milliseconds=1)
        async with self._asking_time:
            if self._wire.now_ms() // span_ms > self._proven_ms // span_ms:
                await self.server_time()

    async def _check_names(self, symbols: Sequence[str]) -> None:
        rows = await self._wire.read("publicGetTickerPrice")
        with parse.usable("the list of symbols"):
            names = [str(row["symbol"]) for row in rows]
        for symbol in symbols:
            if symbol not in names:
                near = difflib.get_close_matches(symbol.upper(), names, 1, 0.5)
                hint = f", did you mean {near[0]}?" if near else ""
                raise BadData(f"The exchange does not trade {symbol!r}{hint}")

    async def _existing(self, symbol: str, client_id: str) -> OrderReport:
        """An order the exchange says it has already; whatever hides it, it exists."""
        try:
            report = await self.find(symbol, client_id)
        except FirstmateError as error:
            raise OutcomeUnknown(f"{client_id} is at the exchange but cannot be read: {error}", client_id) from None
        if report is None:
            raise OutcomeUnknown(f"{client_id} is at the exchange but not shown yet", client_id)
        return report

    async def _submit_list(self, method: str, params: Mapping[str, str], orders: Sequence[Order]) -> list[OrderReport]:
        """Send a list of ours, once; the reports come in the order of ``orders``."""
        try:
            answer = await self._wire.change(method, orders[0].client_id, params)
        except Refused as refused:
            if refused.code != DUPLICATE:
                raise
            return [await self._existing(order.symbol, order.client_id) for order in orders]
        return [self._ledger.note(report) for report in proven_list(answer, orders)]


def _listed(symbols: Sequence[str]) -> str:
    return json.dumps(list(symbols), separators=(",", ":"))
