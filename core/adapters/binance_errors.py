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
-2014 -2015 -1022 -1002; 401, 404, 451 without a code      NeedsOwner             NeedsOwner
-1121 (symbol)                                             Refused                BadData
-2010 "Duplicate order sent."                              Refused(DUPLICATE)     -
any other 4xx                                              Refused                Refused
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.domain.errors import BadData, FirstmateError, NeedsOwner, OutcomeUnknown, Refused, RetryLater

DUPLICATE = "DUPLICATE"
NO_ORDER = "-2013"
CLOCK_CODE = -1021
_WAIT_MAX_S = 3 * 86_400.0
_WAITS_S = {418: 120.0, 429: 30.0, 403: 60.0}


class Meaning(StrEnum):
    """What can be known from an answer that is not a plain success."""

    UNSURE = "UNSURE"
    LATER = "LATER"
    OWNER = "OWNER"
    SYMBOL = "SYMBOL"
    DUPLICATE = "DUPLICATE"
    REFUSED = "REFUSED"


BY_CODE: Mapping[int, Meaning] = {
    **dict.fromkeys((-1000, -1001, -1006, -1007, -1008, -1016), Meaning.UNSURE),
    **dict.fromkeys((-1003, -1015, CLOCK_CODE), Meaning.LATER),
    **dict.fromkeys((-1002, -1022, -2014, -2015), Meaning.OWNER),
    -1121: Meaning.SYMBOL,
}
BY_STATUS: Mapping[int, Meaning] = {
    **dict.fromkeys((403, 418, 429), Meaning.LATER),
    **dict.fromkeys((408, 409), Meaning.UNSURE),
    **dict.fromkeys((401, 404, 451), Meaning.OWNER),
}


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
        code = raw if isinstance(raw, int) and raw < 0 else None
        text = str(body.get("msg", ""))
    return Answer(status, code, " ".join(text.split())[:200], _retry_after(status, headers))


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
    if answer.code == -2010 and "duplicate order" in answer.text.lower():
        return Meaning.DUPLICATE
    return BY_CODE.get(answer.code, Meaning.REFUSED)


def error_of(answer: Answer, client_id: str | None) -> FirstmateError:
    """The error to raise; ``client_id`` names the order a change was about, None stands for a read."""
    proof = meaning(answer)
    if proof is Meaning.UNSURE:
        return unsure(_said(answer), client_id)
    if proof is Meaning.LATER:
        wait_s = answer.retry_after_s or 1.0
        return RetryLater(f"The exchange asks for patience: {_said(answer)}; next try in {wait_s:.0f} s", wait_s)
    if proof is Meaning.OWNER:
        return NeedsOwner(f"{_said(answer)}. {_remedy(answer)}")
    if proof is Meaning.SYMBOL and client_id is None:
        return BadData(f"The exchange does not know this symbol: {_said(answer)}")
    code = DUPLICATE if proof is Meaning.DUPLICATE else str(answer.code or answer.status)
    return Refused(f"The exchange refused: {_said(answer)}", code)


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
    return "Check the API key, its trading permission and the addresses it may be used from"
