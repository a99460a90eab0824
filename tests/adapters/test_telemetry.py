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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import telemetry
from core.setting_kinds import Secret
from core.settings import SPECS, Settings

ROOT = Path(__file__).resolve().parents[2]
CANARY = 'FAKE-KEY/for+tests"ü'


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as the assistant sets it up, into a buffer, and put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook
    monkeypatch.setattr(telemetry, "_forms", set())
    monkeypatch.setattr(telemetry, "_pattern", None)
    stream = io.StringIO()
    telemetry.configure("debug", stream, human=False)
    yield stream
    root.handlers[:], sys.excepthook, threading.excepthook = before[0], before[2], before[3]
    root.setLevel(before[1])
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
    ],
)
def test_a_concealed_secret_is_masked_in_every_form(out: io.StringIO, shown: str):
    """Raw, in a URL, in hex, in base64, inside other text: the line shows a mask."""
    telemetry.conceal(CANARY)
    if shown == quote(CANARY, safe="").lower():
        shown = quote(CANARY, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%22", "%22")
        shown = shown.replace("%C3%BC", "%c3%bc")
    structlog.get_logger("core.x").info("sent", url=f"https://host/{shown}/x")
    text = out.getvalue()
    assert telemetry.MASK in text
    assert "FAKE-KEY" not in text
    assert CANARY.encode().hex()[:24] not in text.lower()
    assert base64.b64encode(CANARY.encode()).decode()[4:20] not in text


def test_every_secret_of_the_settings_is_concealed(out: io.StringIO):
    """A setting added to the secrets cannot be forgotten in the log."""
    kinds = {name: spec.metadata["kind"] for name, spec in SPECS.items()}
    secrets = {name: f"4711:FAKE-{name}-for-tests" for name, kind in kinds.items() if kind.hidden}
    assert set(secrets) == {"telegram_token", "api_key", "api_secret"}
    telemetry.conceal_secrets(replace(Settings(), **{name: Secret(text) for name, text in secrets.items()}))
    structlog.get_logger("core.test").info("said", **secrets)
    assert "FAKE" not in out.getvalue()


def test_tracebacks_are_redacted_and_show_no_locals(out: io.StringIO):
    """An error that quotes the key is logged without it."""
    telemetry.conceal("FAKE-KEY-for-tests")
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
    telemetry.conceal("FAKE-KEY-for-tests")
    structlog.get_logger("core.x").error("refused FAKE-KEY-for-tests", key="FAKE-KEY-for-tests")
    assert "refused" in out.getvalue()
    assert "FAKE-KEY" not in out.getvalue()


def test_a_failing_log_call_does_not_print_its_arguments(out: io.StringIO, capsys: pytest.CaptureFixture[str]):
    """A wrong format string is told without the values meant for it."""
    (ours,) = (one for one in logging.getLogger().handlers if isinstance(one, telemetry.RedactedHandler))
    args = ("FAKE-KEY-for-tests",)
    ours.handle(logging.LogRecord("aiogram", logging.WARNING, "client.py", 1, "%d", args, None))
    (line,) = lines(out)
    assert line["event"] == "a log line could not be written"
    assert "FAKE-KEY" not in out.getvalue() + capsys.readouterr().err


def test_an_exception_nobody_caught_is_a_redacted_line(out: io.StringIO):
    """Also the last words of a thread or of the process go through redaction."""
    telemetry.conceal("FAKE-KEY-for-tests")

    def fail() -> None:
        raise RuntimeError("FAKE-KEY-for-tests")

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
        "from core.adapters import telemetry as t; t.configure(); t.conceal('FAKE-KEY-for-tests')\n"
        "raise RuntimeError('FAKE-KEY-for-tests')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert json.loads(done.stderr)["level"] == "critical"
    assert "FAKE-KEY" not in done.stderr


def test_a_secret_too_short_to_be_one_is_refused():
    """Masking a letter would make every line unreadable."""
    with pytest.raises(ValueError):
        telemetry.conceal("abc")


@given(st.text(min_size=8, max_size=60), st.text(max_size=9), st.text(max_size=9))
def test_every_form_is_found_inside_other_text(secret: str, before: str, after: str):
    """Whatever the secret is and whatever stands around it, one of its forms is found."""
    try:
        secret.encode()
        (before + after).encode()
    except UnicodeEncodeError:
        return
    known = telemetry.forms(secret)
    around = (before + secret + after).encode()
    assert any(form in json.dumps(before + secret + after) for form in known)
    assert any(form in base64.b64encode(around).decode() for form in known)
    assert any(form in around.hex() for form in known)
    assert any(form in quote(before, safe="") + quote(secret, safe="") + quote(after, safe="") for form in known)
