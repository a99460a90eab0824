"""docs/faults.md is written from the code: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE)))
SAID = [
    "nobody can say yet whether order",
    "nothing was bought (",
    "it could not be sent in time",
    "the price had moved on",
    "of an order of mine that I had given up",
    "that was not mine",
    "no stop is proven to stand",
    "the exchange has not shown whether the stop stands",
    "and no trade explains it. ",
    "I found orders of mine that I did not know and took them over",
    "Not mine, never touched",
    "the market fell through the limit of its stop",
    "The exchange's key cannot be used: ",
    "The key's right to trade ends on ",
]


@pytest.mark.parametrize("name", NAMED)
def test_every_file_the_page_names_is_there(name: str):
    """Whoever follows the page into the code finds the rule."""
    assert [path for room in ("bot", "core") for path in (ROOT / room).rglob("*.py") if f"/{path}".endswith(f"/{name}")]


@pytest.mark.parametrize("words", SAID)
def test_what_the_owner_sees_is_what_the_program_says(words: str):
    """The page quotes the program, word for word."""
    assert words in PAGE
    source = "".join(path.read_text() for room in ("bot", "core") for path in (ROOT / room).rglob("*.py"))
    assert words in re.sub(r'"\s*\n\s*f?"', "", source)
