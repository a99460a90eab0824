"""`firstmate reconcile`: how the books compare with the exchange's.

Rule 1: where the assistant runs, its newest comparison is shown with its age; it compares every minute.
Rule 2: where it does not, this takes the state folder and does what a start does first: rules, orders, trades,
        balances. What is found is booked; nothing is sent: what has to be sent waits for the start.
Rule 3: exit 0 when books and exchange agree, 1 when something differs or could not be compared, 5 when nobody answers.
"""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from bot.commands.status import clock_of
from bot.comparison import Comparison, as_json, as_text
from bot.credentials import armed, opened
from core.adapters import permits, statelock, telemetry
from core.adapters.folders import MAIN_FILE, folder_of, mode_to_read
from core.adapters.glance import reconciliation
from core.adapters.readonly import load_state
from core.adapters.statefolder import install_mark, stores
from core.compose import Whole, compose
from core.domain.errors import InvariantBroken, NeedsOwner, RetryLater
from core.domain.orders import OrderState
from core.domain.state import State
from core.mode_needs import KEY_RECORDS, account_missing
from core.run.assistant import Parts
from core.run.reconciliation import Reconciliation
from core.setting_kinds import revealed
from core.settings import Settings, SettingsWrong
from core.worlds import MODES

COMPARE_WITHIN_S = 90.0


def main(args: Namespace, settings: Settings) -> int:
    """Print how books and exchange compare; 0 or 1 by Rule 3. Raises RetryLater, NeedsOwner, StoreUnusable."""
    telemetry.start(settings, unset="error")
    mode = mode_to_read(settings.home, settings.mode)
    made = _compared(args, replace(settings, mode=mode))
    print(json.dumps(as_json(made), indent=2) if args.json else as_text(made))
    return 0 if made.report.clean else 1


def _compared(args: Namespace, settings: Settings) -> Comparison:
    """The comparison of the running assistant, else one made now."""
    folder = folder_of(settings.home, settings.mode)
    pid = statelock.holder(folder if settings.mode in MODES else settings.home)
    if pid is not None or settings.mode not in MODES:  # a demo's exchange is gone with the demo
        return _kept(settings.mode, folder / MAIN_FILE, pid)
    settings = armed(settings, opened(args, settings))
    _require_account(settings)
    with statelock.hold(settings.home), statelock.hold(folder):
        return asyncio.run(_now(settings, folder))


def _kept(mode: str, path: Path, pid: int | None) -> Comparison:
    state = load_state(path) or State()
    body = reconciliation(path)
    if body is None:
        raise RetryLater("Nothing was compared yet: the exchange may not answer; /health in the chat says why.")
    now, _ = clock_of(mode, state)
    try:
        return Comparison(mode, pid, now, msgspec.json.decode(body, type=Reconciliation))
    except msgspec.DecodeError as error:
        raise InvariantBroken(f"The comparison that was kept cannot be read: {error}") from error


def _require_account(settings: Settings) -> None:
    """Pass when this mode's account may be asked. Raises with the fix."""
    lacks = list(account_missing(settings)) if settings.mode in KEY_RECORDS else []
    if lacks:
        raise SettingsWrong(lacks)
    fault = permits.permit_fault(settings.home, revealed(settings.api_key)) if settings.mode == "live" else ""
    if fault:
        raise NeedsOwner(fault)


async def _now(settings: Settings, folder: Path) -> Comparison:
    """A comparison made in this process, its findings booked, nothing sent."""
    async with stores(folder) as kept, MODES[settings.mode](settings, kept) as world:
        whole = await compose(settings, settings.mode, kept, world, install_mark(folder), settings.approve_window_s)
        report = await _beside_engine(whole)
        state = whole.parts.engine.state
        unsent = tuple(o.client_id for o in state.orders.values() if o.state is OrderState.PLANNED)
        return Comparison(settings.mode, None, world.clock.now(), report, unsent)


async def _beside_engine(whole: Whole) -> Reconciliation:
    """The start-up as far as its comparison, with the engine at work and nobody who acts on what it decides."""
    engine = asyncio.create_task(whole.parts.engine.run(), name="engine")
    try:
        async with asyncio.timeout(COMPARE_WITHIN_S):
            return await _first_look(whole.parts)
    except TimeoutError:
        raise RetryLater(f"The exchange did not answer everything within {COMPARE_WITHIN_S:.0f} s.") from None
    finally:
        engine.cancel()
        with suppress(asyncio.CancelledError):
            await engine


async def _first_look(parts: Parts) -> Reconciliation:
    state = parts.engine.state
    if state.config != parts.wanted.config or not state.seq:
        await parts.engine.post(parts.wanted)
    await parts.rules.read()
    return await parts.desk.reconcile("asked")
