"""The service file: systemd accepts it, and it promises what the runbook relies on."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[1] / "systemd" / "firstmate.service"


def service() -> configparser.SectionProxy:
    """The [Service] section; of a key that stands twice, the last."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read(UNIT)
    return parser["Service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path):
    """A typing error in the unit is found here, not on the server."""
    copy = tmp_path / "firstmate.service"
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.M))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "firstmate.service" in line]
    assert (done.returncode, ours) == (0, [])


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
    assert "MemoryMax" in service()
