"""What a start and a refused code leave in the audit."""

from __future__ import annotations

import json
from pathlib import Path

from bot.commands.run import _composed, _keeper
from bot.credentials import armed, uses
from core.adapters import audit
from core.adapters.folders import MAIN_FILE
from core.adapters.vault import Unlock, open_vault
from core.run.stepup import Verdict
from core.settings import Settings
from tests import vaults


async def test_a_start_keeps_what_it_took_out_of_the_vault_and_a_code_that_was_refused_what_for(tmp_path: Path):
    """Who sends a key somewhere else, or guesses codes, stands in the chain afterwards."""
    home = tmp_path / "home"
    vaults.sealed(home, vaults.exchange("testnet", "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"))
    vaults.sealed(home, {"telegram": {"token": "7:FAKE-TOKEN-for-tests"}, "totp": {"seed": "FAKEFAKEFAKEFAKE"}})
    vault = open_vault(home, Unlock(credentials=tmp_path / "credentials"))
    given = Settings(home=home, mode="testnet", owner_id=77, testnet_url="http://127.0.0.1:9")
    settings = armed(given, vault)
    async with _composed(settings, uses(vault, given, settings)) as whole:
        _keeper(settings, whole)(Verdict.LOCKS, "Trade again?")
    *used, refused = audit.newest(home / "testnet" / MAIN_FILE, 10)
    assert [row[2:5] for row in used] == [
        ("machine", "KEY_USED", record) for record in ("exchange-testnet", "telegram", "totp")
    ]
    assert json.loads(used[0][5])["url"] == "http://127.0.0.1:9"
    assert not any(secret in str(used) for secret in ("FAKE-KEY", "FAKE-SECRET", "FAKE-TOKEN", "FAKEFAKE"))
    assert (refused[2:5], json.loads(refused[5])) == (("owner:77", "STEP_UP", "Trade again?"), {"code": "locks"})
