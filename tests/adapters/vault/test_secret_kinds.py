"""What is accepted as a secret, and what it is."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.redaction import redact
from core.adapters.vault import RECORDS, concealed, kind_of_secret
from core.domain.errors import BadData
from core.setting_kinds import Secret


def pem(key: object, lock: object = None) -> str:
    """A private key as text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption()).decode()  # type: ignore[attr-defined]


ED25519 = pem(Ed25519PrivateKey.generate())


def test_both_kinds_of_exchange_keys_are_told_apart():
    """A shared secret of 64 characters, and a private key in PEM."""
    assert kind_of_secret("F" * 64) == "hmac"
    assert kind_of_secret(ED25519) == "ed25519"


@pytest.mark.parametrize(
    "text",
    [
        pem(rsa.generate_private_key(65_537, 2_048)),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"FAKE")),
        ED25519.replace("PRIVATE", "PUBLIC"),
        ED25519[:60],
        "short",
        "with a space in it",
        "",
    ],
    ids=["rsa", "other curve", "locked", "public", "cut", "short", "spaces", "empty"],
)
def test_any_other_key_is_refused_without_quoting_it(text: str):
    """RSA above all: the line says what to make instead."""
    with pytest.raises(BadData) as refused:
        kind_of_secret(text)
    assert "\n" not in refused.value.user_text
    assert len(text) < 8 or text[-20:].strip() not in refused.value.user_text


@given(st.text(max_size=300))
def test_no_text_is_more_than_refused(text: str):
    """Whatever is pasted, the answer is a kind or one line."""
    try:
        assert kind_of_secret(text) in ("hmac", "ed25519")
    except BadData as error:
        assert "\n" not in error.user_text  # noqa: PT017 - both ends are right


def test_a_private_key_is_concealed_line_by_line():
    """A log that shows its middle line alone shows nothing."""
    concealed(Secret(ED25519))
    body = ED25519.splitlines()[1]
    assert body not in redact(f"it was {body}")


@pytest.mark.parametrize(
    ("record", "field", "text"),
    [("telegram", "token", "no token"), ("exchange-live", "key", "no key"), ("totp", "seed", "not base32: 0189")],
)
def test_what_cannot_be_what_it_should_be_is_refused_when_it_is_entered(record: str, field: str, text: str):
    """Not at the first order."""
    with pytest.raises(BadData, match=f"no {field}"):
        RECORDS[record][field](text)


def test_a_seed_is_taken_as_people_copy_it():
    """In groups of four and small letters."""
    assert RECORDS["totp"]["seed"]("fake fake fake fake") == Secret("FAKEFAKEFAKEFAKE")
