"""What a key may do, told for certain or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.binance import Binance
from core.adapters.binance_account import HARMLESS, NEEDED, TOO_MUCH, rights_of
from core.domain.errors import BadData, FirstmateError, NeedsOwner
from tests.adapters.scripted_exchange import Said, ScriptedExchange, StandingClock, scripted_exchange

GOOD = {**dict.fromkeys(TOO_MUCH, False), **dict.fromkeys(NEEDED, True)}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedExchange]:
    """A scripted exchange."""
    async with scripted_exchange() as exchange:
        yield exchange


@pytest.fixture
async def binance(server: ScriptedExchange) -> AsyncIterator[Binance]:
    """The adapter, pointed at it."""
    adapter = Binance(server.url, StandingClock(), "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests", paced=False)
    yield adapter
    await adapter.close()


def test_a_key_that_may_trade_spot_from_one_address_and_nothing_else_is_well() -> None:
    """Nothing too much, nothing missing."""
    rights = rights_of(GOOD)
    assert (rights.too_much, rights.missing) == ((), ())


def test_the_rights_that_matter_are_these() -> None:
    """Whatever moves money away or borrows it is too much; a key anybody could use from anywhere lacks something."""
    assert set(TOO_MUCH) == {
        "enableWithdrawals",
        "enableInternalTransfer",
        "permitsUniversalTransfer",
        "enableMargin",
        "enableFutures",
        "enableVanillaOptions",
        "enablePortfolioMarginTrading",
    }
    assert set(NEEDED) == {"enableReading", "enableSpotAndMarginTrading", "ipRestrict"}


@given(st.fixed_dictionaries(dict.fromkeys(GOOD, st.booleans())))
def test_each_right_counts_for_what_it_is(said: dict[str, bool]) -> None:
    """What could take the money away is too much; what trading needs is missed."""
    rights = rights_of(said)
    assert set(rights.too_much) == {name for name in TOO_MUCH if said[name]}
    assert set(rights.missing) == {name for name in NEEDED if not said[name]}


@pytest.mark.parametrize("name", [*TOO_MUCH, *NEEDED])
@pytest.mark.parametrize("said", [None, "false", 0, "gone"])
def test_a_right_that_is_not_told_for_certain_is_never_a_good_one(name: str, said: object) -> None:
    """A field that is missing, or neither true nor false, is named and refused."""
    row = {**GOOD, name: said} if said != "gone" else {k: v for k, v in GOOD.items() if k != name}
    with pytest.raises(BadData, match=name):
        rights_of(row)


@pytest.mark.parametrize("name", ["enableLending", "permitsAnything", "permitTransfer", "allowGiftCards"])
def test_a_right_that_is_newer_than_this_program_is_one_too_much(name: str) -> None:
    """Nobody here knows what it lets a thief do; while the key does not have it, it is no harm."""
    assert rights_of({**GOOD, name: True}).too_much == (name,)
    assert rights_of({**GOOD, name: False}).too_much == ()


@pytest.mark.parametrize("said", [None, 1, "true", [], {}])
def test_a_new_right_that_is_neither_true_nor_false_cannot_be_trusted(said: object) -> None:
    """It is named, and refused."""
    with pytest.raises(BadData, match="enableLending"):
        rights_of({**GOOD, "enableLending": said})


@pytest.mark.parametrize("name", ["enable" + "x" * 100, "enable\x1b[31m", "permits\nme"])
def test_a_right_with_a_name_nobody_can_read_is_refused_without_showing_it(name: str) -> None:
    """A name from outside is no way to write on the owner's terminal."""
    with pytest.raises(BadData) as refused:
        rights_of({**GOOD, name: True})
    assert name not in refused.value.user_text


def test_the_same_trading_over_another_protocol_is_no_right_too_much() -> None:
    """FIX places the same spot orders."""
    assert rights_of({**GOOD, **dict.fromkeys(HARMLESS, True)}).too_much == ()


def test_when_the_right_to_trade_ends_is_read_where_it_is_told() -> None:
    """Milliseconds, as the exchange writes all its times; a key bound to an address usually has no end."""
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    for said in (1_777_636_800_000, "1777636800000"):
        assert rights_of({**GOOD, "tradingAuthorityExpirationTime": said}).expires_at == at
    assert rights_of(GOOD).expires_at is None


@pytest.mark.parametrize("said", [None, True, "soon", "", -(10**18), 10**18, [], 1.5])
def test_an_end_that_cannot_be_read_is_refused(said: object) -> None:
    """Somewhere in it stands when this key stops working."""
    with pytest.raises(BadData, match="right to trade ends"):
        rights_of({**GOOD, "tradingAuthorityExpirationTime": said})


async def test_the_question_goes_signed_to_the_same_server(server: ScriptedExchange, binance: Binance) -> None:
    """Its other half of the API follows the configured address, too."""
    server.answer("GET /sapi/v1/account/apiRestrictions", Said(GOOD))
    assert (await binance.rights()).missing == ()
    assert "signature" in server.last("GET /sapi/v1/account/apiRestrictions")


@pytest.mark.parametrize(
    "said",
    [Said("not here", 404), Said({}), Said([]), Said("x", 500), Said({"code": -2015, "msg": "no"}, 401)],
    ids=repr,
)
async def test_rights_that_cannot_be_read_raise(said: Said, server: ScriptedExchange, binance: Binance) -> None:
    """A server that does not tell is no leave to trade."""
    server.answer("GET /sapi/v1/account/apiRestrictions", said)
    with pytest.raises(FirstmateError):
        await binance.rights()


async def test_without_a_key_there_are_no_rights_to_ask_for(server: ScriptedExchange) -> None:
    """And nothing is sent."""
    adapter = Binance(server.url, StandingClock(), paced=False)
    with pytest.raises(NeedsOwner):
        await adapter.rights()
    await adapter.close()
    assert server.asked == []


async def test_a_ban_of_one_half_of_the_api_holds_for_the_other(server: ScriptedExchange, binance: Binance) -> None:
    """It is the address that is banned."""
    ban = Said({"code": -1003, "msg": "Way too many requests"}, 418, {"Retry-After": "300"})
    server.answer("GET /sapi/v1/account/apiRestrictions", ban)
    for call in (binance.rights, binance.balances, binance.sync_clock):
        with pytest.raises(FirstmateError, match=r"patience|left alone"):
            await call()
    assert len(server.asked) == 1
