"""What a passphrase is worth as a key, and what is too weak to be one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from core.adapters.vault import Cost, Tampered, Unlock, create_vault, open_vault, passphrase, unlocking
from core.adapters.vault import document as documents
from core.adapters.vault.kek import FromPassphrase
from core.adapters.vault.passphrase import FLOOR, WANTED
from core.domain.errors import NeedsOwner, StoreUnusable
from core.setting_kinds import Secret
from tests.adapters.vault.rig import CHEAP, PASSPHRASE, ways

SALT = b"s" * 16


@pytest.mark.parametrize(
    "cost",
    [
        Cost(FLOOR.memory_kib - 1, 3, 4),
        Cost(FLOOR.memory_kib, 2, 4),
        Cost(FLOOR.memory_kib, 3, 0),
        Cost(1 << 40, 3, 4),
        Cost(FLOOR.memory_kib, 1_000_000, 4),
        Cost(FLOOR.memory_kib, 3, 65),
        CHEAP,
    ],
)
def test_a_passphrase_protected_too_little_or_too_dearly_is_refused(cost: Cost, tmp_path: Path):
    """The floors hold for a new vault and for one that is opened, and no header makes the machine swap to death."""
    source = FromPassphrase(SALT, cost.memory_kib, cost.passes, cost.lanes)
    asked: list[str] = []

    def typed(what: str) -> Secret:
        asked.append(what)
        return PASSPHRASE

    with pytest.raises(StoreUnusable, match="less than firstmate allows"):
        unlocking.found(source, "an installation", "00" * 8, Unlock(passphrase=typed))
    with pytest.raises(StoreUnusable):
        create_vault(tmp_path, Unlock(), "passphrase", "file", PASSPHRASE, cost)
    assert not asked
    assert not (tmp_path / "vault.sealed").exists()


def test_a_salt_that_was_shortened_is_refused():
    """Guesses for one vault do not serve another."""
    with pytest.raises(StoreUnusable):
        passphrase.require_cost(FromPassphrase(b"", FLOOR.memory_kib, FLOOR.passes, FLOOR.lanes), FLOOR)


def test_a_vault_whose_parameters_were_lowered_is_refused(tmp_path: Path):
    """Above the floor too: with other parameters the passphrase is another key."""
    way = ways(tmp_path)
    dear = Cost(128, 2, 1)
    vault = create_vault(tmp_path, way.unlock, "passphrase", "file", PASSPHRASE, dear)
    source = FromPassphrase(vault._document.header.source.salt, CHEAP.memory_kib, CHEAP.passes, CHEAP.lanes)
    header = msgspec.structs.replace(vault._document.header, source=source)
    lowered = msgspec.structs.replace(vault._document, header=header)
    (tmp_path / "vault.sealed").write_bytes(documents.written(lowered, vault._kek))
    with pytest.raises((NeedsOwner, Tampered)):
        open_vault(tmp_path, way.unlock)


@pytest.mark.parametrize(("free_mib", "memory_mib"), [(10_000, 256), (512, 256), (511, 128), (255, 64), (0, 64)])
def test_memory_decides_what_a_guess_costs_down_to_the_floor(free_mib: int, memory_mib: int):
    """256 MiB where there is twice as much, less on a small server, never below 64 MiB."""
    cost = passphrase.affordable(free_mib << 10)
    assert cost == Cost(memory_mib << 10, WANTED.passes, WANTED.lanes)
    passphrase.require_cost(FromPassphrase(SALT, cost.memory_kib, cost.passes, cost.lanes), FLOOR)


def test_a_vault_made_as_an_owner_makes_it_keeps_the_floors(tmp_path: Path):
    """The only test that takes the half second: the parameters that are really used open again."""
    create_vault(tmp_path, Unlock(), "passphrase", "file", PASSPHRASE)
    vault = open_vault(tmp_path, Unlock(passphrase=lambda _: PASSPHRASE))
    assert vault._document.header.source.memory_kib >= FLOOR.memory_kib


def test_a_short_passphrase_is_refused(tmp_path: Path):
    """Eleven characters can be guessed whatever a guess costs."""
    with pytest.raises(NeedsOwner, match="too short"):
        create_vault(tmp_path, Unlock(floor=CHEAP), "passphrase", "file", Secret("x" * 11), CHEAP)


def test_a_passphrase_is_the_same_on_every_keyboard(tmp_path: Path):
    """An accent typed as one sign or as two opens the same vault."""
    way = ways(tmp_path)
    create_vault(tmp_path, way.unlock, "passphrase", "file", Secret("caf\u00e9 for my tests"), CHEAP)
    way.typed = Secret("cafe\u0301 for my tests")
    assert open_vault(tmp_path, way.unlock).records() == ()
