"""A line that breaks as planned: core.sim.exchange.faults."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from core.sim.exchange.face import Ask, Face, Reply
from core.sim.exchange.fault_plan import FaultPlan, Kind
from core.sim.exchange.faults import Cut, FaultyLine, Unreachable
from core.sim.exchange.noise import Noise
from core.sim.exchange.server import Faults, listening
from core.sim.exchange.world import SimExchange
from tests.campaign.loop import live
from tests.sim.exchange.exchange_rig import KEY, SECRET, START, exchange, seeded

BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "20000"}


class Rig:
    """An exchange on the loop's own time behind a line on which everything fails in one way."""

    def __init__(self, kind: Kind | None, share: float = 1.0, seed: int = 1, **plan: Any) -> None:
        loop = asyncio.get_running_loop()
        balances = {"USDT": Decimal(100_000)}
        self.exchange = SimExchange(
            seeded(), start=START, speed=1.0, keys={KEY: SECRET}, balances=balances, clock=loop.time
        )
        weights = {kind: 1.0} if kind else FaultPlan().weights
        self.line = FaultyLine(Face(self.exchange), FaultPlan(share=share, weights=weights, **plan), seed)

    def signed(self, method: str, path: str, **params: str) -> Ask:
        """A request signed now."""
        stamp = self.exchange.now_ms()
        text = urlencode({**params, "timestamp": str(stamp), "recvWindow": "5000"})
        signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        return Ask(method, path, f"{text}&signature={signature}", "", KEY)

    async def buy(self, name: str = "mine", **changes: str) -> Reply:
        """Place a resting bid under our own id."""
        ask = self.signed("POST", "/api/v3/order", newClientOrderId=name, **{**BUY, **changes})
        return await self.line.ask(ask)

    @property
    def placed(self) -> int:
        """How many orders the exchange took."""
        return len(self.exchange.history.orders)


def lived(main: Any) -> Any:
    """What ``main`` returns, in virtual time."""
    return live(1, main)


@pytest.mark.parametrize(("kind", "taken"), [(Kind.LOST, 0), (Kind.REPLY_LOST, 1), (Kind.TRUNCATED, 1)])
def test_a_lost_request_never_arrives_and_a_lost_answer_hides_one_that_did(kind: Kind, taken: int):
    """The client cannot tell a request that was lost from one whose answer was."""

    async def main() -> tuple[int, str]:
        rig = Rig(kind)
        try:
            reply = await rig.buy()
            seen = "unreadable" if not _readable(reply.body) else "answer"
        except Cut:
            seen = "broken"
        return rig.placed, seen

    assert lived(main) == (taken, "unreadable" if kind is Kind.TRUNCATED else "broken")


def _readable(body: bytes) -> bool:
    try:
        return "orderId" in json.loads(body)
    except ValueError:
        return False


def test_what_is_late_arrives_within_its_window_and_ten_seconds_or_never():
    """A request the client gave up may still be accepted, but none older than its window and ten seconds."""

    async def main() -> list[float]:
        delays = []
        for seed in range(40):
            rig = Rig(Kind.LATE, seed=seed)
            began = asyncio.get_running_loop().time()
            with pytest.raises(Cut):
                await rig.buy()
            for _ in range(200):
                if rig.placed:
                    break
                await asyncio.sleep(0.1)
            delays.append(asyncio.get_running_loop().time() - began if rig.placed else 99.0)
        return delays

    delays = lived(main)
    assert max(d for d in delays if d < 99) <= 15.2
    assert min(delays) < 3
    assert 99.0 in delays


def test_a_repeated_request_meets_the_order_it_made():
    """The second delivery of an order that stands is refused as a duplicate, so it stands once."""

    async def main() -> tuple[int, int]:
        rig = Rig(Kind.TWICE)
        reply = await rig.buy()
        await asyncio.sleep(3)
        return reply.status, rig.placed

    assert lived(main) == (200, 1)


def test_a_market_order_is_never_repeated():
    """What fills at once could be bought twice under one id; no network does that to a client."""

    async def main() -> tuple[int, int, int]:
        rig = Rig(None, share=0.5)
        for i in range(60):
            try:
                ask = rig.signed(
                    "POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.0001",
                    newClientOrderId=f"m{i}",
                )  # fmt: skip
                await rig.line.ask(ask)
            except OSError:
                pass
        await asyncio.sleep(60)
        names = [o.client_id for o in rig.exchange.history.orders.values()]
        return len(names), len(set(names)), rig.line.counted[Kind.TWICE]

    orders, different, twice = lived(main)
    assert (orders, twice) == (different, 0)
    assert orders > 20


