"""Which secrets sign requests, and that the simulated exchange believes exactly those signatures."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance import Binance
from core.adapters.binance_signing import signing_of
from core.adapters.binance_stream import Pace
from core.domain.errors import NeedsOwner
from core.domain.market import to_ms
from core.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from core.sim.exchange.server import listening
from core.sim.exchange.world import SimExchange
from core.sim.market_seeded import SeededMarket
from tests.adapters.stream_rig import KEY, Clock, listener

PKCS8 = PrivateFormat.PKCS8


def pem_of(key: Ed25519PrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey, kind: PrivateFormat = PKCS8) -> str:
    """A private key as the exchange's own key maker writes it."""
    return key.private_bytes(Encoding.PEM, kind, NoEncryption()).decode()


OURS, OTHERS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """An exchange at the wall's speed that knows the public half of our key."""
    now = datetime.now(UTC)
    market = SeededMarket(("BTCUSDT",), 7, 60_000, to_ms(now), 100)
    money = {"USDT": Decimal(100_000)}
    exchange = SimExchange(market, start=now, speed=1.0, keys={KEY: PUBLIC}, balances=money)
    async with listening(exchange) as address:
        yield address


async def buy(binance: Binance) -> OrderState:
    """What becomes of a small market order."""
    rules = (await binance.instruments(["BTCUSDT"]))["BTCUSDT"]
    qty = rules.floor_qty(1000 / (await binance.quotes(["BTCUSDT"]))["BTCUSDT"].ask)
    order = Order("fm-1-e", "BTCUSDT", Side.BUY, OrderKind.MARKET, Purpose.ENTRY, qty, datetime.now(UTC))
    return (await binance.submit(order)).state


@pytest.mark.parametrize("shape", ["as made", "with CR", "on one line", "with a written \\n", "with room around"])
async def test_an_ed25519_key_places_an_order_and_hears_of_it(url: str, shape: str) -> None:
    """However its lines came through the terminal: REST and the stream are signed with it."""
    plain = pem_of(OURS)
    secret = {
        "as made": plain,
        "with CR": plain.replace("\n", "\r\n"),
        "on one line": plain.replace("\n", " "),
        "with a written \\n": plain.replace("\n", "\\n"),
        "with room around": f"\n\n  {plain}  \n",
    }[shape]
    async with listener(url, Pace(), secret=secret) as ears:
        await ears.until(lambda: ears.connections == 1)
        binance = Binance(url, Clock(), KEY, secret, paced=False)
        assert await buy(binance) is OrderState.FILLED
        await binance.close()
        await ears.until(lambda: "BTCUSDT" in ears.heard)


@pytest.mark.parametrize("secret", [pem_of(OTHERS), "FAKE-SECRET-for-tests"], ids=["another key", "an HMAC secret"])
async def test_a_signature_by_anything_else_is_refused(url: str, secret: str) -> None:
    """-1022 for an order, and the stream is never told of anything."""
    binance = Binance(url, Clock(), KEY, secret, paced=False)
    with pytest.raises(NeedsOwner, match="-1022"):
        await buy(binance)
    await binance.close()
    async with listener(url, secret=secret) as ears, aiohttp.ClientSession() as other:
        async with other.ws_connect(f"{url}/ws-api/v3") as socket:
            await socket.send_json(
                {"id": 1, "method": "userDataStream.subscribe.signature", "params": hello(secret, binance)}
            )
            assert (await socket.receive_json())["error"]["code"] == -1022
        assert (ears.connections, ears.heard) == (0, [])


def hello(secret: str, binance: Binance) -> dict[str, str | int]:
    """What the stream would say to be let in."""
    return binance._wire.signed({})


@pytest.mark.parametrize("signature", ["", "=", "AAAA", "%00", "a" * 86 + "==", "ä", "f" * 64, "-" * 88])
async def test_the_exchange_refuses_a_signature_that_is_none(url: str, signature: str) -> None:
    """Nothing that cannot be verified gets through for not being readable."""
    now_ms = to_ms(datetime.now(UTC))
    target = f"{url}/api/v3/account?timestamp={now_ms}&signature={signature}"
    async with aiohttp.ClientSession() as session, session.get(target, headers={"X-MBX-APIKEY": KEY}) as reply:
        assert (await reply.json())["code"] == -1022


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (pem_of(rsa.generate_private_key(65537, 2048)), "RSA"),
        (pem_of(rsa.generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL), "RSA"),
        (pem_of(ed448.Ed448PrivateKey.generate()), "no Ed25519"),
        (OURS.private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"FAKE")).decode(), "locked with a password"),
        (pem_of(OURS).replace("MC4C", "MC4D"), "damaged"),
        (pem_of(OURS).replace("M", "!", 1), "no Ed25519"),
        (pem_of(OURS)[:60], "no Ed25519"),
        (PUBLIC, "no Ed25519"),
        (pem_of(OURS) + pem_of(OURS), "no Ed25519"),
        ("PRIVATE KEY", "no Ed25519"),
    ],
    ids=["RSA", "old RSA", "Ed448", "locked", "damaged", "no base64", "cut", "public", "two", "only the words"],
)
def test_any_other_private_key_is_refused_without_a_word_of_it(secret: str, says: str) -> None:
    """One line with the fix, and nothing of the key in it."""
    with pytest.raises(NeedsOwner, match=says) as refused:
        signing_of(secret)
    assert "\n" not in refused.value.user_text
    assert not [line for line in secret.splitlines() if len(line) > 20 and line in refused.value.user_text]
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_what_signs_does_not_show_its_secret() -> None:
    """A value that ends up in a log by mistake gives nothing away."""
    for secret in (pem_of(OURS), "FAKE-SECRET-for-tests"):
        shown = repr(signing_of(secret))
        assert secret.splitlines()[-1] not in shown
        assert base64.b64encode(OURS.private_bytes_raw()).decode() not in shown


@given(
    st.one_of(st.text(), st.binary().map(lambda raw: f"-----BEGIN PRIVATE KEY-----{base64.b64encode(raw).decode()}"))
)
def test_any_text_is_a_secret_or_refused(text: str) -> None:
    """Nothing typed at a prompt is a stack trace."""
    for secret in (text, f"{text}-----END PRIVATE KEY-----"):
        with suppress(NeedsOwner):
            assert signing_of(secret).kind in ("HMAC", "Ed25519")
