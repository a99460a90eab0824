"""The service file: systemd accepts it, and it promises what the runbook relies on."""

from __future__ import annotations

import configparser
import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.grammar import parse

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "systemd" / "firstmate.service"


def service() -> configparser.SectionProxy:
    """The [Service] section; of a key that stands twice, the last."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    return parser["Service"]


def by_hand() -> dict[str, str]:
    """What the runbook's `fm` sets for a command that is run for the service by hand, variables by their own names."""
    recipe = re.search(r"^fm\(\) \{(.+?)\n?; \}$", (ROOT / "docs" / "operations.md").read_text(), re.M | re.S)
    assert recipe is not None
    words = shlex.split(recipe[1])
    given = [value for flag, value in itertools.pairwise(words) if flag in ("-p", "-E")]
    return dict(value.split("=", 1) for value in given)


def verified(unit: Path) -> tuple[int, list[str]]:
    """systemd's exit code for a unit, and what it says about it."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    return done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path):
    """A typing error in the unit is found here, not on the server."""
    copy = tmp_path / "firstmate.service"
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.M))
    assert verified(copy) == (0, [])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_what_a_command_by_hand_is_given(tmp_path: Path):
    """A typing error in the runbook is found here, too."""
    lines = [f"{name}={value}" for name, value in by_hand().items() if not re.fullmatch("[A-Z_0-9]+", name)]
    unit = tmp_path / "by-hand.service"
    unit.write_text("\n".join(["[Service]", "ExecStart=/bin/true", *lines]))
    assert len(lines) > 5
    assert verified(unit) == (0, [])


def test_a_command_by_hand_is_the_service_in_its_own_folder_with_its_own_key():
    """Nothing of the service's is read or written as root, and what is written by hand can be read by the service."""
    given, unit = by_hand(), service()
    same = ("DynamicUser", "User", "StateDirectory", "StateDirectoryMode", "UMask", "LimitCORE")
    assert {name: given[name] for name in same} == {name: unit[name] for name in same}
    assert (given["DynamicUser"], given["User"]) == ("yes", "firstmate")
    assert given["EnvironmentFile"] == unit["EnvironmentFile"].removeprefix("-")
    assert given["LoadCredentialEncrypted"] == unit["LoadCredentialEncrypted"]
    folder = unit["WorkingDirectory"].replace("%S", "/var/lib")
    assert given["WorkingDirectory"] == given["FIRSTMATE_HOME"] == folder
    assert f"FIRSTMATE_HOME={unit['WorkingDirectory']}" in unit["Environment"]


def test_the_watchdog_is_on_and_readiness_is_told():
    """systemd restarts a trading loop that stands still."""
    assert service()["Type"] == "notify"
    assert int(service()["WatchdogSec"]) == 60


def test_what_only_the_owner_can_mend_is_not_restarted():
    """Wrong settings, a second instance, an unusable database: the codes of `firstmate --help`."""
    assert service()["RestartPreventExitStatus"].split() == ["2", "3", "4"]
    assert service()["Restart"] == "on-failure"


def test_the_service_can_write_its_state_and_nothing_else():
    """A flaw in the assistant does not open the machine."""
    found = {key: service()[key] for key in ("ProtectSystem", "ProtectHome", "NoNewPrivileges", "StateDirectoryMode")}
    assert list(found.values()) == ["strict", "yes", "yes", "0700"]


def test_a_training_has_room_beside_the_assistant_and_cannot_end_it():
    """There is what it may hold and a quarter as much for all others; the end of one process is not the end of all."""
    train = parse(["train"]).memory << 20
    high, most = (_bytes(service()[name]) for name in ("MemoryHigh", "MemoryMax"))
    assert train * 1.25 <= high < most
    assert service()["OOMPolicy"] == "continue"


def _bytes(said: str) -> int:
    return int(said[:-1]) << {"M": 20, "G": 30}[said[-1]]
