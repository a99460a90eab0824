"""The key itself: one for each end."""

from __future__ import annotations

from core.adapters.vault.kek import Kek


def test_keys_for_different_ends_differ():
    """Who learns one derived key learns no other."""
    kek = Kek(b"\x01" * 32)
    assert len({kek.derive("wrap"), kek.derive("mac mark"), kek.derive("mac document"), bytes.fromhex(kek.hex())}) == 4
