"""What can be typed: every command is there, scripts are understood, help and version say what is so."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

from bot.grammar import _parsers, parse

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(_parsers()[1])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_help_can_be_run(name: str):
    """The list in --help promises nothing that does not exist."""
    assert callable(importlib.import_module(f"bot.commands.{name.replace('-', '_')}").main)


def test_a_demo_line_of_scripts_is_understood(tmp_path: Path):
    """The line scripts use keeps its meaning."""
    line = f"demo --market recorded:{tmp_path} --symbols BTCUSDT --from 2022-01-01 --bars 2000 --speed max --headless"
    args = parse(line.split())
    assert (args.market.folder, args.bars, args.speed, args.headless) == (tmp_path, 2000, float("inf"), True)
    assert args.start.isoformat() == "2022-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("command", "words", "option"),
    [
        ("audit", ["head"], ["--json"]),
        ("bars", ["list"], ["--state", "here"]),
        ("export", ["orders"], ["--format", "csv"]),
        ("features", ["BTCUSDT"], ["--last", "3"]),
        ("fetch", ["BTCUSDT", "ETHUSDT"], ["--since", "2024-01-01"]),
        ("import", [__file__, __file__], ["--symbol", "BTCUSDT"]),
        ("keys", ["list"], ["--state", "here"]),
        ("keys", ["remove", "totp"], ["--passphrase-fd", "0"]),
        ("models", ["list"], ["--json"]),
        ("models", ["promote", "0123456789ab"], ["--state", "here"]),
        ("models", ["rollback"], ["--state", "here"]),
        ("models", ["show"], ["--json"]),
        ("models", ["show", "0123456789ab"], ["--json"]),
    ],
)
def test_options_stand_where_one_likes(command: str, words: list[str], option: list[str]):
    """Before, between and behind the other words they mean the same."""
    read = [parse([command, *words[:k], *option, *words[k:]]) for k in range(len(words) + 1)]
    assert all(one == read[0] for one in read)


def test_every_command_that_takes_words_is_tried_in_every_order():
    """A new command comes into the table above."""
    (table,) = (mark.args[1] for mark in test_options_stand_where_one_likes.pytestmark)
    takes = {name for name, made in _parsers()[1].items() if made._get_positional_actions()}
    assert takes == {command for command, _, _ in table}


def test_help_of_a_command_shows_its_words(capsys: pytest.CaptureFixture[str]):
    """Wherever one asks for it."""
    for line in ("models --help", "models show --help"):
        with pytest.raises(SystemExit) as stop:
            parse(line.split())
        assert stop.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "[--json] [--page FILE] [--state DIR] list|show|promote|rollback [ID]" in said


def test_an_option_before_the_command_is_told_the_order(capsys: pytest.CaptureFixture[str]):
    """Whoever learned it elsewhere reads what to type."""
    with pytest.raises(SystemExit) as stop:
        parse(["--state", "here", "status"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "firstmate run: 'status' is a command and comes first: firstmate status ... (see firstmate run --help)\n"
    )


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]):
    """The codes scripts rely on are where one looks for them."""
    with pytest.raises(SystemExit) as stop:
        parse(["--help"])
    assert stop.value.code == 0
    assert "another firstmate is running" in capsys.readouterr().out


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]):
    """`--version` and the package agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with pytest.raises(SystemExit):
        parse(["--version"])
    assert capsys.readouterr().out == f"firstmate {project['version']}\n"
