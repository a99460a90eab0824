"""The control: a bot as such bots are usually written, over the same market, faults and kills. It must come to harm.

What is wrong with it, on purpose: it sends an order before it writes anything down, without a client id of its own; it
lets ccxt send again what failed and then tries again itself; it takes an exception for a failure; it believes the
answer of an order instead of the trades; it places the protection in a second step; after a restart it trusts its file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ccxt

FILE = "naive.json"
TRIES = 4
SHARE = 0.07
STOP, LIMIT, TARGET = 0.985, 0.975, 1.006
LOOK_S = 0.2
LOOKBACK = 20


def again(call: Callable[[], Any]) -> Any:
    """What ``call`` gives, tried up to TRIES times on any trouble with the network or the exchange."""
    for left in reversed(range(TRIES)):
        try:
            return call()
        except (ccxt.NetworkError, ccxt.ExchangeError):
            if not left:
                raise
    return None


class Naive:
    """Buys new highs, protects them, takes profits; ``held`` is what it believes to hold, in a JSON file."""

    def __init__(self, folder: Path, url: str, key: str, secret: str, symbols: list[str]) -> None:
        self._path = folder / FILE
        self._symbols = symbols
        self.held: dict[str, dict[str, Any]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._ex = ccxt.binance(
            {
                "apiKey": key,
                "secret": secret,
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchCurrencies": False,
                    "fetchMargins": False,
                    "adjustForTimeDifference": True,
                    "maxRetriesOnFailure": 3,
                    "maxRetriesOnFailureDelay": 50,
                },
                "timeout": 1000,
                "enableRateLimit": False,
            }
        )
        self._ex.urls["api"].update(public=f"{url}/api/v3", private=f"{url}/api/v3", sapi=f"{url}/sapi/v1")

    def run(self) -> None:
        """Trade for ever; whatever goes wrong with one symbol waits for the next look."""
        self._start()
        while True:
            for symbol in self._symbols:
                try:
                    self._look(symbol)
                except Exception as error:  # as such bots do: whatever it was, go on
                    print(symbol, type(error).__name__, error, flush=True)
            time.sleep(LOOK_S)

    def _start(self) -> None:
        while True:
            try:
                self._ex.load_markets()
                return
            except Exception as error:
                print("start", error, flush=True)
                time.sleep(LOOK_S)

    def _look(self, symbol: str) -> None:
        bars = again(lambda: self._ex.fetch_ohlcv(symbol, "1m", limit=LOOKBACK + 2))[:-1]
        close, high = bars[-1][4], max(bar[2] for bar in bars[:-1])
        if symbol not in self.held:
            if close > high:
                self._buy(symbol, close)
        elif not self.held[symbol]["stop"]:
            self._protect(symbol)
        elif close >= self.held[symbol]["price"] * TARGET:
            self._sell(symbol)
        else:
            self._stopped(symbol)

    def _buy(self, symbol: str, price: float) -> None:
        free = again(self._ex.fetch_balance)["USDT"]["free"]
        qty = float(self._ex.amount_to_precision(symbol, free * SHARE / price))
        order = again(lambda: self._ex.create_order(symbol, "market", "buy", qty))
        self.held[symbol] = {"qty": order["filled"] or qty, "price": order["average"] or price, "stop": ""}
        self._save()
        self._protect(symbol)

    def _protect(self, symbol: str) -> None:
        held = self.held[symbol]
        trigger, limit = (self._ex.price_to_precision(symbol, held["price"] * share) for share in (STOP, LIMIT))
        qty = float(self._ex.amount_to_precision(symbol, held["qty"] * 0.999))  # the fee was taken in coins
        params = {"stopPrice": trigger, "timeInForce": "GTC"}
        order = again(lambda: self._ex.create_order(symbol, "STOP_LOSS_LIMIT", "sell", qty, float(limit), params))
        held["stop"] = order["id"]
        self._save()

    def _sell(self, symbol: str) -> None:
        held = self.held[symbol]
        again(lambda: self._ex.cancel_order(held["stop"], symbol))
        qty = float(self._ex.amount_to_precision(symbol, held["qty"] * 0.999))
        again(lambda: self._ex.create_order(symbol, "market", "sell", qty))
        self._forget(symbol)

    def _stopped(self, symbol: str) -> None:
        if again(lambda: self._ex.fetch_order(self.held[symbol]["stop"], symbol))["status"] in ("closed", "canceled"):
            self._forget(symbol)

    def _forget(self, symbol: str) -> None:
        del self.held[symbol]
        self._save()

    def _save(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self.held))
        beside.replace(self._path)  # its file is whole at any moment: that is not what is tried here


def main() -> int:
    """Trade with the settings of the environment until killed."""
    url, symbols = (os.environ[f"FIRSTMATE_{name}"] for name in ("TESTNET_URL", "SYMBOLS"))
    Naive(Path.cwd(), url, os.environ["NAIVE_KEY"], os.environ["NAIVE_SECRET"], symbols.split(",")).run()
    return 0
