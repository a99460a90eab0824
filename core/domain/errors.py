"""Errors, classed by what the caller should do next.

FirstmateError              exit 1   something failed; ``user_text`` is one line fit for a phone
├── RetryLater              exit 5   nothing happened; try again after ``retry_after_s``
├── OutcomeUnknown          exit 5   an order may or may not exist: watch ``client_id``, never re-send
├── Refused                 exit 1   proven not to have happened, by us or by the exchange, with its code
├── BadData                 exit 2   input that must not be used (file, message, bar, answer)
├── NeedsOwner              exit 2   only the owner can go on: configuration, key, decision
├── AlreadyRunning          exit 3   another instance holds this state folder
├── StoreUnusable           exit 4   the database cannot be used as it is
└── InvariantBroken         exit 1   our own books disagree: stop, restart from the journal
"""

from __future__ import annotations


class FirstmateError(Exception):
    """Anything firstmate raises on purpose; ``user_text`` is the one line a person reads."""

    exit_code = 1

    def __init__(self, user_text: str) -> None:
        super().__init__(user_text)
        self.user_text = user_text


class RetryLater(FirstmateError):
    """Proven not to have happened, may work later; ``retry_after_s`` >= 0 seconds."""

    exit_code = 5

    def __init__(self, user_text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(user_text)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(FirstmateError):
    """A request about ``client_id`` was sent and its outcome cannot be known from the answer."""

    exit_code = 5

    def __init__(self, user_text: str, client_id: str = "") -> None:
        super().__init__(user_text)
        self.client_id = client_id


class Refused(FirstmateError):
    """Proven not to have happened; ``code`` is the exchange's number as text or our own word."""

    def __init__(self, user_text: str, code: str) -> None:
        super().__init__(user_text)
        self.code = code


class BadData(FirstmateError):
    """Input from outside that must not be used."""

    exit_code = 2


class NeedsOwner(FirstmateError):
    """Configuration, a key or a decision is missing that only the owner can give."""

    exit_code = 2


class AlreadyRunning(FirstmateError):
    """Another instance works on the same state folder."""

    exit_code = 3


class StoreUnusable(FirstmateError):
    """The database is corrupt, from a newer version, or cannot be written."""

    exit_code = 4


class InvariantBroken(FirstmateError):
    """Our own books disagree with themselves; nothing may go on from here."""
