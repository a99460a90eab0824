"""What a start and a refused code leave in the audit."""

from __future__ import annotations

import json
from pathlib import Path

from bot.commands.run import _composed, _keeper
from core.adapters import audit
from core.adapters.folders import MAIN_FILE
from core.run.stepup import Verdict
from core.setting_kinds import Secret
from core.settings import Settings


async def test_a_start_keeps_where_the_key_is_used_and_a_code_that_was_refused_what_for(tmp_path: Path):
    """Who sends the key somewhere else, or guesses codes, stands in the chain afterwards."""
    settings = Settings(
        home=tmp_path,
        mode="testnet",
        owner_id=77,
        testnet_url="http://127.0.0.1:9",
        api_key=Secret("FAKE-KEY-for-tests"),
        api_secret=Secret("FAKE-SECRET-for-tests"),
    )
    async with _composed(settings) as whole:
        _keeper(settings, whole)(Verdict.LOCKS, "Trade again?")
    used, refused = audit.newest(tmp_path / "testnet" / MAIN_FILE, 2)
    assert (used[3], used[4], json.loads(used[5])["url"]) == ("KEY_USED", "exchange-testnet", "http://127.0.0.1:9")
    assert (refused[2:5], json.loads(refused[5])) == (("owner:77", "STEP_UP", "Trade again?"), {"code": "locks"})
