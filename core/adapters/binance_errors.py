"""What an answer of the exchange means for the one who asked, as one table.

Rule 1: only the HTTP status and Binance's own numeric code decide, never the class a library made of them.
Rule 2: a request that may change something is either proven not done or its outcome is unknown; nothing in between.
Rule 3: what is unknown to a change is merely worth another try to a read.
Rule 4: a text for a person never holds a URL, a key or a signature.

status or code                                             a change becomes       a read becomes
5xx, any body; -1000 -1001 -1006 -1007 -1008 -1016         OutcomeUnknown         RetryLater
408, 409; a 2xx that cannot be used; timeout, cut line     OutcomeUnknown         RetryLater
429, 418, 403; -1003 -1015                                 RetryLater             RetryLater
connection refused, name not found                         RetryLater             RetryLater
-1021 (clock)                                              RetryLater, resync     RetryLater, resync
-2014 -2015 -1022 -1002 -1099; 401, 404, 451 without code   NeedsOwner             NeedsOwner
404, whatever the code                                     as the code says       NoSuchPath (NeedsOwner)
-1121 (symbol)                                             Refused                BadData
matching engine: "Duplicate order sent."                   Refused(DUPLICATE)     -
matching engine: the account may not do this               NeedsOwner             -
-2011, but not "Unknown order sent.": the order stands     RetryLater             -
any other 4xx                                              Refused                Refused

The matching engine speaks through -1010, -2010 and -2011 alike; what it says then stands in SAYINGS. A Refused carries
the number and, where there is more to know, one word: "-1013 LOT_SIZE", "-2010 BALANCE".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.adapters.redaction import short
from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater

DUPLICATE = "DUPLICATE"
NO_ORDER = "-2013"
ARCHIVED = "-2026"
CLOCK_CODE = -1021
_WAIT_MAX_S = 3 * 86_400.0
_CODE_MIN = -1_000_000
_WAITS_S = {418: 120.0, 429: 30.0, 403: 60.0}


class Meaning(StrEnum):
    """What can be known from an answer that is not a plain success."""

    UNSURE = "UNSURE"
    LATER = "LATER"
    OWNER = "OWNER"
    SYMBOL = "SYMBOL"
    DUPLICATE = "DUPLICATE"
    STANDS = "STANDS"
    REFUSED = "REFUSED"


BY_CODE: Mapping[int, Meaning] = {
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008, -1016), Meaning.UNSURE),
    **dict.fromkeys((-1003, -1015, CLOCK_CODE), Meaning.LATER),
    **dict.fromkeys((-1002, -1022, -1099, -2014, -2015), Meaning.OWNER),
    -1121: Meaning.SYMBOL,
}
BY_STATUS: Mapping[int, Meaning] = {
    **dict.fromkeys((403, 418, 429), Meaning.LATER),
    **dict.fromkeys((408, 409), Meaning.UNSURE),
    **dict.fromkeys((401, 404, 451), Meaning.OWNER),
}
MATCHING_ENGINE = frozenset({-1010, -2010, -2011})
# part of a sentence of the matching engine: what it proves, and the word a Refused carries
SAYINGS: Mapping[str, tuple[Meaning, str]] = {
    "duplicate order": (Meaning.DUPLICATE, ""),
    "unknown order": (Meaning.REFUSED, ""),
    "disabled on this account": (Meaning.OWNER, ""),
    "api trading is not enabled": (Meaning.OWNER, ""),
    "insufficient balance": (Meaning.REFUSED, "BALANCE"),
    "immediately match": (Meaning.REFUSED, "CROSSES"),
    "trigger immediately": (Meaning.REFUSED, "TRIGGERS"),
    "relationship of the prices": (Meaning.REFUSED, "PRICES"),
    "market is closed": (Meaning.REFUSED, "CLOSED"),
}
_FILTER = re.compile(r"Filter failure: ([A-Z0-9_]{1,40})")


class NoSuchPath(NeedsOwner):
    """This server does not have what was asked for: an older one, another product, or no exchange at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is not a plain success; ``code`` and ``text`` are Binance's own where the body held them."""

    status: int
    code: int | None = None
    text: str = ""
    retry_after_s: float | None = None


