"""Everything our orders ever did on this exchange, for the reading requests.

Rule 1: orders by id, the newest by client id, trades by symbol in the order of their ids, lists by id.
Rule 2: it only ever takes what the matching engine says has moved.
"""

from __future__ import annotations

from bisect import bisect_left

from core.decide.venue import ListMove, Moves, OrderList, VenueOrder, VenueTrade


class History:
    """Orders, trades and lists since the exchange began."""

    def __init__(self) -> None:
        self.orders: dict[int, VenueOrder] = {}
        self.lists: dict[int, OrderList] = {}
        self._by_client: dict[tuple[str, str], int] = {}
        self._trades: dict[str, list[VenueTrade]] = {}

    def record(self, moves: Moves) -> None:
        """Take in what moved."""
        for move in moves:
            if isinstance(move, ListMove):
                self.lists[move.orders.list_id] = move.orders
                continue
            order = move.order
            self.orders[order.order_id] = order
            self._by_client[(order.symbol, order.client_id)] = order.order_id
            if move.trade is not None:
                self._trades.setdefault(order.symbol, []).append(move.trade)

    def order(self, symbol: str, order_id: int | None, client_id: str) -> VenueOrder | None:
        """The order by its id, else the newest one with that client id."""
        found_id = self._by_client.get((symbol, client_id)) if order_id is None else order_id
        found = self.orders.get(found_id) if found_id is not None else None
        return found if found is not None and found.symbol == symbol else None

    def of_symbol(self, symbol: str) -> list[VenueOrder]:
        """All orders of a symbol, oldest first."""
        return [o for o in self.orders.values() if o.symbol == symbol]

    def trades(self, symbol: str, from_id: int = 0) -> list[VenueTrade]:
        """Trades of a symbol with an id of at least ``from_id``, oldest first."""
        trades = self._trades.get(symbol, [])
        return trades[bisect_left(trades, from_id, key=lambda t: t.trade_id) :]

    def order_list(self, list_id: int | None, client_id: str) -> OrderList | None:
        """The list by its id, else the newest one with that client id."""
        if list_id is not None:
            return self.lists.get(list_id)
        return next((o for o in reversed(self.lists.values()) if o.client_id == client_id), None)
