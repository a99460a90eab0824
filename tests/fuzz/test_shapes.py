"""How much is drawn: the same in every run of the checks, and as much more as somebody asks for."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import PARSERS
from tests.fuzz.shapes import TIMES, drawn


def test_the_checks_draw_the_same_and_a_longer_look_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed once in the checks fails again; what is drawn for an hour is not an hour of the same."""
    monkeypatch.delenv(TIMES, raising=False)
    assert (drawn(20).max_examples, drawn(20).derandomize) == (20, True)
    monkeypatch.setenv(TIMES, "50")
    assert (drawn(20).max_examples, drawn(20).derandomize) == (1000, False)


def test_the_files_that_are_drawn_from_at_length_are_there(pytestconfig: pytest.Config) -> None:
    """A renamed file is not left out in silence."""
    assert all((pytestconfig.rootpath / path).is_file() for path in PARSERS)
