"""What trading costs: fees, half the spread, square-root impact, and how much of a bar one may take.

Rule 1: a cost is a policy object handed to the matching, never a constant inside it.
Rule 2: a fee is charged in the asset received (base on buys, quote on sells) unless BNB pays and there is enough of it.
Rule 3: slippage always goes against us and lands on the tick grid, rounded against us too.
Rule 4: an execution may come in pieces, each a trade with its own fee; how it is cut is no chance, it can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256

from core.decide.venue import Balance, Liquidity, Rules
from core.domain.market import ZERO, Bar, Instrument
from core.domain.orders import Side

SATOSHI = Decimal("0.00000001")
# a range of one standard deviation spans 2 * sqrt(ln 2) of them (Parkinson 1980)
PARKINSON = Decimal("1.6651")


@dataclass(frozen=True, slots=True)
class Fees:
    """Fractions of what changes hands; with ``bnb_prices`` (quote asset -> price of one BNB) BNB pays, 25 % cheaper."""

    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")
    bnb_prices: Mapping[str, Decimal] = field(default_factory=dict)
    bnb_discount: Decimal = Decimal("0.25")

    def charge(
        self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal, maker: bool, bnb: Balance
    ) -> tuple[str, Decimal]:
        """Asset and amount of the fee of one trade, cut to 8 decimals like the exchange's."""
        rate = self.maker if maker else self.taker
        bnb_price = self.bnb_prices.get(instrument.quote)
        if bnb_price:
            fee = _cut(qty * price * rate * (1 - self.bnb_discount) / bnb_price)
            if fee <= bnb.free and "BNB" not in (instrument.base, instrument.quote):
                return "BNB", fee
        if side is Side.BUY:
            return instrument.base, _cut(qty * rate)
        return instrument.quote, _cut(qty * price * rate)


def _cut(amount: Decimal) -> Decimal:
    return amount.quantize(SATOSHI, ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class Fills:
    """How the market treats us: share of a bar's volume we get (0..1), half spread, impact factor, its ceiling.

    One execution comes in 1 to ``pieces_max`` (1..20) trades, how many and how large by order id and ``seed`` alone.

    Impact as a fraction of price is ``impact * sigma * sqrt(qty / volume)``: the square-root law
    (Almgren et al. 2005, Toth et al. 2011), with sigma and volume of the same bar.
    """

    volume_share: Decimal = Decimal("0.1")
    half_spread: Decimal = Decimal("0.0001")
    impact: Decimal = Decimal("0.8")
    impact_max: Decimal = Decimal("0.05")
    pieces_max: int = 1
    seed: int = 0

    def slippage(self, qty: Decimal, volume: Decimal, sigma: Decimal) -> Decimal:
        """Impact of taking ``qty`` out of ``volume``, a fraction of the price in 0..``impact_max``."""
        if volume <= 0:
            return self.impact_max
        return min(self.impact * sigma * (qty / volume).sqrt(), self.impact_max)

    def taker_price(self, instrument: Instrument, side: Side, qty: Decimal, market: Liquidity) -> Decimal:
        """Average price of taking ``qty`` at once, quote per base, on the tick grid."""
        slip = self.slippage(qty, market.volume, market.sigma)
        if side is Side.BUY:
            return instrument.ceil_price(market.ask * (1 + slip))
        return max(instrument.floor_price(market.bid * (1 - slip)), instrument.tick)

    def pieces(self, qty: Decimal, lot: Decimal, salt: str) -> list[Decimal]:
        """``qty`` in 1 to ``pieces_max`` parts on the lot grid; the same for the same seed and ``salt``."""
        if self.pieces_max <= 1 or not lot:
            return [qty]
        draw = sha256(f"{self.seed}:{salt}".encode()).digest()
        weights = [1 + byte for byte in draw[: 1 + draw[-1] % self.pieces_max]]
        parts = [(qty * w / sum(weights)) // lot * lot for w in weights[1:]]
        return [part for part in (qty - sum(parts, ZERO), *parts) if part]

    def room(self, instrument: Instrument, volume: Decimal) -> Decimal:
        """Most that can be had of a bar of ``volume``, base units on the lot grid."""
        return instrument.floor_qty(volume * self.volume_share)

    def around(self, price: Decimal, volume: Decimal, sigma: Decimal) -> Liquidity:
        """The market when it trades at ``price``: half a spread on either side."""
        return Liquidity(price * (1 - self.half_spread), price * (1 + self.half_spread), volume, sigma)


@dataclass(frozen=True, slots=True)
class Terms:
    """Rules, fees and fills of one symbol at one venue."""

    rules: Rules
    fees: Fees = Fees()
    fills: Fills = Fills()

    @property
    def instrument(self) -> Instrument:
        """The instrument these terms are about."""
        return self.rules.instrument


def bar_sigma(bar: Bar) -> Decimal:
    """Volatility of one bar as a fraction of its price, >= 0, from its range (Parkinson)."""
    return (bar.high - bar.low) / bar.close / PARKINSON if bar.high > bar.low else ZERO
