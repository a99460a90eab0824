"""Our trades as the exchange's ledger has them, each with the client id of the order it belongs to.

Rule 1: the exchange names an order by its number here; whose that is comes from what this process saw, else from the
        exchange's own list of orders.
Rule 2: a trade whose order nobody can name yet is not handed on: it would be booked to nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from core.adapters import binance_parse as parse
from core.adapters.binance_wire import Wire
from core.domain.errors import RetryLater
from core.domain.orders import Fill
from core.ports import OrderReport

PAGE = 1000
_IDS_KEPT = 10_000


class Ledger:
    """Reads trades over ``wire`` and remembers the newest 10,000 order numbers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._client_ids: OrderedDict[tuple[str, str], str] = OrderedDict()

    def note(self, report: OrderReport) -> OrderReport:
        """``report``, after keeping whose order that number is."""
        self._client_ids[report.symbol, report.exchange_id] = report.client_id
        while len(self._client_ids) > _IDS_KEPT:
            self._client_ids.popitem(last=False)
        return report

    async def trades(self, symbol: str, after_id: str) -> Sequence[Fill]:
        """Our trades with an id above ``after_id`` ("" = from the first), oldest first; client ids filled in."""
        with parse.usable("trades"):
            start = parse.whole(after_id) + 1 if after_id else 0
            rows: list[parse.Row] = []
            while fresh := await self._page(symbol, start):
                rows += fresh
                start = int(fresh[-1]["id"]) + 1
                if len(fresh) < PAGE:
                    break
            names = await self._names(symbol, {parse.whole(row["orderId"]) for row in rows})
            return [parse.fill_of(row, names[int(row["orderId"])]) for row in rows]

    async def newest_id(self, symbol: str) -> int:
        """The id of our newest trade of a symbol, -1 for none."""
        rows = await self._wire.read("privateGetMyTrades", {"symbol": symbol, "limit": 1})
        with parse.usable("trades"):
            return max((parse.whole(row["id"]) for row in rows), default=-1)

    async def _page(self, symbol: str, start: int) -> list[parse.Row]:
        """Up to 1000 of our trades with ids from ``start`` on, oldest first."""
        page = await self._wire.read("privateGetMyTrades", {"symbol": symbol, "fromId": start, "limit": PAGE})
        return sorted((row for row in page if parse.whole(row["id"]) >= start), key=lambda row: int(row["id"]))

    async def _names(self, symbol: str, order_ids: set[int]) -> dict[int, str]:
        """Client id of each order number; RetryLater where the exchange does not show one yet."""
        names = {i: self._client_ids[symbol, str(i)] for i in order_ids if (symbol, str(i)) in self._client_ids}
        missing = sorted(order_ids - names.keys())
        while missing:
            params: dict[str, str | int] = {"symbol": symbol, "orderId": missing[0], "limit": PAGE}
            rows = await self._wire.read("privateGetAllOrders", params)
            reports = [parse.report_of(row) for row in rows]
            names |= {int(self.note(report).exchange_id): report.client_id for report in reports}
            last = max((int(report.exchange_id) for report in reports), default=0)
            if missing[0] not in names:
                raise RetryLater(f"Order {missing[0]} of {symbol} has trades but is not shown yet")
            missing = [number for number in missing if number > last and number not in names]
        return names
