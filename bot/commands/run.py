"""`firstmate run`: the assistant in its mode, until it is told to stop.

Rule 1: the mode is the one given, remembered or configured; with no configuration at all it is the demo and says so.
Rule 2: secrets come from the vault, which is closed again before anything else starts.
Rule 3: SIGTERM and Ctrl-C end it cleanly with 0; a start that cannot work ends with one line and its exit code.
"""

from __future__ import annotations

import asyncio
import signal
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import time

import structlog

from bot.app import TELEGRAM_GAP_S, App, ChatAddress
from bot.credentials import Use, armed, on_the_way_to_live, opened, uses
from bot.intruders import Alarm
from bot.passage import Passage
from bot.stepup import Keep, StepUp
from core.adapters import audit, notify, permits, statelock, telemetry
from core.adapters.folders import MAIN_FILE, folder_of
from core.adapters.owner import owner_of
from core.adapters.statefolder import install_mark, stores
from core.compose import Whole, compose
from core.domain.errors import NeedsOwner, RetryLater
from core.domain.events import AccessLost
from core.domain.market import to_ms
from core.mode_needs import require_runnable
from core.run.access import Access
from core.run.stepup import Verdict
from core.run.supervisor import run_together
from core.run.vitals import Vitals
from core.setting_kinds import revealed
from core.setting_sources import remember_mode
from core.settings import Settings
from core.worlds import MODES, probe

WATCHDOG_S = 10.0
ADMIT_AGAIN_S = 5.0
ON_THE_WAY = ("paper", "testnet")  # where the chat may ask for live
log = structlog.get_logger()


def main(args: Namespace, settings: Settings) -> int:
    """Run until stopped. Raises what the start needs mended."""
    given, vault = settings, opened(args, settings) if settings.mode in MODES else None
    settings = armed(given, vault)
    require_runnable(settings)
    if settings.mode == "live":
        _require_permit(settings)
    if args.mode:
        statelock.prepare(settings.home)
        remember_mode(settings.home, args.mode)
    if settings.mode == "demo":
        return _demo(settings)
    telemetry.start(settings)
    # the folder of the mode too: who wants to go live asks whether it is taken
    with statelock.hold(settings.home), statelock.hold(folder_of(settings.home, settings.mode)):
        live = on_the_way_to_live(settings, vault) if settings.mode in ON_THE_WAY else None
        used = uses(vault, given, settings, *([live] if live else []))
        vault = None  # its key is not needed any more
        return asyncio.run(_serve(settings, live, used))


def _require_permit(settings: Settings) -> None:
    """Pass when the owner allowed real money for this very key. Raises NeedsOwner with the fix."""
    fault = permits.permit_fault(settings.home, revealed(settings.api_key))
    if fault:
        raise NeedsOwner(fault)


def _demo(settings: Settings) -> int:
    from bot.commands import demo
    from bot.grammar import parse

    if not settings.configured:
        print("Nothing is configured yet, so this is the demo. README.md tells how to trade on paper.", flush=True)
    return demo.main(parse(["demo"]), settings)


async def _serve(settings: Settings, live: Settings | None, used: Sequence[Use]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _composed(settings, used) as whole:
        passage = Passage(live, probe) if live else None
        twin = whole.twin.compare if whole.twin else None
        stepup = StepUp(settings.home, settings.totp_seed, keep=_keeper(settings, whole))
        desk, engine = whole.assistant.desk, whole.assistant.engine
        app = App(_address(settings), desk, whole.outbox, engine, passage, twin, stepup, _alarm(whole), whole.lab)
        watchdog_s = notify.watchdog_interval_s() or WATCHDOG_S

        async def work() -> None:
            if whole.access:
                await _admitted(whole.access, whole.vitals, lambda: notify.notify(notify.WATCHDOG))
            await whole.assistant.work(lambda: notify.notify(notify.WATCHDOG), watchdog_s)

        notify.notify(notify.READY, notify.status(f"{settings.mode} mode"))
        try:
            await run_together({**whole.assistant.parts(), **app.parts(), "assistant": work}, stop)
        finally:
            notify.notify(notify.STOPPING)
            await app.close()
    return 0


def _keeper(settings: Settings, whole: Whole) -> Keep:
    """What puts a code that was refused into the audit."""
    path, who = folder_of(settings.home, settings.mode) / MAIN_FILE, audit.owner(owner_of(settings) or 0)

    def keep(verdict: Verdict, what: str) -> None:
        at_ms = to_ms(whole.parts.clock.now())
        audit.append(path, audit.Deed(at_ms, who, audit.What.STEP_UP, what, {"code": verdict.value}))

    return keep


def _alarm(whole: Whole) -> Alarm:
    """What a chat that others took over sets off: no new entries, and a line in `systemctl status`."""

    async def halt(why: str) -> None:
        await whole.assistant.engine.post(AccessLost(whole.parts.clock.now(), "chat", why))

    return Alarm(halt, lambda text: notify.notify(notify.status(text)))


async def _admitted(access: Access, vitals: Vitals, feed_watchdog: Callable[[], object]) -> None:
    """Wait until the key is known to be as it must be. Raises NeedsOwner where it is not."""
    while True:
        try:
            await access.admit()
        except RetryLater as later:
            vitals.failed("start", later.user_text)
            log.warning("the key's rights are not known yet", why=later.user_text)
            feed_watchdog()
            await asyncio.sleep(ADMIT_AGAIN_S)
        else:
            return


@asynccontextmanager
async def _composed(settings: Settings, used: Sequence[Use]) -> AsyncIterator[Whole]:
    folder = folder_of(settings.home, settings.mode)
    async with stores(folder) as kept, MODES[settings.mode](settings, kept) as world:
        mark = install_mark(folder)
        now_ms, what = to_ms(world.clock.now()), audit.What.KEY_USED
        deeds = [audit.Deed(now_ms, audit.MACHINE, what, use.record, use.details) for use in used]
        await asyncio.to_thread(audit.append, folder / MAIN_FILE, *deeds)
        yield await compose(settings, settings.mode, kept, world, mark, settings.approve_window_s)


def _address(settings: Settings) -> ChatAddress:
    owner_id = owner_of(settings)
    if settings.telegram_token is None or owner_id is None:
        raise NeedsOwner("The bot's token and its owner (./run pair) are needed to talk to you.")
    token = settings.telegram_token.reveal()
    return ChatAddress(settings.telegram_url, token, owner_id, TELEGRAM_GAP_S, _hours(settings.quiet_hours))


def _hours(text: str) -> tuple[time, time] | None:
    """``22:00-07:00`` as two times, or None for an empty setting."""
    if not text:
        return None
    start, _, end = text.partition("-")
    return time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
