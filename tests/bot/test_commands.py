"""Every command that can be typed is there."""

from __future__ import annotations

import importlib

import pytest

from bot.cli import _parsers

COMMANDS = sorted(_parsers()[1])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_help_can_be_run(name: str):
    """The list in --help promises nothing that does not exist."""
    assert callable(importlib.import_module(f"bot.commands.{name.replace('-', '_')}").main)
