"""`firstmate go-live`: the checks once more, the owner's phrase, a confirmation by hand, and the permit.

Rule 1: nothing is traded here, and nothing is written before the last word is typed.
Rule 2: the phrase comes from the chat, the confirmation from a keyboard: neither alone is enough.
Rule 3: the permit is for the very key that was checked.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bot.credentials import armed, opened
from bot.passage import Passage
from core.adapters import audit, permits, statelock
from core.adapters.owner import owner_of
from core.domain.errors import FirstmateError, NeedsOwner
from core.mode_needs import KEY_RECORDS, require_runnable
from core.run import golive
from core.run.golive import Hurdle
from core.setting_kinds import revealed
from core.setting_sources import FILE_NAME, load, remember_mode
from core.settings import Settings
from core.worlds import probe

WORDS = "GO LIVE"


def main(args: Namespace, settings: Settings) -> int:
    """Ask for real money; 0 once the permit is written. Raises NeedsOwner or FirstmateError with the fix."""
    live = armed(replace(settings, mode="live"), opened(args, settings))
    require_runnable(live)
    found = asyncio.run(Passage(live, probe).look())
    print("\n".join(golive.lines(found)), flush=True)
    _require_passed(found)
    _require_phrase(live)
    key = permits.fingerprint(revealed(live.api_key))
    _confirm(live, key)
    now = datetime.now(UTC)
    audit.append_everywhere(live.home, audit.at_terminal(audit.What.GO_LIVE, KEY_RECORDS["live"], key=key))
    permits.allow(live.home, permits.Permit(key, audit.user(), now, tuple(golive.lines(found))))
    permits.forget_phrase(live.home)
    remember_mode(live.home, "live")
    print(_next_step(live))
    return 0


def _require_passed(found: Sequence[Hurdle]) -> None:
    failed = [hurdle.name for hurdle in found if hurdle.looked and not hurdle.passed]
    if failed:
        raise FirstmateError(f"Not live: mend {', '.join(failed)} first, as told above. Nothing was changed.")


def _require_phrase(settings: Settings) -> None:
    typed = permits.phrase(settings.home)
    at = typed.at if typed and typed.owner_id == owner_of(settings) else None
    fault = golive.phrase_fault(at, datetime.now(UTC))
    if fault:
        raise NeedsOwner(fault)


def _confirm(settings: Settings, key: str) -> None:
    """Let the owner type the last word. Raises where there is no terminal or something else was typed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NeedsOwner("Going live is confirmed by hand: run `./run go-live` in a terminal.")
    print(
        f"\nFrom the next start on, firstmate trades REAL MONEY with key {key} on {', '.join(settings.symbols)},\n"
        f"the first {settings.first_trades} entries at {settings.first_share:%} of their size."
    )
    if input(f"Type {WORDS} to allow it: ").strip() != WORDS:
        raise FirstmateError("Not live: something else was typed. Nothing was changed.")


def _next_step(settings: Settings) -> str:
    said = f"Live is allowed and remembered in {settings.home / FILE_NAME}."
    now = load(overrides={"home": str(settings.home)})
    if now.mode != "live":
        said += f" But FIRSTMATE_MODE says {now.mode} and wins: set it to live."
    pid = statelock.holder(settings.home)
    stop = f"Stop process {pid} and start" if pid else "Start"
    return f"{said}\n{stop} firstmate (./run, or systemctl restart firstmate). Back: ./run run --mode paper."
