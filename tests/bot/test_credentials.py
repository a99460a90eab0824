"""What a start takes out of the vault."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bot.credentials import armed, on_the_way_to_live, opened, uses
from core.adapters.permits import fingerprint
from core.adapters.vault import Unlock, Vault, open_vault
from core.domain.errors import NeedsOwner
from core.setting_kinds import Secret
from core.settings import Settings
from tests import vaults

ARGS = Namespace(passphrase_fd=None)


def test_a_start_without_the_vault_that_was_there_stops_and_says_so(tmp_path: Path):
    """On paper too: a vault somebody deleted is not passed over for a token in the environment."""
    assert opened(ARGS, Settings(home=tmp_path)) is None
    vaults.sealed(tmp_path / "home", {"totp": {"seed": "FAKEFAKEFAKEFAKE"}})
    (tmp_path / "home" / "vault.sealed").unlink()
    with pytest.raises(NeedsOwner, match=r"put vault\.sealed back"):
        opened(ARGS, Settings(home=tmp_path / "home"))


def filled(home: Path) -> Vault:
    """A vault with a record for everything."""
    records = {"telegram": {"token": "7:FAKE-TOKEN-for-tests"}, "totp": {"seed": "FAKEFAKEFAKEFAKE"}}
    for mode in ("testnet", "live"):
        records |= vaults.exchange(mode, f"FAKE-{mode}-key-for-tests", "FAKE-SECRET-for-tests")
    vaults.sealed(home, records)
    return open_vault(home, Unlock(credentials=home.parent / "credentials"))


def test_a_start_names_each_record_it_takes_and_where_its_secret_goes(tmp_path: Path):
    """Key, token and seed, each told apart by a fingerprint, with the time since which it lies there."""
    vault = filled(tmp_path / "home")
    given = Settings(home=tmp_path / "home", mode="testnet", testnet_url="http://127.0.0.1:9")
    found = {use.record: use.details for use in uses(vault, given, armed(given, vault))}
    assert list(found) == ["exchange-testnet", "telegram", "totp"]
    assert found["exchange-testnet"]["key"] == fingerprint("FAKE-testnet-key-for-tests")
    assert found["exchange-testnet"]["url"] == "http://127.0.0.1:9"
    assert found["telegram"]["key"] == fingerprint("7:FAKE-TOKEN-for-tests")
    assert found["telegram"]["url"] == given.telegram_url
    sealed = {one.record: one.at for one in vault.records()}
    assert {record: details["sealed"] for record, details in found.items()} == {name: sealed[name] for name in found}


def test_the_key_of_the_way_to_live_is_a_use_too(tmp_path: Path):
    """On paper the chat may ask whether live could start, and that asks the exchange by the live key."""
    vault = filled(tmp_path / "home")
    given = Settings(home=tmp_path / "home", mode="paper", exchange_url="http://127.0.0.1:9")
    found = uses(vault, given, armed(given, vault), on_the_way_to_live(given, vault))
    assert [use.record for use in found] == ["telegram", "totp", "exchange-live"]
    assert found[-1].details["url"] == "http://127.0.0.1:9"


def test_what_the_vault_did_not_give_is_no_use_of_it(tmp_path: Path):
    """A token of the environment, an empty record, no vault at all."""
    given = Settings(home=tmp_path, mode="paper", telegram_token=Secret("1:FAKE-TOKEN-for-tests"))
    assert uses(None, given, armed(given, None)) == []
    vaults.sealed(tmp_path / "home", {"telegram": {"token": "7:FAKE-TOKEN-for-tests"}})
    vault = open_vault(tmp_path / "home", Unlock(credentials=tmp_path / "credentials"))
    assert uses(vault, given, armed(given, vault)) == []
