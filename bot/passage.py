"""The way to real money: everything measured that ``core.run.golive`` judges, in the chat and at the terminal alike.

Rule 1: nothing here can place an order: the account is asked, and orders are tried out (order/test).
Rule 2: what cannot be measured is told as its reason; one failure hides no other.
Rule 3: a key never leaves over an address that does not hide it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from core.adapters import permits
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.models import FOLDER, Registry
from core.adapters.readonly import table_rows
from core.adapters.statelock import holder
from core.adapters.stored import stored
from core.domain.errors import FirstmateError, Refused
from core.domain.market import SPANS, Instrument, Quote, from_ms
from core.domain.orders import Order, Side
from core.learn.model_files import ours
from core.mode_needs import account_missing, chat_missing
from core.ports import Rights
from core.run.fitting import misfit
from core.run.golive import PHRASE_VALID, Hurdle, Measured, hurdles, trial_orders
from core.settings import Settings

PATIENCE_S = 20.0
NO_BALANCE = "BALANCE"
T = TypeVar("T")


class Probe(Protocol):
    """What of an account may be used before it may trade."""

    async def rights(self) -> Rights:
        """What the key may do."""

    async def sync_clock(self) -> float:
        """How far our clock is off, milliseconds, positive when fast."""

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Rules of these symbols."""

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Best bid and ask of each symbol."""

    async def try_out(self, order: Order) -> None:
        """Let the exchange check an order and place nothing."""


class Passage:
    """Measures, and keeps the owner's phrase; ``now`` is aware UTC."""

    def __init__(
        self,
        settings: Settings,
        probe: Callable[[Settings], AbstractAsyncContextManager[Probe]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = replace(settings, mode="live")
        self._probe = probe
        self._now = now
        self._shown_at: datetime | None = None

    async def look(self) -> tuple[Hurdle, ...]:
        """Every check, made now, within about PATIENCE_S seconds."""
        settings = self._settings
        found = hurdles(settings.symbols, await self._measure())
        self._shown_at = self._now() if all(hurdle.passed for hurdle in found) else None
        return found

    def typed(self, owner_id: int) -> bool:
        """Keep that the phrase was typed; False where the checks were not shown passed shortly before."""
        now = self._now()
        if self._shown_at is None or now - self._shown_at > PHRASE_VALID:
            return False
        permits.keep_phrase(self._settings.home, permits.Phrase(now, owner_id))
        return True

    async def _measure(self) -> Measured:
        settings = self._settings
        key = " ".join(account_missing(settings))
        practice = await asyncio.to_thread(_practice, folder_of(settings.home, "paper") / MAIN_FILE)
        rights, off_ms, rules, tried = await self._ask_account() if not key else (key, key, key, key)
        return Measured(
            practice=practice,
            chat=" ".join(chat_missing(settings)),
            key=key,
            rights=rights,
            clock_off_ms=off_ms,
            rules=rules,
            tried=tried,
            live_pid=holder(folder_of(settings.home, "live")),
            free_mb=_free_mb(settings.home),
            own_model=await asyncio.to_thread(_own_model, settings),
            at=self._now(),
        )

    async def _ask_account(self) -> tuple[Rights | str, float | str, Mapping[str, Instrument] | str, str]:
        async with self._probe(self._settings) as account:
            off_ms, rights, rules = await asyncio.gather(
                _said(account.sync_clock()), _said(account.rights()), _said(account.instruments(self._settings.symbols))
            )
            tried = rules if isinstance(rules, str) else await self._try_out(account, rules)
        return rights, off_ms, rules, tried

    async def _try_out(self, account: Probe, rules: Mapping[str, Instrument]) -> str:
        """Empty when the exchange would take an entry, its stop and its target in the first symbol."""
        symbol = self._settings.symbols[0]

        async def all_three() -> str:
            quote = (await account.quotes((symbol,)))[symbol]
            for order in trial_orders(rules[symbol], quote, self._now()):
                await _would_take(account, order)
            return ""

        return await _said(all_three())


async def _would_take(account: Probe, order: Order) -> None:
    """Raises what the exchange has against an order; that the coins to sell are not there yet is nothing against it."""
    try:
        await account.try_out(order)
    except Refused as refused:
        if order.side is Side.BUY or NO_BALANCE not in refused.code:
            raise


async def _said(asked: Awaitable[T]) -> T | str:
    """The answer, or in one line why there is none."""
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            return await asked
    except FirstmateError as error:
        return error.user_text.rstrip(".")
    except TimeoutError:
        return "no answer in time"


def _practice(path: Path) -> list[tuple[datetime, datetime]] | str:
    """When paper round trips opened and closed."""
    if not path.is_file():
        return []
    try:
        rows = table_rows(path, "trades")
        with stored("a paper trade"):
            return [(from_ms(int(str(row["opened_ms"]))), from_ms(int(str(row["closed_ms"])))) for row in rows]
    except FirstmateError as error:
        return error.user_text.rstrip(".")


def _own_model(settings: Settings) -> bool:
    """Whether a model that this mode trained, or took over, can forecast what is set."""
    champion, _ = Registry(folder_of(settings.home, settings.mode) / FOLDER, ours()).champion()
    return champion is not None and not misfit(champion, SPANS[settings.timeframe], settings.symbols)


def _free_mb(home: Path) -> int:
    existing = next(path for path in (home, *home.parents) if path.exists())
    return shutil.disk_usage(existing).free // 1_000_000
