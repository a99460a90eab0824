"""Where a key comes from, and what lies there that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.vault import Unlock, open_vault, unlocking
from core.adapters.vault.unlocking import CREDENTIAL
from core.domain.errors import NeedsOwner
from tests.adapters.vault.rig import made, ways


def given(folder: Path, data: bytes, mode: int = 0o400) -> Unlock:
    """A process with ``data`` as its credential."""
    (folder / CREDENTIAL).write_bytes(data)
    (folder / CREDENTIAL).chmod(mode)
    return Unlock(credentials=folder)


@pytest.mark.parametrize("data", [b"\xfe" * 32, b"fe" * 32, b"FE" * 32 + b"\n"])
def test_a_credential_is_32_bytes_or_64_hex_digits(data: bytes, tmp_path: Path):
    """As systemd-creds or openssl made it, with or without a line end."""
    _, kek = unlocking.fresh("credential", "an installation", given(tmp_path, data))
    assert kek.hex() == "fe" * 32


@pytest.mark.parametrize("data", [b"", b"\xfe" * 31, b"\xfe" * 33, b"fe" * 31 + b"f", b"fe" * 32 + b"\n\n", b"x" * 64])
def test_a_credential_of_another_size_is_refused(data: bytes, tmp_path: Path):
    """A cut or padded key is an error, never a weaker key."""
    with pytest.raises(NeedsOwner, match="32 random bytes, or 64 hex digits"):
        unlocking.fresh("credential", "an installation", given(tmp_path, data))


def test_a_credential_everybody_may_read_is_refused(tmp_path: Path):
    """It is no secret any more."""
    with pytest.raises(NeedsOwner, match="chmod 400"):
        unlocking.fresh("credential", "an installation", given(tmp_path, b"\xfe" * 32, 0o444))


def test_a_key_the_keyring_garbled_is_refused(tmp_path: Path):
    """What is no key is not used as one."""
    way = ways(tmp_path)
    made(tmp_path, way, "keyring")
    (name,) = way.backend.keks()
    way.backend.kept[name] = "no key"
    with pytest.raises(NeedsOwner, match="is none"):
        open_vault(tmp_path, way.unlock)
