"""What proves that a request is ours: a secret shared with the exchange (HMAC-SHA256), or a private key (Ed25519).

Rule 1: the text of a secret decides which; an RSA key, a locked one and what is neither are refused, never guessed at.
Rule 2: no message quotes a secret or any part of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key

from core.domain.errors import NeedsOwner

_PEM = re.compile(r"\s*-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----\s*")
_FIX = "make an Ed25519 or an HMAC key on the exchange's page for API keys and enter its secret again"


@dataclass(frozen=True, slots=True)
class Signing:
    """``of`` signs a text as the exchange wants it; ``secret`` is what ccxt needs to do the same."""

    kind: str
    secret: str = field(repr=False)
    of: Callable[[str], str] = field(repr=False)


def signing_of(secret: str) -> Signing:
    """How requests are signed with ``secret``: an HMAC secret, or an Ed25519 key in PEM. Raises NeedsOwner."""
    if "-----" not in secret and "PRIVATE KEY" not in secret:
        return Signing("HMAC", secret, lambda text: _hmac(secret, text))
    key = _ed25519(secret)
    # ccxt tells Ed25519 from RSA by the length of the text: only the plainest form is short enough
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Signing("Ed25519", plain, lambda text: base64.b64encode(key.sign(text.encode())).decode())


def _hmac(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _ed25519(secret: str) -> Ed25519PrivateKey:
    """The key in a PEM text, whose lines may have been joined or kept apart by a written \\n."""
    found = _PEM.fullmatch(secret.replace("\\n", "\n"))
    label = found[1] if found else ""
    if label == "ENCRYPTED PRIVATE KEY":
        raise NeedsOwner("The exchange's private key is locked with a password: enter it unlocked, the vault seals it.")
    key = None
    if found and label == "PRIVATE KEY":
        try:
            key = load_der_private_key(base64.b64decode("".join(found[2].split()), validate=True), None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise NeedsOwner(f"The exchange's private key is damaged: {_FIX}.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NeedsOwner(f"The exchange's private key is no Ed25519 key (RSA is not used here): {_FIX}.")
    return key