def answer_of(status: int, headers: Mapping[str, str], body: object) -> Answer:
    """The parts of an HTTP answer that decide; ``body`` is the parsed JSON or None."""
    code, text = None, ""
    if isinstance(body, Mapping):
        raw = body.get("code")
        code = raw if isinstance(raw, int) and _CODE_MIN < raw < 0 else None
        said = body.get("msg", "")
        text = said if isinstance(said, str) else ""
    words = " ".join(short(text, 2000).split())
    # left out, not marked: a secret with a sign nobody sees in it is whole again when it is looked for once more
    return Answer(status, code, short("".join(filter(str.isprintable, words))), _retry_after(status, headers))


def _retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds the exchange wants to be left alone, up to three days; None where it did not say and need not."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if said.isascii() and said.isdigit():
        return min(_WAIT_MAX_S, max(1.0, float(said[:9])))
    return _WAITS_S.get(status)


def meaning(answer: Answer) -> Meaning:
    """What ``answer`` proves, by the table above."""
    if answer.status >= 500:
        return Meaning.UNSURE
    if answer.status in (418, 429):
        return Meaning.LATER
    if answer.code is None:
        return Meaning.UNSURE if answer.status < 400 else BY_STATUS.get(answer.status, Meaning.REFUSED)
    if answer.code in MATCHING_ENGINE:
        proof, _ = _saying(answer)
        gone = answer.code != -2011 or "unknown order" in answer.text.lower()
        return Meaning.STANDS if proof is Meaning.REFUSED and not gone else proof
    return BY_CODE.get(answer.code, Meaning.REFUSED)


def _saying(answer: Answer) -> tuple[Meaning, str]:
    text = answer.text.lower()
    return next((said for part, said in SAYINGS.items() if part in text), (Meaning.REFUSED, ""))


def _code(answer: Answer) -> str:
    """The exchange's number, and the word for what it is about."""
    named = _FILTER.search(answer.text)
    word = named[1] if named else _saying(answer)[1] if answer.code in MATCHING_ENGINE else ""
    return f"{answer.code or answer.status} {word}".rstrip()


def error_of(answer: Answer, client_id: str | None) -> FirstmateError:
    """The error to raise; ``client_id`` names the order a change was about, None stands for a read."""
    if answer.status == 404 and client_id is None:
        return NoSuchPath(f"{_said(answer)}. {_remedy(Answer(404))}")
    proof = meaning(answer)
    if proof is Meaning.UNSURE:
        return unsure(_said(answer), client_id)
    if proof is Meaning.LATER:
        wait_s = answer.retry_after_s or 1.0
        return RetryLater(f"The exchange asks for patience: {_said(answer)}; next try in {wait_s:.0f} s", wait_s)
    return _proven_error(proof, answer, client_id)


def _proven_error(proof: Meaning, answer: Answer, client_id: str | None) -> FirstmateError:
    """The error for what certainly did not happen and will not by itself."""
    if proof is Meaning.OWNER:
        return NeedsOwner(f"{_said(answer)}. {_remedy(answer)}")
    if proof is Meaning.SYMBOL and client_id is None:
        return BadData(f"The exchange does not know this symbol: {_said(answer)}")
    if proof is Meaning.STANDS:
        return RetryLater(f"The order was not cancelled and still stands: {_said(answer)}", 1.0)
    return Refused(f"The exchange refused: {_said(answer)}", DUPLICATE if proof is Meaning.DUPLICATE else _code(answer))


def unsure(what: str, client_id: str | None) -> FirstmateError:
    """The error for an outcome that cannot be known from here."""
    if client_id is None:
        return RetryLater(f"No usable answer from the exchange: {what}")
    return OutcomeUnknown(f"{client_id} was sent, but nobody can say yet whether it was taken: {what}", client_id)


def not_sent(what: str) -> RetryLater:
    """The error for a request that provably never left."""
    return RetryLater(f"The exchange cannot be reached: {what}")


def _said(answer: Answer) -> str:
    number = f"HTTP {answer.status}" if answer.code is None else str(answer.code)
    return f"{answer.text.rstrip('.')} ({number})" if answer.text else number


def _remedy(answer: Answer) -> str:
    if answer.code is None:
        return "Check the exchange's address in FIRSTMATE_EXCHANGE_URL, and that it serves your country"
    if answer.code == -1022:
        return "The signature does not match: enter the API secret again"
    if answer.code in MATCHING_ENGINE:
        return "Ask the exchange what your account may not do"
    return "Check the API key, its trading permission and the addresses it may be used from"
