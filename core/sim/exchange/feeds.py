"""The events of each market stream at one moment, by stream name.

Rule 1: a stream is named symbol@kind, lower case symbol; KINDS knows every kind there is.
Rule 2: the book's difference streams are gapless: each event's first id follows the last event's final id.
"""

from __future__ import annotations

from collections.abc import Callable

from core.sim.exchange.public import LEVELS_MOST, book_id, book_view, day_view, trade_count, turnover
from core.sim.exchange.show import Json, num
from core.sim.exchange.tape import INTERVALS, Bounds
from core.sim.exchange.world import SimExchange
from core.sim.market import Row

BOOK_LEVELS = 20
Book = dict[str, dict[str, str]]
Make = Callable[["Feeds", str, str], list[Json]]


class Feeds:
    """Makes events; remembers per symbol only what the last book looked like."""

    def __init__(self, exchange: SimExchange) -> None:
        self._ex = exchange
        self._symbols = {symbol.lower(): symbol for symbol in exchange.market.symbols}
        self._books: dict[str, Book] = {}
        self._last_id = book_id(exchange.tape.now_ms, exchange)
        self._last_ms = exchange.tape.now_ms

    def knows(self, name: str) -> bool:
        """Whether there is such a stream."""
        symbol, kind, detail = self._parts(name)
        if kind == "kline":
            return symbol in self._symbols and detail in INTERVALS and self._ex.tape.serves(INTERVALS[detail])
        return symbol in self._symbols and kind in KINDS

    @staticmethod
    def _parts(name: str) -> tuple[str, str, str]:
        symbol, _, rest = name.partition("@")
        kind, _, speed = rest.partition("@")
        if kind.startswith("kline_"):
            return symbol, "kline", kind[6:]
        if kind.startswith("depth") and kind[5:].isdigit():
            return symbol, "levels", kind[5:]
        return symbol, kind, speed

    def events(self, name: str) -> list[Json]:
        """What this stream has to say now."""
        symbol, kind, detail = self._parts(name)
        return KINDS[kind](self, self._symbols[symbol], detail)

    def passed(self) -> None:
        """This moment was told."""
        self._last_id = book_id(self._ex.tape.now_ms, self._ex)
        self._last_ms = self._ex.tape.now_ms

    def prime(self, name: str) -> None:
        """Somebody begins to listen: changes of the book are told from how it looks now."""
        symbol, kind, _ = self._parts(name)
        if kind == "depth":
            self._books[self._symbols[symbol]] = self._book(self._symbols[symbol])

    def _book(self, symbol: str) -> Book:
        bids, asks = self._ex.tape.book(symbol, LEVELS_MOST)
        return {"b": {num(p): num(q) for p, q in bids}, "a": {num(p): num(q) for p, q in asks}}

    def _head(self, event: str, symbol: str) -> Json:
        return {"e": event, "E": self._ex.tape.now_ms, "s": symbol}

    def kline(self, symbol: str, detail: str) -> list[Json]:
        """Candles that ended since the last moment, then the running one."""
        length = INTERVALS[detail]
        since = self._last_ms // length * length
        rows = self._ex.tape.candles(symbol, length, Bounds(since, self._ex.tape.now_ms, 1000))
        return [{**self._head("kline", symbol), "k": self._candle(symbol, detail, length, row)} for row in rows]

    def _candle(self, symbol: str, detail: str, length: int, row: Row) -> Json:
        quote, step = turnover(row), self._ex.tape.step_ms
        end = row.open_ms + length
        return {
            "t": row.open_ms, "T": end - 1, "s": symbol, "i": detail, "f": row.open_ms // step, "L": end // step - 1,
            "o": num(row.open), "c": num(row.close), "h": num(row.high), "l": num(row.low), "v": num(row.volume),
            "n": trade_count(row), "x": end <= self._ex.tape.now_ms, "q": num(quote), "V": num(row.volume / 2),
            "Q": num(quote / 2), "B": "0",
        }  # fmt: skip

    def mini_ticker(self, symbol: str, detail: str) -> list[Json]:
        """The last 24 hours in short."""
        day = day_view(self._ex, symbol)
        short = {"c": "lastPrice", "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume",
                 "q": "quoteVolume"}  # fmt: skip
        return [{**self._head("24hrMiniTicker", symbol), **{k: day[v] for k, v in short.items()}}]

    def ticker(self, symbol: str, detail: str) -> list[Json]:
        """The last 24 hours."""
        day = day_view(self._ex, symbol)
        names = {"p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice",
                 "c": "lastPrice", "Q": "lastQty", "b": "bidPrice", "B": "bidQty", "a": "askPrice", "A": "askQty",
                 "o": "openPrice", "h": "highPrice", "l": "lowPrice", "v": "volume", "q": "quoteVolume",
                 "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId", "n": "count"}  # fmt: skip
        return [{**self._head("24hrTicker", symbol), **{k: day[v] for k, v in names.items()}}]

    def book_ticker(self, symbol: str, detail: str) -> list[Json]:
        """Best bid and ask."""
        best = book_view(self._ex, symbol)
        return [
            {
                "u": book_id(self._ex.tape.now_ms, self._ex),
                "s": symbol,
                "b": best["bidPrice"],
                "B": best["bidQty"],
                "a": best["askPrice"],
                "A": best["askQty"],
            }
        ]

    def trade(self, symbol: str, detail: str) -> list[Json]:
        """The trade that ended each step since the last moment."""
        step = self._ex.tape.step_ms
        rows = self._ex.tape.candles(symbol, step, Bounds(self._last_ms, self._ex.tape.now_ms - 1, 1000))
        return [
            {
                **self._head("trade", symbol),
                "t": row.open_ms // step,
                "p": num(row.close),
                "q": num(row.volume),
                "T": row.open_ms + step - 1,
                "m": row.close < row.open,
                "M": True,
            }
            for row in rows
        ]

    def levels(self, symbol: str, detail: str) -> list[Json]:
        """The top of the book, 5, 10 or 20 levels."""
        bids, asks = self._ex.tape.book(symbol, min(int(detail), BOOK_LEVELS))
        sides = [[[num(price), num(qty)] for price, qty in side] for side in (bids, asks)]
        return [{"lastUpdateId": book_id(self._ex.tape.now_ms, self._ex), "bids": sides[0], "asks": sides[1]}]

    def depth(self, symbol: str, detail: str) -> list[Json]:
        """What changed in the book; a quantity of zero takes a level away."""
        before, book = self._books[symbol], self._book(symbol)
        self._books[symbol] = book
        changes = {side: _changes(before[side], book[side]) for side in ("b", "a")}
        span = {"U": self._last_id + 1, "u": book_id(self._ex.tape.now_ms, self._ex)}
        return [{**self._head("depthUpdate", symbol), **span, **changes}]


def _changes(before: dict[str, str], after: dict[str, str]) -> list[list[str]]:
    gone = [[price, num(0.0)] for price in before if price not in after]
    return gone + [[price, qty] for price, qty in after.items() if before.get(price) != qty]


KINDS: dict[str, Make] = {
    "kline": Feeds.kline,
    "miniTicker": Feeds.mini_ticker,
    "ticker": Feeds.ticker,
    "bookTicker": Feeds.book_ticker,
    "trade": Feeds.trade,
    "depth": Feeds.depth,
    "levels": Feeds.levels,
}
