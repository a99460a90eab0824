"""Secrets leave texts that are cut, too."""

from __future__ import annotations

import pytest

from bot.cli import _unexpected, parse
from core.adapters.binance_errors import answer_of
from core.adapters.redaction import conceal, short

SECRET = "FAKE-SECRET-for-tests-that-is-long-enough-to-be-cut-somewhere"


@pytest.mark.parametrize("before", range(140, 200, 7))
def test_half_a_secret_is_not_shown_where_a_text_is_cut(before: int, capsys: pytest.CaptureFixture[str]):
    """Wherever the cut falls: in a log line, in the last words of a command, in what the exchange says."""
    conceal(SECRET)
    text = "x" * (before - 1) + " " + SECRET
    assert "FAKE" not in short(text)
    _unexpected(RuntimeError(text), parse(["status"]))
    assert "FAKE" not in capsys.readouterr().err
    assert "FAKE" not in answer_of(400, {}, {"code": -1000, "msg": text}).text
    assert "FAKE" not in answer_of(400, {}, {"code": -1000, "msg": " " * (before + 1750) + text}).text
