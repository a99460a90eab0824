"""Rules of spot pairs: a small table of the usual ones, and a rule of thumb for every other name.

Rule 1: tick and lot follow what the exchange itself uses for the pair; an unknown pair gets them from its price.
Rule 2: a price times a quantity has at most 8 decimals, so that every sum of money can be printed exactly.
Rule 3: a pair is always the same pair: what is not in the table comes from the name alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from math import floor, log10

from core.decide.venue import Rules
from core.domain.errors import BadData
from core.domain.market import Instrument

QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB")
MONEY_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair with its usual price (quote per base) and turnover (quote per hour)."""

    rules: Rules
    price: float
    turnover: float


# symbol: usual price, turnover per hour, tick, lot, most that one market order may ask for
TABLE: dict[str, tuple[float, float, str, str, str]] = {
    "BTCUSDT": (64000.0, 60e6, "0.01", "0.00001", "130"),
    "ETHUSDT": (3200.0, 35e6, "0.01", "0.0001", "3100"),
    "BNBUSDT": (580.0, 9e6, "0.1", "0.001", "4800"),
    "SOLUSDT": (150.0, 14e6, "0.01", "0.001", "64000"),
    "LINKUSDT": (14.0, 2.5e6, "0.01", "0.01", "79000"),
    "LTCUSDT": (85.0, 2e6, "0.01", "0.001", "16500"),
    "XRPUSDT": (0.55, 8e6, "0.0001", "1", "4800000"),
    "ADAUSDT": (0.42, 3e6, "0.0001", "0.1", "1900000"),
    "DOGEUSDT": (0.12, 6e6, "0.00001", "1", "19000000"),
    "TRXUSDT": (0.15, 2e6, "0.0001", "0.1", "6900000"),
    "DOTUSDT": (6.2, 1.5e6, "0.001", "0.01", "130000"),
    "AVAXUSDT": (27.0, 2.5e6, "0.01", "0.01", "40000"),
}


def split(symbol: str) -> tuple[str, str]:
    """Base and quote asset of a symbol. Raises BadData where no known quote asset ends it."""
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    raise BadData(f"{symbol} is no pair: it must end with one of {', '.join(QUOTES)}")


def pair(symbol: str, usual_price: float | None = None) -> Pair:
    """The pair of that name; one that is not in the table gets its grid from ``usual_price``, or from its name.

    Raises BadData for a name that is no pair.
    """
    base, quote = split(symbol)
    if symbol in TABLE:
        price, turnover, tick, lot, top = TABLE[symbol]
    else:
        price, turnover, tick, lot, top = _thumb(usual_price or price_by_name(symbol))
    smallest = Decimal("0.0001") if quote in ("BTC", "ETH", "BNB") else Decimal(5)
    instrument = Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        qty_min=Decimal(lot),
        notional_min=smallest,
        qty_max=Decimal(lot) * 900_000_000,
        price_min=Decimal(tick),
        price_max=Decimal(tick) * 100_000_000,
        market_qty_max=Decimal(top),
        trail_min_bips=10,
        trail_max_bips=2000,
    )
    return Pair(Rules(instrument), price, turnover)


def price_by_name(symbol: str) -> float:
    """A price of 0.1 to 1,000 quote per base that a made-up pair has by the hash of its name."""
    digest = sha256(symbol.encode()).digest()
    return round(10 ** (-1 + 4 * int.from_bytes(digest[:4], "big") / 2**32), 4)


def _thumb(price: float) -> tuple[float, float, str, str, str]:
    """What suits a price: a tick near 1/5,000 of it and a lot near one unit of quote."""
    tick, lot = grid_for(price)
    return price, 1.5e6, tick, lot, str(int(2e6 / price) + 1)


def grid_for(price: float) -> tuple[str, str]:
    """Tick and lot, powers of ten, that suit a price."""
    magnitude = floor(log10(price))
    return _power(max(min(magnitude - 3, 0), -MONEY_DECIMALS)), _power(min(-magnitude, 0))


def _power(exponent: int) -> str:
    return format(Decimal(1).scaleb(exponent), "f")


def finer(found: Pair, digits: int) -> Pair:
    """``found`` with a tick fine enough for prices of that many decimals (old records were finer at times).

    The lot becomes coarser where it must, so that price times quantity never has more decimals than money.
    """
    instrument = found.rules.instrument
    tick = min(instrument.tick, Decimal(1).scaleb(-digits))
    lot = max(instrument.lot, Decimal(1).scaleb(-MONEY_DECIMALS) / tick)
    grid = replace(instrument, tick=tick, price_min=tick, lot=lot, qty_min=max(instrument.qty_min, lot))
    return replace(found, rules=replace(found.rules, instrument=grid))


def decimals(found: Pair) -> int:
    """Decimals of the pair's tick."""
    exponent = found.rules.instrument.tick.normalize().as_tuple().exponent
    return max(-int(exponent), 0)