def test_a_lagging_read_shows_the_account_of_then():
    """An order placed a moment ago may not be shown yet; what is shown moves nothing."""

    async def main() -> tuple[list[int], int]:
        rig = Rig(Kind.STALE, lag_s=30.0)
        await rig.buy()
        seen = []
        for wait_s in (0, 60):
            await asyncio.sleep(wait_s)
            reply = await rig.line.ask(rig.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT"))
            seen.append(len(json.loads(reply.body)))
        return seen, rig.placed

    assert lived(main) == ([0, 1], 1)


def test_one_open_order_may_be_missing_from_the_list():
    """A list of open orders is no proof that an order ended."""

    async def main() -> list[str]:
        rig = Rig(Kind.HIDDEN)
        for name in ("a", "b", "c"):
            await rig.buy(name)
        reply = await rig.line.ask(rig.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT"))
        return [row["clientOrderId"] for row in json.loads(reply.body)]

    shown = lived(main)
    assert len(shown) == 2
    assert set(shown) < {"a", "b", "c"}


def test_an_answer_may_name_no_order_though_it_was_taken():
    """200 without orderId proves nothing."""

    async def main() -> tuple[int, int, bool]:
        rig = Rig(Kind.NAMELESS)
        reply = await rig.buy()
        return reply.status, rig.placed, "orderId" in json.loads(reply.body)

    assert lived(main) == (200, 1, False)


@pytest.mark.parametrize("kind", [Kind.BUSY, Kind.TURNED_DOWN])
def test_a_refusal_before_the_engine_does_nothing(kind: Kind):
    """429, 418, -1021, -1003, -1015 and -2015 prove that nothing was done."""

    async def main() -> tuple[int, set[int]]:
        rig = Rig(kind, revoked=0.3)
        codes = {json.loads((await rig.buy(f"n{i}")).body)["code"] for i in range(60)}
        return rig.placed, codes

    placed, codes = lived(main)
    assert placed == 0
    assert codes == ({-1003} if kind is Kind.BUSY else {-1021, -1003, -1015, -2015})


def test_an_unsure_code_comes_with_and_without_the_order():
    """-1006 and its like say nothing about what happened."""

    async def main() -> tuple[int, set[int]]:
        rig = Rig(Kind.UNSURE)
        codes = {json.loads((await rig.buy(f"n{i}")).body)["code"] for i in range(60)}
        return rig.placed, codes

    placed, codes = lived(main)
    assert 10 < placed < 50
    assert codes == {-1000, -1001, -1006, -1007, -1008}


def test_an_outage_lasts_and_ends():
    """While the exchange is away nothing reaches it; afterwards it is as it was."""

    async def main() -> tuple[float, int]:
        rig = Rig(Kind.OUTAGE, away_s=20.0)
        with pytest.raises(Unreachable):
            await rig.buy()
        rig.line.plan, rig.line.share = FaultPlan(share=0.0), 1e-12
        while True:
            try:
                await rig.buy()
                return asyncio.get_running_loop().time(), rig.placed
            except Unreachable:
                await asyncio.sleep(0.5)

    ended, placed = lived(main)
    assert 0.5 <= ended <= 21
    assert placed == 1


def test_the_same_seed_fails_in_the_same_way():
    """A failure that was seen once can be seen again."""

    async def main() -> list[str]:
        rig, seen = Rig(None, share=0.5, seed=9), []
        for i in range(80):
            try:
                seen.append((await rig.buy(f"n{i}")).body.decode())
            except OSError as fault:
                seen.append(type(fault).__name__)
        return seen

    assert lived(main) == lived(main)


def test_events_of_our_orders_are_lost_doubled_turned_round_or_cut():
    """The user stream is a speed-up that may lie by silence."""

    async def main() -> set[str]:
        noise = Noise(Rig(None).line, 3)
        return {repr(noise.spoiled([{"e": 1}, {"e": 2}])) for _ in range(60)}

    one, two = {"e": 1}, {"e": 2}
    assert lived(main) == {"None", "[]", repr([one, two, one, two]), repr([two, one])}


async def test_a_served_exchange_fails_until_it_is_calmed_down():
    """Over a real connection a driver sees broken connections, asks for calm, and gets it."""
    found = exchange()
    async with listening(found, faults=Faults(5, 1.0)) as url, aiohttp.ClientSession() as session:
        kinds = set()
        for _ in range(30):
            try:
                async with session.get(f"{url}/api/v3/time", timeout=aiohttp.ClientTimeout(3)) as reply:
                    kinds.add(reply.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                kinds.add(type(error).__name__)
        assert "ServerDisconnectedError" in kinds
        async with session.post(f"{url}/sim/v1/faults?share=2") as reply:
            assert reply.status == 400
        async with session.post(f"{url}/sim/v1/faults?share=0") as reply:
            told = await reply.json()
        assert told["share"] == 0
        assert sum(told["faults"].values()) >= 30
        for _ in range(10):
            async with session.get(f"{url}/api/v3/time") as reply:
                assert reply.status == 200
    found.close()
