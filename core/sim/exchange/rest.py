"""The REST gate: one function every request passes, from bytes to the answer with its headers.

Rule 1: parameters come from the query and a form body alike; what was signed is what was sent.
Rule 2: every answer carries the used weight, an order also the order count; 429 carries Retry-After.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from core.domain.errors import Refused
from core.sim.exchange.auth import check_key, check_signature, check_time, signed_text
from core.sim.exchange.budget import Budget
from core.sim.exchange.errors import ApiError, fail, from_refusal
from core.sim.exchange.params import Params
from core.sim.exchange.routes import ROUTES, Route, Who
from core.sim.exchange.world import SimExchange

BODY_MOST = 64 * 1024
_encode = msgspec.json.Encoder().encode


class RestGate:
    """Answers REST requests for one exchange."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self.budget = Budget(enforced=not exchange.lockstep)

    async def handle(self, request: web.Request) -> web.Response:
        """The answer to any path."""
        body = (await request.read()).decode("utf-8", "replace") if request.can_read_body else ""
        query = request.raw_path.partition("?")[2]
        route = ROUTES.get((request.method, request.path))
        try:
            answer = self._answer(route, query, body, request.headers.get("X-MBX-APIKEY", ""))
            status, headers = 200, self._headers(route)
        except Refused as refused:
            status, headers, answer = self._fault(route, from_refusal(refused))
        except ApiError as fault:
            status, headers, answer = self._fault(route, fault)
        return web.Response(
            body=_encode(answer), status=status, headers=headers, content_type="application/json", charset="utf-8"
        )

    def _answer(self, route: Route | None, query: str, body: str, key: str) -> object:
        if route is None:
            raise fail("path")
        exchange = self._exchange
        now_ms = exchange.now_ms()
        self.budget.spend(now_ms, route.weight, route.orders)
        params = Params(dict(parse_qsl(query) + parse_qsl(body)))
        if route.who is Who.SIGNED:
            secret = check_key(exchange.keys, key)
            check_time(params, now_ms, strict=exchange.speed == 1)
            check_signature(secret, *signed_text(query, body))
        return route.answer(exchange, params)

    def _headers(self, route: Route | None) -> dict[str, str]:
        used = {"X-MBX-USED-WEIGHT": str(self.budget.weight), "X-MBX-USED-WEIGHT-1M": str(self.budget.weight)}
        if route is not None and route.orders:
            used["X-MBX-ORDER-COUNT-10S"] = str(self.budget.orders)
        return used

    def _fault(self, route: Route | None, fault: ApiError) -> tuple[int, dict[str, str], object]:
        headers = self._headers(route)
        if fault.retry_after_s is not None:
            headers["Retry-After"] = str(fault.retry_after_s)
        return fault.status, headers, {"code": fault.code, "msg": fault.text}
