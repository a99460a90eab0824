"""Logs: one JSON object a line on stderr (readable lines on a terminal), ours and every library's alike.

Rule 1: a line is redacted after it is complete: nothing is written between `redact` and the stream, and what Python
        itself would print (uncaught exceptions, failing log calls, warnings) goes the same way.
Rule 2: a record is redacted when it is made, its traceback too: a handler that a library brings along shows no more
        than ours.
Rule 3: libraries speak from WARNING up, whatever level they, their environment or we ask for: their DEBUG lines print
        keys.
Rule 4: tracebacks never show local variables.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

import structlog

from core.adapters.redaction import conceal_parts, redact
from core.settings import Settings

OURS = ("bot", "core", "firstmate", "__main__")
_tracebacks = logging.Formatter()


class Listened(logging.Logger):
    """A logger that makes records below WARNING for our own parts only; every logger of this process is one."""

    def isEnabledFor(self, level: int) -> bool:
        """Whether a record of this level is made at all."""
        return (level >= logging.WARNING or is_ours(self.name)) and super().isEnabledFor(level)


def is_ours(name: str) -> bool:
    """Whether the logger of this name belongs to firstmate."""
    return name.partition(".")[0] in OURS


def redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record as logging makes it, without secrets from the start."""
    record = logging.LogRecord(*args, **kwargs)
    if isinstance(record.msg, dict):  # of structlog: its values stay what they are where nothing is in them
        record.msg = {key: _clean(value) for key, value in record.msg.items()}
    else:
        _redact_message(record)
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = redact(_tracebacks.formatException(record.exc_info))
    return record


def _clean(value: Any) -> Any:
    shown = value if isinstance(value, str) else repr(value)
    cleaned = redact(shown)
    return value if cleaned == shown else cleaned


def _redact_message(record: logging.LogRecord) -> None:
    try:
        shown = record.getMessage()
    except Exception:  # Python's own handlers would print the arguments beside the error
        shown = "a log line could not be written"
        record.args = ()
        record.msg = shown
    cleaned = redact(shown)
    if cleaned != shown:
        record.msg, record.args = cleaned, ()


class RedactedFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record to its line and redacts the line."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class RedactedHandler(logging.StreamHandler[TextIO]):
    """Writes lines; a log call that fails is told in one line without its arguments."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record may be written: ours, or a library's from WARNING up."""
        return record.levelno >= logging.WARNING or is_ours(record.name)

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
        structlog.processors.format_exc_info,
    ]
    handler = RedactedHandler(target)
    handler.setFormatter(RedactedFormatter(processors=_last(human), foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(number)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # the run it warns of core.run.schedule tells and counts
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _listen_to_all()
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def _listen_to_all() -> None:
    """Every logger there is and will be is `Listened`, every record is redacted when it is made."""
    logging.setLogRecordFactory(redacted_record)
    logging.setLoggerClass(Listened)
    for logger in logging.root.manager.loggerDict.values():
        if type(logger) is logging.Logger:
            logger.__class__ = Listened


def start(settings: Settings, unset: str = "info") -> None:
    """Log as these settings say, or at ``unset``, with their secrets concealed from the first line on."""
    conceal_secrets(settings)
    configure(unset if settings.log_level == "unset" else settings.log_level)


def conceal_secrets(settings: Settings) -> None:
    """Conceal every secret these settings hold."""
    for secret in (settings.telegram_token, settings.api_key, settings.api_secret, settings.totp_seed):
        if secret is not None:
            conceal_parts(secret.reveal())


def is_configured() -> bool:
    """Whether `configure` has been called in this process."""
    return any(isinstance(handler, RedactedHandler) for handler in logging.getLogger().handlers)


def _last(human: bool) -> list[structlog.typing.Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if human:
        return [drop, structlog.dev.ConsoleRenderer(timestamp_key="at")]
    return [drop, structlog.processors.JSONRenderer(default=str)]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("firstmate").critical("uncaught exception", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _unraisable(unraisable: Any) -> None:
    """What a destructor or a callback of C raised; Python would print it with the object's repr."""
    error = unraisable.exc_value or unraisable.exc_type()
    _uncaught(type(error), error, unraisable.exc_traceback)
