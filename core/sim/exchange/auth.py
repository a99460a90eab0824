"""Who may ask: API key, signature (HMAC-SHA256 or Ed25519), request time.

Rule 1: the signature covers the query string and the body exactly as sent, less the signature itself, which comes last.
Rule 2: the order of checks is the exchange's: key format, key, parameters, time, signature.
Rule 3: an API key has a secret, or in its place the public half of an Ed25519 key in PEM.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from core.sim.exchange.errors import fail
from core.sim.exchange.params import Params

WINDOW_MS = 5000
WINDOW_MOST_MS = 60_000
AHEAD_MS = 1000


def check_key(keys: Mapping[str, str], key: str) -> str:
    """The secret or public key of ``key``. Raises -2014 or -2015."""
    if not key or not key.isprintable() or " " in key:
        raise fail("key_format")
    if key not in keys:
        raise fail("key")
    return keys[key]


def check_signature(secret: str, signed: str, signature: str) -> None:
    """Nothing. Raises -1022 when ``signature`` is not that of ``signed``."""
    if not (_ed25519_fits if "PUBLIC KEY" in secret else _hmac_fits)(secret, signed, signature):
        raise fail("signature")


def _hmac_fits(secret: str, signed: str, signature: str) -> bool:
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode())


def _ed25519_fits(public: str, signed: str, signature: str) -> bool:
    key = load_pem_public_key(public.encode())
    assert isinstance(key, Ed25519PublicKey)
    try:
        key.verify(base64.b64decode(signature, validate=True), signed.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def check_time(q: Params, now_ms: int, strict: bool) -> None:
    """Nothing. Raises -1102 without a timestamp, -1131 for a silly window, -1021 when ``strict`` and out of it."""
    stamp = q.number("timestamp")
    window = q.number("recvWindow", WINDOW_MS)
    if window > WINDOW_MOST_MS:
        raise fail("window")
    if strict and stamp > now_ms + AHEAD_MS:
        raise fail("early")
    if strict and stamp < now_ms - window:
        raise fail("late")


def signed_text(query: str, body: str) -> tuple[str, str]:
    """What is signed, and the signature: query and body as sent with the signature cut out."""
    signature = ""
    kept: list[str] = []
    for part in (query, body):
        pieces = part.split("&") if part else []
        kept.append("&".join(p for p in pieces if not p.startswith("signature=")))
        signature = next((p.partition("=")[2] for p in pieces if p.startswith("signature=")), signature)
    return "".join(kept), unquote(signature)
