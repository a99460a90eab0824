"""What each record of the vault holds, and which secrets are accepted for it.

Rule 1: a secret is judged when it is entered, not when it is first used.
Rule 2: no message quotes a secret or any part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

from core.adapters.binance_signing import signing_of
from core.adapters.redaction import conceal_parts
from core.domain.errors import BadData, NeedsOwner
from core.setting_kinds import Key, Kind, Secret, Token

SecretKind = Literal["hmac", "ed25519"]


def kind_of_secret(text: str) -> SecretKind:
    """What an exchange's secret is: a shared one, or an Ed25519 key in PEM. Raises BadData for RSA and all else."""
    try:
        if signing_of(text).kind == "Ed25519":
            return "ed25519"
    except NeedsOwner as error:
        raise BadData(error.user_text) from None
    _of(Key(), "secret", text)
    return "hmac"


def concealed(secret: Secret) -> Secret:
    """``secret``, which no log line shows from now on."""
    conceal_parts(secret.reveal())
    return secret


def _exchange_secret(text: str) -> Secret:
    kind_of_secret(text)
    return Secret(text)


def _exchange_key(text: str) -> Secret:
    return _of(Key(), "key", text)


def _token(text: str) -> Secret:
    return _of(Token(), "token", text)


def _seed(text: str) -> Secret:
    joined = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z2-7]{16,128}=*", joined, re.ASCII):
        raise BadData(
            "That is no seed: it is 16 to 128 letters and digits 2 to 7 (base32), as the authenticator takes it."
        )
    return Secret(joined)


def _of(kind: Kind, name: str, text: str) -> Secret:
    try:
        secret: Secret = kind.parse(text)
    except ValueError:
        raise BadData(f"That is no {name}: it is {kind.allowed()}.") from None
    return secret


_EXCHANGE: Mapping[str, Callable[[str], Secret]] = {"key": _exchange_key, "secret": _exchange_secret}
RECORDS: Mapping[str, Mapping[str, Callable[[str], Secret]]] = {
    "telegram": {"token": _token},
    "exchange-live": _EXCHANGE,
    "exchange-testnet": _EXCHANGE,
    "totp": {"seed": _seed},
}
"""Fields of each record, in the order they are asked for, with what reads them."""
