"""docs/security.md stays true: each threat has a control that exists and a test that exists."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import pytest

from bot.grammar import parse

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`([\w./-]+/[\w.-]+\.\w+|run)(?:::(\w+))?`")
WANTED = (
    "stolen phone",
    "stolen bot token",
    "stolen exchange key",
    "stolen server disk",
    "stolen backup",
    "root on the server",
    "malicious dependency",
    "man in the middle",
    "forged updates",
    "replayed buttons",
    "foreign webhook",
    "group add",
    "prompts or markup",
    "tampered state",
    "rolled-back vault",
    "log leaks",
    "core dumps",
    "malicious csv",
    "malicious model",
    "clock attacks",
)


def rows() -> list[list[str]]:
    """The threat table: threat, consequence, control, test."""
    part = PAGE.split("## Threats")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def missing(text: str) -> list[str]:
    """What a text names in backquotes that is not in this checkout."""
    found = []
    for path, test in NAMED.findall(text):
        if not (ROOT / path).is_file():
            found.append(path)
        elif test and not re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.M):
            found.append(f"{path}::{test}")
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:40])
def test_each_threat_has_a_control_and_a_test_that_exist(row: list[str]):
    """No line of the table is a promise without a file and a test behind it."""
    threat, consequence, control, test = row
    assert threat
    assert consequence
    assert NAMED.search(control)
    assert any(name for _, name in NAMED.findall(test))
    assert missing(control + test) == []


@pytest.mark.parametrize("threat", WANTED)
def test_the_threats_an_owner_asks_about_are_in_the_table(threat: str):
    """Each of them has its line."""
    assert any(threat in row[0].lower() for row in rows())


def test_whatever_else_the_pages_name_exists():
    """Neither page sends a reader to a file that is not there."""
    for page in ("docs/security.md", "docs/supply-chain.md", "SECURITY.md"):
        text = (ROOT / page).read_text()
        assert missing(text) == []
        links = re.findall(r"\]\(([^)#]+)\)", text)
        assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_a_file_or_test_that_is_gone_is_seen():
    """The look itself is not blind."""
    assert missing("`core/nowhere.py`") == ["core/nowhere.py"]
    assert missing("`tests/test_security_doc.py::test_that_never_was`") == [
        "tests/test_security_doc.py::test_that_never_was"
    ]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`firstmate ([a-z][^`]*)`", PAGE))))
def test_the_drills_name_commands_that_exist(command: str):
    """What is typed in an emergency is understood by the program."""
    words = [{"HASH": "0" * 64, "FILE": "sealed"}.get(word, word) for word in command.split()]
    assert isinstance(parse(words), Namespace)


@pytest.mark.parametrize("drill", ["Phone", "Bot token", "Exchange key", "Server, its disk or a backup"])
def test_each_drill_is_a_list_of_steps(drill: str):
    """Under stress one reads numbers, not paragraphs."""
    part = PAGE.split(f"### {drill}\n")[1].split("\n##")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", part, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 3
