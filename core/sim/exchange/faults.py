"""What goes wrong between a client and the exchange, drawn from a seed: a line that breaks in every known way.

Rule 1: every decision comes from one ``random.Random(seed)``, in the order of the requests.
Rule 2: a fault happens on the way or in the answer; the exchange behind it does what it always does.
Rule 3: what was under way when a client gave up still arrives, unless it is older than its window and ten seconds.
Rule 4: ``POST /sim/v1/faults?share=0`` calms the line down, another share stirs it up; ``/sim`` itself never fails.
Rule 5: reads may lag, and show the account as it stood then; orders and cancels always meet it as it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from random import Random

import msgspec

from core.sim.exchange.face import Ask, Face, Reply, refusal
from core.sim.exchange.fault_plan import FaultPlan, Kind, befalls
from core.sim.exchange.past import Past

WINDOW_MS = 5_000
GRACE_MS = 10_000
SWITCH = ("POST", "/sim/v1/faults")
TURNED_DOWN = (
    (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    (429, -1003, "Too many requests; current limit is 6000 request weight per 1 MINUTE."),
    (429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND."),
)
REVOKED = (401, -2015, "Invalid API-key, IP, or permissions for action.")
UNSURE = (
    (400, -1000, "An unknown error occurred while processing the request."),
    (400, -1001, "Internal error; unable to process your request. Please try again."),
    (400, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
    (408, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
)
BROKEN = (b"", b"<html><body><h1>502 Bad Gateway</h1></body></html>", b'{"code": -1000, "msg": "x"}', b"{", b"null")


class Cut(ConnectionResetError):
    """The connection broke: whether the request was done cannot be known from here."""


class Unreachable(ConnectionRefusedError):
    """There was no connection: the request never left."""


class FaultyLine:
    """A line to ``face`` that breaks as planned; ``counted`` says how often in which way.

    ``wait`` lets that many seconds of the exchange's time pass; ``told`` hears of each fault and the request it befell.
    """

    def __init__(
        self,
        face: Face,
        plan: FaultPlan,
        seed: int,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
        told: Callable[[Kind, Ask], None] = lambda kind, ask: None,
    ) -> None:
        self._face = face
        self._rng = Random(seed)
        self._wait = wait
        self._told = told
        self._past = Past(face.exchange)
        self._away_until_ms = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self.plan = plan
        self.share = plan.share
        self.counted: Counter[Kind] = Counter()

    async def ask(self, ask: Ask) -> Reply:
        """The answer to one request. Raises Cut or Unreachable where there is none."""
        if (ask.method, ask.path) == SWITCH:
            return self._switched(ask)
        if ask.path.startswith("/sim/"):
            return self._face.answer(ask)
        kind = self._drawn(ask)
        if kind is None:
            return self._face.answer(ask)
        self.counted[kind] += 1
        self._told(kind, ask)
        return await _ACTS[kind](self, ask)

    def _switched(self, ask: Ask) -> Reply:
        """``share`` of the requests fail from now on; the answer says how many have so far, and how."""
        try:
            share = float(ask.params().get("share", self.share))
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            return refusal(400, -1100, "Parameter 'share' must be a number from 0 to 1.", {})
        self.share = share
        if not share:
            self._away_until_ms = 0
        return Reply(200, msgspec.json.encode({"share": share, "faults": dict(sorted(self.counted.items()))}))

    async def close(self) -> None:
        """Let nothing more arrive."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _drawn(self, ask: Ask) -> Kind | None:
        if not self.share:
            return None
        if self._face.exchange.now_ms() < self._away_until_ms:
            return Kind.OUTAGE
        if self._rng.random() >= self.share:
            return None
        fitting = [kind for kind in self.plan.weights if befalls(kind, ask)]
        if not fitting:
            return None
        return self._rng.choices(fitting, [self.plan.weights[kind] for kind in fitting])[0]

    async def _lost(self, ask: Ask) -> Reply:
        await self._patience()
        raise Cut

    async def _reply_lost(self, ask: Ask) -> Reply:
        self._face.answer(ask)
        await self._patience()
        raise Cut

    async def _late(self, ask: Ask) -> Reply:
        """Broken for the client now, done at the exchange later, unless it is too old by then."""
        delay_s = self._rng.uniform(0.5, (WINDOW_MS + GRACE_MS) / 1000 + 1)
        task = asyncio.ensure_future(self._arrive(ask, delay_s))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await self._wait(self._rng.uniform(0.05, 1.0))
        raise Cut

    async def _arrive(self, ask: Ask, delay_s: float) -> None:
        await self._wait(delay_s)
        self._face.answer(ask, extra_ms=GRACE_MS)

    async def _twice(self, ask: Ask) -> Reply:
        reply = self._face.answer(ask)
        task = asyncio.ensure_future(self._arrive(ask, self._rng.uniform(0.0, 2.0)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return reply

    async def _broken(self, ask: Ask) -> Reply:
        self._perhaps(ask)
        return Reply(self._rng.choice((500, 502, 503, 504)), self._rng.choice(BROKEN))

    async def _unsure(self, ask: Ask) -> Reply:
        self._perhaps(ask)
        return refusal(*self._rng.choice(UNSURE), headers={})

    def _perhaps(self, ask: Ask) -> None:
        if self._rng.random() < 0.5:
            self._face.answer(ask)

    async def _truncated(self, ask: Ask) -> Reply:
        reply = self._face.answer(ask)
        if reply.status != 200:
            return reply
        size = 0 if self._rng.random() < 0.3 else self._rng.randrange(max(1, len(reply.body)))
        return Reply(200, reply.body[:size], reply.headers)

    async def _nameless(self, ask: Ask) -> Reply:
        reply = self._face.answer(ask)
        if reply.status != 200:
            return reply
        said = msgspec.json.decode(reply.body)
        for name in ("orderId", "orderReports", "orders"):
            said.pop(name, None)
        return Reply(200, msgspec.json.encode(said), reply.headers)

    async def _busy(self, ask: Ask) -> Reply:
        wait_s = self._rng.randint(1, self.plan.banned_s)
        headers = {"Retry-After": str(wait_s)} if self._rng.random() < 0.7 else {}
        status = 418 if headers and self._rng.random() < 0.3 else 429
        return refusal(status, -1003, "Way too much request weight used; IP banned.", headers)

    async def _turned_down(self, ask: Ask) -> Reply:
        revoked = bool(ask.key) and self._rng.random() < self.plan.revoked
        status, code, text = REVOKED if revoked else self._rng.choice(TURNED_DOWN)
        return refusal(status, code, text, {"Retry-After": "2"} if status == 429 else {})

    async def _stale(self, ask: Ask) -> Reply:
        then_ms = self._face.exchange.now_ms() - int(self._rng.uniform(0.5, self.plan.lag_s) * 1000)
        return self._face.answer(ask, seen=self._past.at(then_ms))

    async def _hidden(self, ask: Ask) -> Reply:
        reply = self._face.answer(ask)
        rows = msgspec.json.decode(reply.body) if reply.status == 200 else None
        if not rows:
            return reply
        rows.pop(self._rng.randrange(len(rows)))
        return Reply(200, msgspec.json.encode(rows), reply.headers)

    async def _slow(self, ask: Ask) -> Reply:
        before = self._rng.random() < 0.5
        wait_s = self._rng.uniform(0.2, self.plan.slow_s)
        if before:
            await self._wait(wait_s)
        reply = self._face.answer(ask)
        if not before:
            await self._wait(wait_s)
        return reply

    async def _refused(self, ask: Ask) -> Reply:
        raise Unreachable

    async def _outage(self, ask: Ask) -> Reply:
        now_ms = self._face.exchange.now_ms()
        if now_ms >= self._away_until_ms:
            self._away_until_ms = now_ms + int(self._rng.uniform(1.0, self.plan.away_s) * 1000)
        raise Unreachable

    async def _patience(self) -> None:
        """Some clients notice at once, some only after a while."""
        await self._wait(self._rng.choice((0.0, 0.1, 1.0, 5.0)))


_ACTS: Mapping[Kind, Callable[[FaultyLine, Ask], Awaitable[Reply]]] = {
    Kind.LOST: FaultyLine._lost,
    Kind.REPLY_LOST: FaultyLine._reply_lost,
    Kind.LATE: FaultyLine._late,
    Kind.TWICE: FaultyLine._twice,
    Kind.BROKEN: FaultyLine._broken,
    Kind.UNSURE: FaultyLine._unsure,
    Kind.TRUNCATED: FaultyLine._truncated,
    Kind.NAMELESS: FaultyLine._nameless,
    Kind.BUSY: FaultyLine._busy,
    Kind.TURNED_DOWN: FaultyLine._turned_down,
    Kind.STALE: FaultyLine._stale,
    Kind.HIDDEN: FaultyLine._hidden,
    Kind.SLOW: FaultyLine._slow,
    Kind.REFUSED: FaultyLine._refused,
    Kind.OUTAGE: FaultyLine._outage,
}
