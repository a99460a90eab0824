"""An envelope opens in its one place, and nowhere when anything of it was changed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.vault.envelope import Spot, seal, unseal
from core.adapters.vault.kek import FromCredential, FromPassphrase, Kek

KEK = Kek(b"\x07" * 32)
SPOT = Spot("an installation", "a key", FromPassphrase(b"s" * 16, 65_536, 3, 4), "exchange-live", "secret", 3)
TEXT = "FAKE-SECRET-for-tests"


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_out_as_it_went_in(text: str):
    """Of every length and script."""
    assert unseal(seal(text, SPOT, KEK), SPOT, KEK) == text


@pytest.mark.parametrize(
    "other",
    [
        replace(SPOT, install="another"),
        replace(SPOT, key_id="another"),
        replace(SPOT, source=FromCredential()),
        replace(SPOT, source=FromPassphrase(b"s" * 16, 65_535, 3, 4)),
        replace(SPOT, record="exchange-testnet"),
        replace(SPOT, field="key"),
        replace(SPOT, version=2),
        replace(SPOT, record="exchange-livesecret", field=""),
    ],
)
def test_an_envelope_in_another_place_does_not_open(other: Spot):
    """Swapped records and fields, an older version, a header with weaker parameters: none fits."""
    assert unseal(seal(TEXT, SPOT, KEK), other, KEK) is None


def test_another_key_does_not_open_it():
    """Only the key that wrapped it does."""
    assert unseal(seal(TEXT, SPOT, KEK), SPOT, Kek(b"\x08" * 32)) is None


@pytest.mark.parametrize("part", ["key_nonce", "key", "nonce", "text"])
def test_no_part_of_an_envelope_can_be_changed_cut_or_taken_from_another(part: str):
    """Every byte of each part is bound to all others."""
    sealed, other = seal(TEXT, SPOT, KEK), seal(TEXT, SPOT, KEK)
    data = getattr(sealed, part)
    changed = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(len(data))]
    for wrong in (*changed, data[:-1], b"", data + b"\0", getattr(other, part)):
        assert unseal(msgspec.structs.replace(sealed, **{part: wrong}), SPOT, KEK) is None


def test_nothing_is_used_twice():
    """Sealing the same text again shares no nonce, key or ciphertext with the first time."""
    one, two = seal(TEXT, SPOT, KEK), seal(TEXT, SPOT, KEK)
    assert not set(msgspec.structs.astuple(one)) & set(msgspec.structs.astuple(two))
