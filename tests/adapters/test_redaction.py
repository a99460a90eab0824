"""What is printed: no secret, not even half of one, and nothing that steers a terminal."""

from __future__ import annotations

import pytest

from bot.cli import _refuse, _unexpected
from bot.grammar import parse
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


def test_what_a_server_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    """It could hide what is asked, or pretend that all is well."""
    _refuse("It said: \x1b[2J\x9b1mwell\u202e\a\nTwo.", 1)
    assert capsys.readouterr().err == "firstmate: It said: ?[2J?1mwell??\nfirstmate: Two.\n"
