"""What `firstmate go-live` leaves behind, and how a start of live waits for an answer about its key."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.commands import go_live, run
from core.adapters import permits
from core.adapters.statelock import hold
from core.domain.errors import NeedsOwner, RetryLater
from core.run.vitals import Vitals
from core.setting_sources import remember_mode
from core.settings import Settings
from tests.bot.test_passage import NOW
from tests.run.test_access import WELL, WRONG, watched


def allow_live(home: Path) -> None:
    """Everything that is written for live."""
    permits.allow(home, permits.Permit("a1b2c3", "tests", NOW, ()))
    remember_mode(home, "live")


def test_a_mode_set_elsewhere_that_wins_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody restarts a service and wonders why it is still on paper."""
    monkeypatch.chdir(tmp_path)
    allow_live(tmp_path)
    settings = replace(Settings(), home=tmp_path)
    assert "wins" not in go_live._next_step(settings)
    monkeypatch.setenv("FIRSTMATE_MODE", "paper")
    assert "FIRSTMATE_MODE says paper and wins: set it to live" in go_live._next_step(settings)


def test_a_running_assistant_is_to_be_stopped_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The next step names the process."""
    monkeypatch.chdir(tmp_path)
    allow_live(tmp_path)
    with hold(tmp_path):
        assert f"Stop process {os.getpid()}" in go_live._next_step(replace(Settings(), home=tmp_path))


async def admitted(*answers: Any) -> tuple[int, dict[str, str]]:
    """How often the watchdog was fed until the key was admitted, and what /health showed by then."""
    fed = 0

    def feed() -> None:
        nonlocal fed
        fed += 1

    async with watched(*answers) as (access, _):
        vitals = Vitals()
        vitals.expect("start", 300.0)
        await run._admitted(access, vitals, feed)
        return fed, {check.name: check.text for check in vitals.checks()}


async def test_a_start_without_network_waits_for_the_word_about_its_key(monkeypatch: pytest.MonkeyPatch):
    """It is tried again, the watchdog is fed meanwhile, and /health says what it waits for."""
    monkeypatch.setattr(run, "ADMIT_AGAIN_S", 0.0)
    fed, health = await admitted(RetryLater("no network"), RetryLater("no network"), WELL)
    assert fed == 2
    assert "no network" in health["start"]


async def test_a_start_with_a_wrong_key_ends_at_once():
    """Waiting does not mend a key."""
    with pytest.raises(NeedsOwner, match="enableWithdrawals"):
        await admitted(WRONG)
