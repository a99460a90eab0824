"""What of a typed text may be kept: everything but digits that may be a code."""

from __future__ import annotations

import json

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from bot.ownwords import CODE_MASK, keepable
from core.adapters import redaction
from tests.bot.fakes import office
from tests.bot.phones import phone

CODE = "481516"
AROUND = st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=20)


@pytest.mark.parametrize("typed", [CODE, "481 516", "481-516", "481  516", "48 15 16", "481\n516"])
@example(before="code ", after="")
@example(before="/resume@firstmate_bot ", after=".")
@given(before=AROUND, after=AROUND)
def test_a_code_is_masked_however_it_is_written_and_whatever_stands_around_it(typed: str, before: str, after: str):
    """Blanks, a dash, a word before it, a full stop after it: the six digits are gone, the words stay."""
    assert keepable(f"{before}{typed}{after}") == f"{before}{CODE_MASK}{after}"


@pytest.mark.parametrize("text", ["/stop BTC 61000", "/limits day_loss_max 2%", "12345", "1234567", "2026-05-01", ""])
def test_what_is_no_code_stays(text: str):
    """What was asked can still be read where it is traced."""
    assert keepable(text) == text


def test_a_secret_with_six_digits_in_it_is_masked_as_a_whole(monkeypatch: pytest.MonkeyPatch):
    """The digits are not taken out of it first, which would leave the rest standing."""
    monkeypatch.setattr(redaction, "_longest_first", ())
    redaction.conceal(f"FAKE-{CODE}-KEY-for-tests")
    assert keepable(f"key FAKE-{CODE}-KEY-for-tests") == f"key {redaction.MASK}"


@pytest.mark.parametrize("typed", [CODE, f"code {CODE}", f"/why {CODE}", f"/resume {CODE}", f"/why {'x' * 92}{CODE}"])
async def test_no_code_is_kept_of_what_was_typed(typed: str):
    """A code with a word before it, or typed where none was asked for, is in no table and in no line of the log."""
    with structlog.testing.capture_logs() as logs:
        async with office() as there:
            await phone(there).say(typed)
            (noted,) = there.records.updates.values()
    kept = noted + json.dumps(logs, default=str)
    assert CODE not in kept
    assert not noted.endswith(CODE[:3])
