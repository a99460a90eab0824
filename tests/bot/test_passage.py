"""The checks before real money, measured: what is asked of the account, and what a failure leaves of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot import passage
from bot.passage import Passage
from core.adapters import permits
from core.adapters.folders import folder_of
from core.adapters.models import FOLDER, Registry
from core.adapters.statelock import hold
from core.domain.errors import BadData, FirstmateError, Refused, RetryLater, StoreUnusable
from core.domain.market import Instrument, Quote
from core.domain.orders import Order, Purpose, Side
from core.learn.model_files import ours
from core.ports import Rights
from core.run.golive import PHRASE_VALID, Hurdle
from core.setting_kinds import Secret
from core.settings import Settings
from tests.learn import tiny_models
from tests.practice import practised
from tests.run.fakes import HandClock
from tests.run.labs import GOOD_CARD
from tests.run.samples import instrument

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@dataclass
class Account:
    """An account that answers, or fails as told, and keeps what was tried out; it cannot trade at all."""

    failures: Mapping[str, Exception] = field(default_factory=dict)
    tried: list[Order] = field(default_factory=list)
    opened: int = 0

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator[Account]:
        """This account, for a look."""
        self.opened += 1
        yield self

    def _may(self, name: str) -> None:
        if name in self.failures:
            raise self.failures[name]

    async def rights(self) -> Rights:
        self._may("rights")
        return Rights((), ())

    async def sync_clock(self) -> float:
        self._may("sync_clock")
        return -20.0

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        self._may("instruments")
        return {symbol: instrument(symbol) for symbol in symbols}

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        self._may("quotes")
        return {symbol: Quote(symbol, NOW, Decimal("99.99"), Decimal(100)) for symbol in symbols}

    async def try_out(self, order: Order) -> None:
        self._may(order.purpose.name)
        self.tried.append(order)


class Silent(Account):
    """An account whose server never answers."""

    async def rights(self) -> Rights:
        """Never."""
        await asyncio.Event().wait()
        raise AssertionError


def settings(home: Path) -> Settings:
    """A paper assistant that has everything live needs."""
    return replace(
        Settings(),
        home=home,
        mode="paper",
        symbols=SYMBOLS,
        telegram_token=Secret("1:FAKE-TOKEN-for-tests"),
        owner_id=77,
        api_key=Secret("FAKE-KEY-for-tests"),
        api_secret=Secret("FAKE-SECRET-for-tests"),
    )


async def looked(home: Path, account: Account, **changes: object) -> dict[str, Hurdle]:
    """The checks by name."""
    found = await Passage(replace(settings(home), **changes), account.open).look()
    return {hurdle.name: hurdle for hurdle in found}


def failed(found: Mapping[str, Hurdle]) -> set[str]:
    return {name for name, hurdle in found.items() if not hurdle.passed}


async def test_a_whole_set_up_passes_and_a_bracket_of_the_first_symbol_was_tried(tmp_path: Path):
    """Entry, stop and target, each at the smallest size, none of them placed."""
    practised(tmp_path, 20)
    account = Account()
    assert failed(await looked(tmp_path, account)) == set()
    assert [(order.purpose, order.side) for order in account.tried] == [
        (Purpose.ENTRY, Side.BUY), (Purpose.STOP, Side.SELL), (Purpose.TARGET, Side.SELL),
    ]  # fmt: skip
    assert {order.symbol for order in account.tried} == {"BTCUSDT"}


@pytest.mark.parametrize(
    ("failures", "names"),
    [
        ({"rights": BadData("no rights named")}, {"key rights"}),
        ({"sync_clock": RetryLater("no network")}, {"clock"}),
        ({"instruments": BadData("no such pair")}, {"symbols", "protection"}),
        ({"quotes": RetryLater("no network")}, {"protection"}),
        ({"ENTRY": Refused("Filter failure: NOTIONAL (-1013)", "-1013 NOTIONAL")}, {"protection"}),
        ({"STOP": Refused("Stop orders are not supported (-1013)", "-1013")}, {"protection"}),
    ],
)
async def test_one_failure_hides_no_other_check(tmp_path: Path, failures: dict[str, FirstmateError], names: set[str]):
    """Each measurement stands by itself, and its reason is told."""
    practised(tmp_path, 20)
    found = await looked(tmp_path, Account(failures))
    assert failed(found) == names
    (why,) = failures.values()
    assert all(str(why) in found[name].found for name in names)


async def test_coins_that_are_not_held_yet_are_nothing_against_a_sale(tmp_path: Path):
    """An exchange that looks at the balance even in a trial cannot find what is only to be bought; money it must."""
    practised(tmp_path, 20)
    poor = Refused("Account has insufficient balance (-2010)", "-2010 BALANCE")
    assert failed(await looked(tmp_path, Account({"STOP": poor, "TARGET": poor}))) == set()
    assert failed(await looked(tmp_path, Account({"ENTRY": poor}))) == {"protection"}


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The owner gets the list all the same."""
    monkeypatch.setattr(passage, "PATIENCE_S", 0.02)
    practised(tmp_path, 20)
    found = await looked(tmp_path, Silent())
    assert failed(found) == {"key rights"}
    assert "no answer in time" in found["key rights"].found


