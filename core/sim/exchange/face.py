"""The REST face of the exchange without a network: one request as values in, one answer as values out.

Rule 1: parameters come from the query and a form body alike; what was signed is what was sent.
Rule 2: every answer carries the used weight, an order also the order count; 429 carries Retry-After.
Rule 3: what is read is read from ``seen``: the account as it stands, or as it stood a moment ago where reads lag.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from core.domain.errors import Refused
from core.sim.exchange.auth import check_key, check_signature, check_time, signed_text
from core.sim.exchange.budget import Budget
from core.sim.exchange.errors import ApiError, fail, from_refusal
from core.sim.exchange.params import Params
from core.sim.exchange.routes import ROUTES, Route, Who
from core.sim.exchange.world import SimExchange

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as it arrived: ``query`` and ``body`` are the very text that was signed."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    key: str = ""

    def params(self) -> Mapping[str, str]:
        """What was asked for, by name."""
        return _parsed(self.query, self.body)


@lru_cache(maxsize=64)
def _parsed(query: str, body: str) -> dict[str, str]:
    """The parameters of one request, which are asked for more than once on its way."""
    return dict(parse_qsl(query) + parse_qsl(body))


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it leaves; the body is JSON unless something spoiled it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Line(Protocol):
    """A way from a client to the exchange; what goes wrong on it is raised as an OSError."""

    async def ask(self, ask: Ask) -> Reply:
        """The answer to one request."""


class Face:
    """Answers requests for one exchange."""

    def __init__(self, exchange: SimExchange) -> None:
        self.exchange = exchange
        self.budget = Budget(enforced=not exchange.lockstep)

    async def ask(self, ask: Ask) -> Reply:
        """The answer to one request, over a line without faults."""
        return self.answer(ask)

    def answer(self, ask: Ask, seen: SimExchange | None = None, extra_ms: int = 0) -> Reply:
        """The answer to any path; a request may be ``extra_ms`` older than its window where it was under way so long.

        ``seen`` is the account as a lagging read shows it.
        """
        route = ROUTES.get((ask.method, ask.path))
        try:
            answer = self._answered(route, ask, seen or self.exchange, extra_ms)
        except Refused as refused:
            return self._fault(route, from_refusal(refused))
        except ApiError as fault:
            return self._fault(route, fault)
        return Reply(200, _encode(answer), self._headers(route))

    def _answered(self, route: Route | None, ask: Ask, seen: SimExchange, extra_ms: int) -> object:
        if route is None:
            raise fail("path")
        exchange = self.exchange
        now_ms = exchange.now_ms()
        self.budget.spend(now_ms, route.weight, route.orders)
        params = Params(ask.params())
        if route.who is Who.SIGNED:
            secret = check_key(exchange.keys, ask.key)
            judged_ms = min(now_ms, max(params.number("timestamp"), now_ms - extra_ms))
            check_time(params, judged_ms, strict=exchange.speed == 1)
            check_signature(secret, *signed_text(ask.query, ask.body))
        return route.answer(seen, params)

    def _headers(self, route: Route | None) -> dict[str, str]:
        used = {"X-MBX-USED-WEIGHT": str(self.budget.weight), "X-MBX-USED-WEIGHT-1M": str(self.budget.weight)}
        if route is not None and route.orders:
            used["X-MBX-ORDER-COUNT-10S"] = str(self.budget.orders)
        return used

    def _fault(self, route: Route | None, fault: ApiError) -> Reply:
        headers = self._headers(route)
        if fault.retry_after_s is not None:
            headers["Retry-After"] = str(fault.retry_after_s)
        return refusal(fault.status, fault.code, fault.text, headers)


def refusal(status: int, code: int, text: str, headers: Mapping[str, str]) -> Reply:
    """An answer that says no, in the exchange's own form."""
    return Reply(status, _encode({"code": code, "msg": text}), headers)
