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