@pytest.mark.parametrize("changes", [{"api_secret": None}, {"exchange_url": "http://api.example"}])
async def test_without_a_key_or_over_a_plain_address_the_account_is_not_even_opened(
    tmp_path: Path, changes: dict[str, object]
):
    """A key is not sent where others can read it."""
    account = Account()
    found = await looked(tmp_path, account, **changes)
    assert {"key", "key rights", "clock", "symbols", "protection"} <= failed(found)
    assert account.opened == 0


async def test_a_model_of_live_s_own_that_can_forecast_is_looked_for(tmp_path: Path):
    """One of paper is none, nor is one of other bars; with one of its own nothing is said."""
    made = {"created_at": datetime.now(UTC)}
    for mode, fields in (("paper", made), ("live", made | {"span": "4h"}), ("live", made)):
        assert "model" in await looked(tmp_path, Account())
        registry = Registry(folder_of(tmp_path, mode) / FOLDER, ours())
        registry.promote(registry.add(tiny_models.text(), tiny_models.manifest(**fields), GOOD_CARD))
    assert "model" not in await looked(tmp_path, Account())


async def test_a_live_process_is_seen(tmp_path: Path):
    """Two of us on one account is one too many."""
    practised(tmp_path, 20)
    with hold(folder_of(tmp_path, "live")):
        assert failed(await looked(tmp_path, Account())) == {"alone"}


async def test_a_damaged_paper_journal_counts_as_no_practice(tmp_path: Path):
    """What cannot be read proves nothing."""
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "firstmate.db").write_bytes(b"this is no database " * 500)
    found = await looked(tmp_path, Account())
    assert failed(found) == {"paper trades"}


async def test_the_phrase_counts_only_after_the_checks_were_shown_passed(tmp_path: Path):
    """Not before, not after a failure, not when that was long ago."""
    practised(tmp_path, 20)
    clock, account = HandClock(NOW), Account()
    way = Passage(settings(tmp_path), account.open, clock.now)
    assert not way.typed(77)
    await way.look()
    clock.at += PHRASE_VALID + timedelta(seconds=1)
    assert not way.typed(77)
    await way.look()
    account.failures = {"rights": BadData("unknown")}
    await way.look()
    assert not way.typed(77)
    assert permits.phrase(tmp_path) is None
    account.failures = {}
    await way.look()
    assert way.typed(77)
    assert permits.phrase(tmp_path) == permits.Phrase(clock.at, 77)


def test_a_permit_that_cannot_be_read_is_none(tmp_path: Path):
    """Whoever is in doubt asks the owner again."""
    permits.allow(tmp_path, permits.Permit("a1b2c3", "tests", NOW, ("one",)))
    assert permits.permit(tmp_path) == permits.Permit("a1b2c3", "tests", NOW, ("one",))
    (tmp_path / "live" / "permit").write_text('{"key": "a1b2c3"')
    assert permits.permit(tmp_path) is None


def test_a_permit_that_finds_no_place_is_refused_in_one_line(tmp_path: Path):
    """Whatever lies where live's folder belongs is named, and left alone."""
    (tmp_path / "live").write_text("notes")
    with pytest.raises(StoreUnusable, match="live cannot be made"):
        permits.allow(tmp_path, permits.Permit("a1b2c3", "tests", NOW, ()))
    assert (tmp_path / "live").read_text() == "notes"
