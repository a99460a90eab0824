"""Takes secrets out of text, by exact value and nothing else: patterns miss what they do not know.

Rule 1: a secret is known in the forms it takes on its way: as is, escaped in JSON or repr, in a URL (quoted once or
        twice), in hex, in base64 at any offset, and backwards.
Rule 2: what was concealed once stays concealed for as long as the process lives.
Rule 3: standard library only: whoever prints may ask this file.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 4
LINE_MIN = 16
MASK = "[redacted]"

_longest_first: tuple[str, ...] = ()
_lock = threading.Lock()


def conceal(secret: str) -> None:
    """From now on ``redact`` leaves no ``secret`` (at least 4 characters) standing, in any of the forms of Rule 1."""
    global _longest_first
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a secret has at least {SHORTEST_SECRET} characters")
    with _lock:
        _longest_first = tuple(sorted({*_longest_first, *forms(secret)}, key=len, reverse=True))


def conceal_parts(secret: str) -> None:
    """``conceal``, and what of it gives it away by itself: each line of a key, the half of a token behind its colon."""
    conceal(secret)
    for part in (*secret.splitlines(), *secret.split(":")[1:]):
        if len(part) >= LINE_MIN and not part.startswith("-----"):
            conceal(part)


def redact(text: str) -> str:
    """``text`` with every concealed secret replaced by a mask."""
    for form in _longest_first:  # a search for each form is many times quicker than one pattern of them all
        if form in text:
            text = text.replace(form, MASK)
    return text


def short(text: object, most: int = 200) -> str:
    """The first ``most`` characters of ``text``, redacted before they are cut: half a secret is found by no search."""
    return redact(str(text))[:most]


def printable(text: str) -> str:
    """``text`` with a question mark for whatever would steer a terminal or turn the reading direction."""
    return "".join(c if c.isprintable() else "?" for c in text)


def forms(secret: str) -> set[str]:
    """The texts under which ``secret`` may turn up."""
    return _straight(secret) | _straight(secret[::-1])


def _straight(text: str) -> set[str]:
    raw = text.encode()
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    escaped |= {json.dumps(once)[1:-1] for once in escaped}  # JSON, or repr, inside JSON
    quoted = {quote(text, safe=""), quote(text), quote_plus(text)}
    quoted |= {_lowered(once) for once in quoted}
    quoted |= {quote(once, safe="") for once in quoted}
    return {text, *escaped, *quoted, raw.hex(), raw.hex().upper(), *_base64_forms(raw)}


def _lowered(quoted: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of ``raw`` is certain in base64, whatever stands before and after it ("user:secret" in a header, say)."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw).decode().rstrip("=")
        start = (0, 2, 3)[offset]
        sure = encoded[start : (offset + len(raw)) * 8 // 6]
        if len(sure) >= SHORTEST_SECRET:
            yield sure
            yield sure.replace("+", "-").replace("/", "_")
