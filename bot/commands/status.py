"""`firstmate status`: what the assistant holds and does; reads the database beside a running assistant, writes nothing.

Rule 1: exit 0 whenever the state could be read; whether all is well is ``health`` in the answer.
Rule 2: in a demo the exchange owns the time, and it stops with the demo: ``now`` is the close of the newest bar there,
        so that a demo of past years, fast or interrupted, does not look stale; messages have two bars to be delivered.
"""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.standing import DELIVERY_PATIENCE, Standing, as_json, as_text, newest_bar
from core.adapters.folders import MAIN_FILE, folder_of, mode_to_read
from core.adapters.glance import waiting
from core.adapters.readonly import load_state
from core.adapters.statelock import holder
from core.domain.state import State
from core.settings import Settings

ON_MARKET_TIME = frozenset({"demo"})
DEMO_PATIENCE_BARS = 2


def main(args: Namespace, settings: Settings) -> int:
    """Print how things stand; 0. Raises StoreUnusable where there is nothing to read."""
    found = standing(settings.home, mode_to_read(settings.home, settings.mode))
    print(json.dumps(as_json(found), indent=2) if args.json else as_text(found))
    return 0


def standing(home: Path, mode: str) -> Standing:
    """One mode's state as last committed, before the first commit an empty one."""
    path = folder_of(home, mode) / MAIN_FILE
    state = load_state(path) or State()
    now, patience = clock_of(mode, state)
    outbox = waiting(path)
    return Standing(mode, now, holder(home), state, outbox.count, outbox.oldest, patience)


def clock_of(mode: str, state: State) -> tuple[datetime, timedelta]:
    """Now by the clock of this mode, and how long a message may wait by it."""
    newest = newest_bar(state)
    if mode in ON_MARKET_TIME and newest:
        return newest.close_at, newest.span * DEMO_PATIENCE_BARS
    return datetime.now(UTC), DELIVERY_PATIENCE
