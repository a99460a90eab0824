"""What looks like a secret in a text: exchange keys, bot tokens, private keys, TOTP seeds; plain, encoded or in pieces.

Rule 1: a secret that says FAKE or EXAMPLE about itself is a canary and allowed; no file and no line is.
Rule 2: a hash is no key: 64 hex digits of one case never have what an exchange key has, both cases.
Rule 3: besides the text as it stands, what its runs of base64 and hex say is read, and what neighbouring string
        literals say when put together: on one line or on many, as elements of a list or as values of an object.
Rule 4: a finding never shows the secret, only its first four characters and its length.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

KEY_LENGTH = 64
PIECE_MIN = 8  # characters; shorter pieces of a key are words as often as not
DIGITS_MIN, LETTERS_MIN = 1, 8  # of each case in a key put together; of 10**6 random keys about 15 have less

CANARY = re.compile("FAKE|EXAMPLE")  # capitals: in any case one drawn key of 15,000 would say so
KEY = re.compile(
    r"(?<![A-Za-z0-9])(?=[^a-z]{0,63}[a-z])(?=[^A-Z]{0,63}[A-Z])(?=[^0-9]{0,63}[0-9])[A-Za-z0-9]{64}(?![A-Za-z0-9])"
)
RULES = {
    "exchange key": KEY,
    "bot token": re.compile(r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "private key": re.compile(
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[^-]{0,200}?[A-Za-z0-9+/]{24}[^-]*"
    ),
    "Ed25519 key": re.compile(r"(?<![A-Za-z0-9+/])MC4CAQAwBQYDK2VwBCIEI[A-Za-z0-9+/]{43}(?![A-Za-z0-9+/])"),
    "TOTP seed": re.compile(r"otpauth://[^\s\"']{0,200}?secret=[A-Z2-7]{16,}[^\s\"']*", re.IGNORECASE),
    "GitHub token": re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{82})"),
}
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{44,}")
HEX = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}){44,}(?![0-9a-fA-F])")
WRAPPED = re.compile(r"(?<=[A-Za-z0-9+/]{32})(?:\\r)?(?:\\n|\r?\n)[ \t]*(?=[A-Za-z0-9+/_=-])")
PIECE = re.compile(rf"[\"']([A-Za-z0-9]{{{PIECE_MIN},{KEY_LENGTH - PIECE_MIN}}})[\"']")
SEAM = re.compile(r"[\s,+\\()]*(?:[rbfu]?[\"'][\w -]{0,40}[\"']\s*:\s*)?[rbfu]{0,2}")
GLUE = re.compile(r"(?<=[A-Za-z0-9+/_:-]{8})[\"'][\s,+\\()]*[rbfu]{0,2}[\"'](?=[A-Za-z0-9+/_=:-]{4})")


@dataclass(frozen=True, slots=True)
class Finding:
    """One secret in a text: which rule, the line it begins on (from 1), and a hint that does not give it away."""

    rule: str
    line: int
    hint: str


def findings(text: str) -> list[Finding]:
    """Every secret in ``text`` once, in order of lines."""
    seen: dict[tuple[str, str], Finding] = {}
    for rule, at, secret in (*_plain(text), *_in_pieces(text), *_glued(text), *_encoded(text)):
        if not CANARY.search(secret):
            line = text.count("\n", 0, at) + 1
            seen.setdefault((rule, secret), Finding(rule, line, f"{secret[:4]}… ({len(secret)} characters)"))
    return sorted(seen.values(), key=lambda finding: (finding.line, finding.rule))


def _plain(text: str) -> Iterator[tuple[str, int, str]]:
    """(rule, place, secret) of what stands in the text as it is."""
    for rule, pattern in RULES.items():
        for match in pattern.finditer(text):
            yield rule, match.start(), match.group()


def _in_pieces(text: str) -> Iterator[tuple[str, int, str]]:
    """Neighbouring string literals that make an exchange key when put together."""
    chain: list[re.Match[str]] = []
    for piece in PIECE.finditer(text):
        if chain and not SEAM.fullmatch(text, chain[-1].end(), piece.start()):
            chain = []
        chain = [*chain[-(KEY_LENGTH // PIECE_MIN) :], piece]
        for start in range(len(chain) - 1):
            whole = "".join(match[1] for match in chain[start:])
            if len(whole) == KEY_LENGTH and _drawn(whole):
                yield "exchange key", chain[start].start(), whole


def _drawn(whole: str) -> bool:
    """Whether 64 characters look drawn at random rather than like words in a row."""
    counts = (sum(map(str.isdigit, whole)), sum(map(str.isupper, whole)), sum(map(str.islower, whole)))
    return counts[0] >= DIGITS_MIN and min(counts[1:]) >= LETTERS_MIN


def _glued(text: str) -> Iterator[tuple[str, int, str]]:
    """What long texts in pieces say: tokens, private keys and encoded keys over several literals or lines."""
    glued = WRAPPED.sub("", GLUE.sub("", text))
    if glued == text:
        return
    for rule, at, secret in (*_plain(glued), *_encoded(glued)):
        head = text.find(secret[:PIECE_MIN])
        if rule != "exchange key" or _drawn(secret):
            yield rule, max(head, 0) if head >= 0 else min(at, len(text)), secret


def _encoded(text: str) -> Iterator[tuple[str, int, str]]:
    """What base64 and hex in the text stand for, whatever was stuck before them."""
    for run in BASE64.finditer(text):
        letters = run.group().replace("-", "+").replace("_", "/")
        for skipped in range(4):
            usable = letters[skipped : skipped + (len(letters) - skipped) // 4 * 4]
            rest = letters[skipped + len(usable) :]
            usable += rest + "=" * (4 - len(rest)) if len(rest) > 1 else ""
            yield from _decoded(run.start(), base64.b64decode(usable))
    for run in HEX.finditer(text):
        yield from _decoded(run.start(), binascii.unhexlify(run.group()))


def _decoded(at: int, raw: bytes) -> Iterator[tuple[str, int, str]]:
    for rule, _, secret in _plain(raw.decode("latin-1")):
        yield rule, at, secret
