"""Everything our orders ever did on this exchange, for the reading requests.

Rule 1: orders by id, the newest by client id, trades by symbol in the order of their ids, lists by id.
Rule 2: it only ever takes what the matching engine says has moved, and what came in and went out.
Rule 3: nothing is ever forgotten: it is the truth that everybody else's books are held against.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal

from core.decide.venue import ListMove, Moves, OrderList, VenueOrder, VenueTrade


@dataclass(frozen=True, slots=True)
class Transfer:
    """A deposit (``amount`` > 0) or a withdrawal (< 0)."""

    at_ms: int
    asset: str
    amount: Decimal


class History:
    """Orders, trades, lists and transfers since the exchange began; ``every_trade`` in the order of trade ids."""

    def __init__(self) -> None:
        self.orders: dict[int, VenueOrder] = {}
        self.lists: dict[int, OrderList] = {}
        self.every_trade: list[VenueTrade] = []
        self.transfers: list[Transfer] = []
        self._by_client: dict[tuple[str, str], int] = {}
        self._named: dict[str, list[int]] = {}
        self._trades: dict[str, list[VenueTrade]] = {}

    def record(self, moves: Moves) -> None:
        """Take in what moved."""
        for move in moves:
            if isinstance(move, ListMove):
                self.lists[move.orders.list_id] = move.orders
                continue
            order = move.order
            if order.order_id not in self.orders:
                self._named.setdefault(order.client_id, []).append(order.order_id)
            self.orders[order.order_id] = order
            self._by_client[(order.symbol, order.client_id)] = order.order_id
            if move.trade is not None:
                self._trades.setdefault(order.symbol, []).append(move.trade)
                self.every_trade.append(move.trade)

    def order(self, symbol: str, order_id: int | None, client_id: str) -> VenueOrder | None:
        """The order by its id, else the newest one with that client id."""
        found_id = self._by_client.get((symbol, client_id)) if order_id is None else order_id
        found = self.orders.get(found_id) if found_id is not None else None
        return found if found is not None and found.symbol == symbol else None

    def named(self, client_id: str) -> tuple[VenueOrder, ...]:
        """Every order that was ever placed under that client id, of any symbol, oldest first."""
        return tuple(self.orders[order_id] for order_id in self._named.get(client_id, ()))

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
