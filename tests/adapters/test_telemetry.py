"""Logs: one line an event, one trace from bar to message, and no secret in any form."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import redaction, telemetry
from core.setting_kinds import Secret
from core.settings import SEALED, SPECS, Settings

ROOT = Path(__file__).resolve().parents[2]
CANARY = 'FAKE-KEY/for+tests"ü'
FAKE = "FAKE-KEY-for-tests"


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as the assistant sets it up, into a buffer, and put back afterwards."""
    root, manager = logging.getLogger(), logging.root.manager
    before = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    made_as = logging.getLoggerClass(), logging.getLogRecordFactory()
    classes = {logger: type(logger) for logger in manager.loggerDict.values() if isinstance(logger, logging.Logger)}
    monkeypatch.setattr(redaction, "_longest_first", ())
    stream = io.StringIO()
    telemetry.configure("debug", stream, human=False)
    yield stream
    root.handlers[:], sys.excepthook, threading.excepthook, sys.unraisablehook = before[0], *hooks
    root.setLevel(before[1])
    logging.setLoggerClass(made_as[0])
    logging.setLogRecordFactory(made_as[1])
    for logger, kind in classes.items():
        logger.__class__ = kind
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_and_logger(out: io.StringIO):
    """Every line can be read by a machine and says when, how urgent and who."""
    structlog.get_logger("core.run.engine").info("bar seen", symbol="BTCUSDT", note="two\nlines")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"], line["symbol"]) == (
        "bar seen",
        "info",
        "core.run.engine",
        "BTCUSDT",
    )
    assert str(line["at"]).endswith("Z")


async def test_one_trace_runs_from_the_bar_into_the_tasks_it_starts(out: io.StringIO):
    """All lines about one bar can be found by one word, also across tasks."""
    log = structlog.get_logger("core.test")

    async def later() -> None:
        log.info("sent")

    with structlog.contextvars.bound_contextvars(trace="bar-1"):
        log.info("seen")
        task = asyncio.create_task(later())
    await task
    log.info("idle")
    assert [line.get("trace") for line in lines(out)] == ["bar-1", "bar-1", None]


def test_libraries_go_the_same_way(out: io.StringIO):
    """A warning of aiohttp is a JSON line like ours."""
    logging.getLogger("aiohttp.access").warning("slow %s", "peer")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("slow peer", "warning", "aiohttp.access")


@pytest.mark.parametrize("library", ["ccxt.base.exchange", "aiogram.event", "apscheduler.scheduler", "urllib3"])
def test_libraries_are_never_heard_below_warning(out: io.StringIO, library: str):
    """Even a library that turns its own DEBUG on prints no request with a key in it."""
    logger = logging.getLogger(library)
    logger.setLevel(logging.DEBUG)
    logger.debug("headers: X-MBX-APIKEY")
    logger.info("polling")
    logger.setLevel(logging.NOTSET)
    assert out.getvalue() == ""


def test_a_missed_run_is_told_once(out: io.StringIO):
    """By our own word for it; what the scheduler adds says the same again."""
    logging.getLogger("apscheduler.scheduler").warning("maximum number of running instances reached")
    structlog.get_logger("core.run.schedule").warning("job missed", job="bars")
    assert [line["event"] for line in lines(out)] == ["job missed"]


