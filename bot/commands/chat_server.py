"""`firstmate chat-server`: the local Bot API alone, for any bot, with the owner's side in a browser.

Rule 1: the token and the owner are FIRSTMATE_TELEGRAM_TOKEN and FIRSTMATE_OWNER_ID where set; else a made-up token,
        printed at the start, and owner 1. A token that was set is never printed.
Rule 2: with --state the chat is kept there; without, it ends with the process.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path

from bot.standalone import until_stopped
from core.adapters import statelock, telemetry
from core.domain.errors import NeedsOwner, StoreUnusable
from core.settings import Settings
from core.sim.chat.server import serve

TOKEN, OWNER_ID = "1000:local-demo-chat", 1
LOG = "chat.jsonl"


def main(args: Namespace, settings: Settings) -> int:
    """Serve until stopped; 0. Raises NeedsOwner where the port is taken, StoreUnusable for a damaged log."""
    telemetry.start(settings)
    with statelock.hold(args.state) if args.state else nullcontext():
        asyncio.run(until_stopped(_serve(args.port, settings, args.state / LOG if args.state else None)))
    print("Stopped.")
    return 0


async def _serve(port: int, settings: Settings, log: Path | None) -> None:
    if settings.telegram_token is None:
        print(f"token: {TOKEN} (made up; set FIRSTMATE_TELEGRAM_TOKEN for another)", flush=True)
    token = settings.telegram_token.reveal() if settings.telegram_token else TOKEN
    try:
        await serve(port, token, settings.owner_id or OWNER_ID, log)
    except ValueError as error:
        raise StoreUnusable(str(error)) from error
    except OSError as error:
        raise NeedsOwner(f"port {port} on 127.0.0.1 is not free ({error.strerror}): choose another one") from error
