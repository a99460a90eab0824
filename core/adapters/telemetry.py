"""Logs: one JSON object a line on stderr (readable lines on a terminal), ours and every library's alike.

Rule 1: a line is redacted after it is complete: nothing is written between `redact` and the stream, and what Python
        itself would print (uncaught exceptions, failing log calls) goes the same way.
Rule 2: redaction is by exact value, in the forms a secret takes on its way: as is, in a URL, in JSON, hex, base64.
        Patterns are not used; they miss what they do not know.
Rule 3: libraries speak from WARNING up, whatever level we or they ask for: their DEBUG lines print keys.
Rule 4: tracebacks never show local variables.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO
from urllib.parse import quote, quote_plus

import structlog

from core.settings import Settings

OURS = ("bot", "core", "firstmate", "__main__")
SHORTEST_SECRET = 4
MASK = "[redacted]"

_forms: set[str] = set()
_pattern: re.Pattern[str] | None = None
_lock = threading.Lock()


def conceal(secret: str) -> None:
    """From now on no log line shows ``secret`` (at least 4 characters), in any of the forms of Rule 2."""
    global _pattern
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a secret has at least {SHORTEST_SECRET} characters")
    with _lock:
        _forms.update(forms(secret))
        longest_first = sorted(_forms, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def redact(text: str) -> str:
    """``text`` with every concealed secret replaced by a mask."""
    return _pattern.sub(MASK, text) if _pattern else text


def forms(secret: str) -> set[str]:
    """The texts under which ``secret`` may turn up: raw, JSON, repr, URL-quoted, hex, and base64 at any offset."""
    raw = secret.encode()
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    lowered = {re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in quoted}
    return {secret, *escaped, *quoted, *lowered, raw.hex(), raw.hex().upper(), *_base64_forms(raw)}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of ``raw`` is certain in base64, whatever stands before and after it ("user:secret" in a header, say)."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw).decode().rstrip("=")
        start = (0, 2, 3)[offset]
        sure = encoded[start : (offset + len(raw)) * 8 // 6]
        if len(sure) >= SHORTEST_SECRET:
            yield sure
            yield sure.replace("+", "-").replace("/", "_")


class RedactedFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record to its line and redacts the line."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class RedactedHandler(logging.StreamHandler[TextIO]):
    """Writes lines; a log call that fails is told in one line without its arguments."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record may be written: ours, or a library's from WARNING up."""
        return record.levelno >= logging.WARNING or record.name.partition(".")[0] in OURS

    def handleError(self, record: logging.LogRecord) -> None:
        """Instead of Python's own report, which prints the arguments."""
        kind = sys.exc_info()[0]
        line = {"event": "a log line could not be written", "logger": record.name, "line": record.lineno}
        line["error"] = kind.__name__ if kind else "unknown"
        try:
            self.stream.write(json.dumps(line) + "\n")
        except (OSError, ValueError):
            return  # stderr is gone: there is nowhere left to say so


def configure(level: str = "info", stream: TextIO | None = None, human: bool | None = None) -> None:
    """Send every log line of this process to ``stream`` (stderr), readable where it is a terminal, else JSON."""
    target = stream or sys.stderr
    human = target.isatty() if human is None else human
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = RedactedHandler(target)
    handler.setFormatter(RedactedFormatter(processors=_last(human), foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def start(settings: Settings, unset: str = "info") -> None:
    """Log as these settings say, or at ``unset``, with their secrets concealed from the first line on."""
    conceal_secrets(settings)
    configure(unset if settings.log_level == "unset" else settings.log_level)


def conceal_secrets(settings: Settings) -> None:
    """Conceal every secret these settings hold."""
    if settings.telegram_token is not None:
        token = settings.telegram_token.reveal()
        conceal(token)
        conceal(token.partition(":")[2])  # the half after the colon is the secret one
    for half in (settings.api_key, settings.api_secret):
        if half is not None:
            conceal(half.reveal())


def is_configured() -> bool:
    """Whether `configure` has been called in this process."""
    return any(isinstance(handler, RedactedHandler) for handler in logging.getLogger().handlers)


def _last(human: bool) -> list[structlog.typing.Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if human:
        plain = structlog.dev.plain_traceback
        return [drop, structlog.dev.ConsoleRenderer(exception_formatter=plain, timestamp_key="at")]
    return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("firstmate").critical("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