def test_our_own_level_is_the_one_asked_for(out: io.StringIO):
    """FIRSTMATE_LOG_LEVEL=warning silences info."""
    telemetry.configure("warning", out, human=False)
    structlog.get_logger("core.x").info("quiet")
    logging.getLogger("bot.y").info("quiet")
    structlog.get_logger("core.x").warning("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


@pytest.mark.parametrize(
    "shown",
    [
        CANARY,
        quote(CANARY, safe=""),
        quote(CANARY),
        quote(CANARY, safe="").lower(),
        CANARY.encode().hex(),
        CANARY.encode().hex().upper(),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode(),
        base64.b64encode(b"user:" + CANARY.encode()).decode(),
        repr({"key": CANARY}),
        CANARY[::-1],
        base64.b64encode(CANARY[::-1].encode()).decode(),
        CANARY[::-1].encode().hex(),
        quote(CANARY[::-1]),
        quote(quote(CANARY, safe=""), safe=""),
        json.dumps({"body": json.dumps({"key": CANARY})}),
    ],
)
def test_a_concealed_secret_is_masked_in_every_form(out: io.StringIO, shown: str):
    """Raw, in a URL, in hex, in base64, inside other text: the line shows a mask."""
    redaction.conceal(CANARY)
    if shown == quote(CANARY, safe="").lower():
        shown = quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%22", "%22")
        shown = shown.replace("%C3%BC", "%c3%bc")
    structlog.get_logger("core.x").info("sent", url=f"https://host/{shown}/x")
    text = out.getvalue()
    assert redaction.MASK in text
    assert "FAKE-KEY" not in text
    assert "YEK-EKAF" not in text
    assert CANARY.encode().hex()[:24] not in text.lower()
    assert base64.b64encode(CANARY.encode()).decode()[4:20] not in text


def test_every_secret_of_the_settings_is_concealed(out: io.StringIO):
    """A setting added to the secrets cannot be forgotten in the log."""
    kinds = {name: spec.metadata["kind"] for name, spec in SPECS.items()}
    names = SEALED | {name for name, kind in kinds.items() if kind.hidden}
    assert names == {"telegram_token", "api_key", "api_secret", "totp_seed"}
    secrets = {name: f"4711:FAKE-{name}-for-tests" for name in names}
    telemetry.conceal_secrets(replace(Settings(), **{name: Secret(text) for name, text in secrets.items()}))
    structlog.get_logger("core.test").info("said", **secrets)
    assert "FAKE" not in out.getvalue()


def test_tracebacks_are_redacted_and_show_no_locals(out: io.StringIO):
    """An error that quotes the key is logged without it."""
    redaction.conceal(FAKE)
    local_only = "visible-only-as-a-local"
    try:
        raise ValueError("refused: FAKE-KEY-for-tests" + local_only[:0])
    except ValueError:
        structlog.get_logger("core.x").exception("failed")
        logging.getLogger("ccxt").exception("failed too")
    text = out.getvalue()
    assert text.count("Traceback") == 2
    assert "FAKE-KEY" not in text
    assert local_only not in text


def test_a_readable_line_is_redacted_too(out: io.StringIO):
    """On a terminal the same rule holds."""
    telemetry.configure("info", out, human=True)
    redaction.conceal(FAKE)
    structlog.get_logger("core.x").error("refused FAKE-KEY-for-tests", key=FAKE)
    assert "refused" in out.getvalue()
    assert "FAKE-KEY" not in out.getvalue()


def test_a_failing_log_call_does_not_print_its_arguments(out: io.StringIO, capsys: pytest.CaptureFixture[str]):
    """A wrong format string is told without the values meant for it."""
    (ours,) = (one for one in logging.getLogger().handlers if isinstance(one, telemetry.RedactedHandler))
    args = (FAKE,)
    ours.handle(logging.LogRecord("aiogram", logging.WARNING, "client.py", 1, "%d", args, None))
    (line,) = lines(out)
    assert line["event"] == "a log line could not be written"
    assert "FAKE-KEY" not in out.getvalue() + capsys.readouterr().err


def test_an_exception_nobody_caught_is_a_redacted_line(out: io.StringIO):
    """Also the last words of a thread or of the process go through redaction."""
    redaction.conceal(FAKE)

    def fail() -> None:
        raise RuntimeError(FAKE)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert [line["event"] for line in lines(out)] == ["uncaught exception"] * 2
    assert "FAKE-KEY" not in out.getvalue()


def test_a_process_that_dies_says_nothing_secret():
    """What a real process writes to stderr when it falls over carries no secret."""
    code = (
        "from core.adapters import redaction, telemetry; telemetry.configure()\n"
        "redaction.conceal('FAKE-KEY-for-tests')\n"
        "raise RuntimeError('it was FAKE-KEY-for-tests')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert json.loads(done.stderr)["level"] == "critical"
    assert "RuntimeError: it was " in done.stderr
    assert "FAKE-KEY" not in done.stderr


@pytest.fixture
def strange(out: io.StringIO) -> Iterator[io.StringIO]:
    """What a library prints through a handler of its own, everything included that it wants to be heard."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    loggers = [logging.getLogger("ccxt.base.exchange"), logging.getLogger()]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield heard
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_a_library_with_a_handler_of_its_own_shows_no_secret(strange: io.StringIO):
    """Message, arguments and traceback are clean before any handler sees them."""
    redaction.conceal(FAKE)
    ccxt = logging.getLogger("ccxt.base.exchange")
    ccxt.warning("signed with %s and %r", FAKE, {"secret": FAKE.encode()})
    try:
        raise RuntimeError(f"refused {FAKE}")
    except RuntimeError:
        ccxt.exception("no %s", FAKE)
    ccxt.warning("%d", FAKE)
    text = strange.getvalue()
    assert text.count("RuntimeError: refused [redacted]") == 2  # once for its own handler, once for the root's
    assert "a log line could not be written" in text
    assert "FAKE-KEY" not in text


def test_our_own_lines_show_no_secret_to_a_librarys_handler(strange: io.StringIO):
    """Whoever takes the root logger over with basicConfig hears us without secrets."""
    redaction.conceal(FAKE)
    log = structlog.get_logger("core.x")
    log.warning("sent", body={"key": FAKE}, url=FAKE)
    try:
        raise RuntimeError(FAKE)
    except RuntimeError as error:
        log.error("failed", exc_info=error)
    assert strange.getvalue().count("Traceback") == 1
    assert "FAKE-KEY" not in strange.getvalue()


@pytest.mark.parametrize("library", ["ccxt.base.exchange", "aiogram.made.later", "asyncio", "keyring", "cryptography"])
def test_a_librarys_debug_lines_do_not_even_reach_its_own_handler(strange: io.StringIO, library: str):
    """What a library says below WARNING is not made, whatever level it asks for."""
    logger = logging.getLogger(library)
    logger.setLevel(logging.DEBUG)
    logger.debug("headers: X-MBX-APIKEY")
    logger.info("polling")
    logger.warning("slow")
    logger.setLevel(logging.NOTSET)
    assert set(strange.getvalue().splitlines()) == {"WARNING slow"}


def test_what_python_tells_by_itself_goes_the_same_way(out: io.StringIO):
    """Warnings, and what destructors and tasks nobody awaited raise, are redacted lines."""
    redaction.conceal(FAKE)

    class Falling:
        def __del__(self) -> None:
            raise RuntimeError(FAKE)

    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "lost", "exception": RuntimeError(FAKE)})

    warnings.warn(f"beware of {FAKE}", UserWarning, stacklevel=1)
    Falling()
    asyncio.run(main())
    assert [line["logger"] for line in lines(out)] == ["py.warnings", "firstmate", "asyncio"]
    assert "FAKE-KEY" not in out.getvalue()


def test_an_asyncio_loop_in_debug_mode_says_nothing_more(out: io.StringIO):
    """PYTHONASYNCIODEBUG prints the arguments of slow callbacks: without the secrets in them."""
    redaction.conceal(FAKE)

    def slow(argument: str) -> None:
        time.sleep(0.02)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.001
        loop.call_soon(slow, FAKE)
        await asyncio.sleep(0.05)

    asyncio.run(main(), debug=True)
    assert "slow" in out.getvalue()
    assert [line["level"] for line in lines(out) if line["level"] != "warning"] == []
    assert "FAKE-KEY" not in out.getvalue()


def test_a_secret_too_short_to_be_one_is_refused():
    """Masking a letter would make every line unreadable."""
    with pytest.raises(ValueError):
        redaction.conceal("abc")


@given(st.text(min_size=8, max_size=60), st.text(max_size=9), st.text(max_size=9))
def test_every_form_is_found_inside_other_text(secret: str, before: str, after: str):
    """Whatever the secret is and whatever stands around it, one of its forms is found."""
    try:
        secret.encode()
        (before + after).encode()
    except UnicodeEncodeError:
        return
    known = redaction.forms(secret)
    around = (before + secret + after).encode()
    assert any(form in json.dumps(before + secret + after) for form in known)
    assert any(form in base64.b64encode(around).decode() for form in known)
    assert any(form in around.hex() for form in known)
    assert any(form in quote(before, safe="") + quote(secret, safe="") + quote(after, safe="") for form in known)
