"""What an account may do and what it pays.

Rule 1: a right that is not named counts as unknown, and an unknown right is never taken for a good one; a right that
        did not exist when this was written is one too much as soon as the key has it.
Rule 2: fees are the symbol's own where the server tells them, else the account's; each is asked for once an hour.
Rule 3: a fee is the whole of what may be taken from a trade: standard, special and tax, for the dearer side, and
        without the discount for paying in another coin, which ends when that coin does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from core.adapters.binance_errors import NoSuchPath
from core.adapters.binance_parse import Row, number, usable, whole
from core.adapters.binance_wire import Wire
from core.domain.errors import BadData
from core.domain.market import ZERO, from_ms
from core.ports import Rights

TOO_MUCH = (
    "enableWithdrawals",
    "enableInternalTransfer",
    "permitsUniversalTransfer",
    "enableMargin",
    "enableFutures",
    "enableVanillaOptions",
    "enablePortfolioMarginTrading",
)
NEEDED = ("enableReading", "enableSpotAndMarginTrading", "ipRestrict")
# the same spot trading and reading over another protocol
HARMLESS = ("enableFixApiTrade", "enableFixReadOnly")
EXPIRES = "tradingAuthorityExpirationTime"
_GRANTS = ("enable", "permit", "allow")
_NAME_MAX = 60
DEFAULT_FEE = Decimal("0.001")
_FRESH_S = 3600.0
_FEE_MOST = Decimal("0.1")
_PARTS = ("standardCommission", "specialCommission", "taxCommission")

Pair = tuple[Decimal, Decimal]


def rights_of(row: object) -> Rights:
    """What a key may do. Raises BadData where a right that matters, or a new one, is not named as true or false."""
    said = row if isinstance(row, Mapping) else {}
    new = tuple(_new_rights(said))
    unknown = [name for name in (*TOO_MUCH, *NEEDED, *new) if not isinstance(said.get(name), bool)]
    if unknown:
        raise BadData(f"The exchange does not say whether the key has {', '.join(unknown)}: it cannot be trusted")
    return Rights(
        too_much=tuple(name for name in (*TOO_MUCH, *new) if said[name]),
        missing=tuple(name for name in NEEDED if not said[name]),
        expires_at=_expiry(said),
    )


def _new_rights(said: Row) -> Iterator[str]:
    """Names that speak of a right and are none we know."""
    for name in said:
        if isinstance(name, str) and name.startswith(_GRANTS) and name not in (*TOO_MUCH, *NEEDED, *HARMLESS):
            if len(name) > _NAME_MAX or not (name.isascii() and name.isidentifier()):
                raise BadData("The exchange names a right of the key in a way nobody can read: it cannot be trusted")
            yield name


def _expiry(said: Row) -> datetime | None:
    """When the right to trade ends; a key bound to addresses usually has no such moment."""
    if EXPIRES not in said:
        return None
    with usable("when the key's right to trade ends"):
        return from_ms(whole(said[EXPIRES]))


def fees_of(row: Row) -> Pair:
    """Maker and taker fee of one symbol, fractions."""
    with usable("fees"):
        parts = [row[name] for name in _PARTS if name in row]
        if _PARTS[0] not in row:
            raise BadData("The exchange names no standard commission")
        maker, taker = (sum((_side(part, role) for part in parts), ZERO) for role in ("maker", "taker"))
        return _plausible(maker), _plausible(taker)


def _side(part: Row, role: str) -> Decimal:
    return number(part[role]) + max(number(part.get("buyer", "0")), number(part.get("seller", "0")))


def _plausible(fee: Decimal) -> Decimal:
    """``fee``, fraction, unless no exchange would charge it. Raises ValueError."""
    if abs(fee) > _FEE_MOST:
        raise ValueError("no fee")
    return fee


class Fees:
    """Maker and taker fee of each symbol, read over ``wire``; Binance's public 0.1 % without a key."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._by_symbol = True
        self._kept: dict[str, tuple[float, Pair]] = {}

    async def of(self, symbol: str) -> Pair:
        """Maker and taker fee, fractions, at most an hour old."""
        if not self._wire.has_key:
            return DEFAULT_FEE, DEFAULT_FEE
        if self._by_symbol:
            try:
                return await self._fresh(symbol)
            except NoSuchPath:
                self._by_symbol = False
        return await self._fresh("")

    async def _fresh(self, symbol: str) -> Pair:
        """The fees of a symbol, or of the account for the empty one."""
        read_at, fees = self._kept.get(symbol, (None, None))
        if fees is None or read_at is None or time.monotonic() - read_at > _FRESH_S:
            fees = await (self._read(symbol) if symbol else self._account())
            self._kept[symbol] = (time.monotonic(), fees)
        return fees

    async def _read(self, symbol: str) -> Pair:
        return fees_of(await self._wire.read("privateGetAccountCommission", {"symbol": symbol}))

    async def _account(self) -> Pair:
        account = await self._wire.read("privateGetAccount", {"omitZeroBalances": "true"})
        with usable("fees"):
            rates = account.get("commissionRates") or {"maker": DEFAULT_FEE, "taker": DEFAULT_FEE}
            return _plausible(number(rates["maker"])), _plausible(number(rates["taker"]))
