"""What a start takes out of the vault."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from bot.credentials import opened
from core.domain.errors import NeedsOwner
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
