"""What can go wrong with a request, how often, and which requests it can befall.

Rule 1: what may fill at once never arrives twice: TCP repeats nothing, and no client could tell; what rests may.

kind            what happens                                              what the client sees
LOST            the request never arrives                                 a broken connection
REPLY_LOST      it is done, the answer is lost                            a broken connection
LATE            it arrives up to 15 s later, or is then dropped           a broken connection
TWICE           it arrives twice                                          the first answer
BROKEN          5xx, done or not                                          a status with any body
UNSURE          -1000 -1001 -1006 -1007 -1008, done or not                that code
TRUNCATED       it is done, the answer is cut or empty                    half an answer
NAMELESS        it is done, the answer names no order                     an answer without orderId
BUSY            429 or 418, with or without Retry-After                   nothing was done
TURNED_DOWN     -1021 -1003 -1015 -2015                                   nothing was done
STALE           a read shows the account of up to ``lag_s`` ago           an older truth
HIDDEN          one live order is missing from the open ones              less than the truth
SLOW            the answer takes its time                                 the truth, late
REFUSED         nobody listens                                            a refused connection
OUTAGE          the same for every request for a while                    a refused connection
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.sim.exchange.face import Ask

READS = frozenset(
    {"/api/v3/order", "/api/v3/openOrders", "/api/v3/myTrades", "/api/v3/allOrders", "/api/v3/account"}
    | {"/api/v3/orderList", "/api/v3/openOrderList", "/api/v3/allOrderList"}
)
PLACING = frozenset({"/api/v3/order", "/api/v3/orderList/oco", "/api/v3/orderList/oto", "/api/v3/orderList/otoco"})


class Kind(StrEnum):
    """The ways in which a request can go wrong."""

    LOST = "LOST"
    REPLY_LOST = "REPLY_LOST"
    LATE = "LATE"
    TWICE = "TWICE"
    BROKEN = "BROKEN"
    UNSURE = "UNSURE"
    TRUNCATED = "TRUNCATED"
    NAMELESS = "NAMELESS"
    BUSY = "BUSY"
    TURNED_DOWN = "TURNED_DOWN"
    STALE = "STALE"
    HIDDEN = "HIDDEN"
    SLOW = "SLOW"
    REFUSED = "REFUSED"
    OUTAGE = "OUTAGE"


EVERYTHING: Mapping[Kind, float] = {
    Kind.LOST: 2.0,
    Kind.REPLY_LOST: 2.0,
    Kind.LATE: 3.0,
    Kind.TWICE: 2.0,
    Kind.BROKEN: 1.5,
    Kind.UNSURE: 1.5,
    Kind.TRUNCATED: 1.0,
    Kind.NAMELESS: 1.5,
    Kind.BUSY: 0.7,
    Kind.TURNED_DOWN: 1.0,
    Kind.STALE: 4.0,
    Kind.HIDDEN: 1.0,
    Kind.SLOW: 2.0,
    Kind.REFUSED: 1.0,
    Kind.OUTAGE: 0.1,
}


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How much goes wrong: ``share`` (0..1) of the requests, in which proportions, and how far it goes.

    ``lag_s`` the oldest read, ``slow_s`` the longest wait for an answer, ``away_s`` the longest outage, ``banned_s``
    the longest Retry-After; ``revoked`` the share of TURNED_DOWN answers that say the key is none.
    """

    share: float = 0.15
    weights: Mapping[Kind, float] = field(default_factory=lambda: dict(EVERYTHING))
    lag_s: float = 40.0
    slow_s: float = 8.0
    away_s: float = 45.0
    banned_s: int = 20
    revoked: float = 0.01


def befalls(kind: Kind, ask: Ask) -> bool:
    """Whether this can happen to such a request at all."""
    placing = ask.method == "POST" and ask.path in PLACING
    if kind is Kind.STALE:
        return ask.method == "GET" and ask.path in READS
    if kind is Kind.HIDDEN:
        return ask.method == "GET" and ask.path == "/api/v3/openOrders"
    if kind is Kind.NAMELESS:
        return placing
    if kind is Kind.LATE:
        return ask.method != "GET"
    if kind is Kind.TWICE:
        return ask.method == "DELETE" or (placing and _rests(ask.params()))
    return True


def _rests(params: Mapping[str, str]) -> bool:
    """Whether a placed order waits at the exchange, where a second one of its name is refused."""
    at_once = params.get("type") == "MARKET" or params.get("timeInForce", "GTC") != "GTC" or "workingType" in params
    return not at_once
