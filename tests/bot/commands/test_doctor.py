"""doctor: every lack with its fix, and no secret shown."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.commands import doctor
from core.adapters import permits
from core.adapters.migrate import migrate
from core.adapters.vault import Unlock, create_vault
from core.setting_kinds import Secret
from core.settings import Settings
from tests import vaults

BAD_MODE = ["FIRSTMATE_MODE: wrong"]


def found(home: Path, problems: list[str] | None = None, **values: object) -> dict[str, doctor.Check]:
    """The checks by name."""
    settings = Settings(home=home, **{"mode": "demo", **values})  # type: ignore[arg-type]
    return {check.name: check for check in doctor.examine(settings, problems or [])}


def test_an_empty_machine_may_start_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With nothing configured nothing stands in the way."""
    code = doctor.main(Namespace(json=False, problems=[]), Settings(home=tmp_path / "home", mode="demo"))
    assert code == 0
    assert "Nothing stands in the way" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A script can read every verdict."""
    doctor.main(Namespace(json=True, problems=[]), Settings(home=tmp_path, mode="demo"))
    rows = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in rows} <= {"OK", "WARN", "FAIL"}
    assert {"python", "packages", "openmp", "settings", "disk", "clock"} <= {row["name"] for row in rows}


def test_refused_settings_fail_and_are_named_to_be_mended_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The last line says where to begin."""
    code = doctor.main(Namespace(json=False, problems=BAD_MODE), Settings(home=tmp_path))
    assert code == 1
    assert capsys.readouterr().out.strip().endswith("To mend first: settings.")


def test_a_missing_token_is_told_with_its_fix(tmp_path: Path):
    """Paper trading without a token cannot start, and doctor says why."""
    check = found(tmp_path, mode="paper", configured=True)["settings"]
    assert check.verdict == "FAIL"
    assert "./run keys set telegram" in check.fix


def test_the_token_is_present_but_never_shown(tmp_path: Path):
    """doctor's output can be pasted anywhere."""
    values = {"mode": "paper", "owner_id": 42, "telegram_token": Secret("1:FAKE-TOKEN-for-tests"), "configured": True}
    checks = found(tmp_path, **values)
    assert (checks["settings"].verdict, "present" in checks["settings"].found) == ("OK", True)
    assert "FAKE" not in repr(checks)


@pytest.mark.parametrize(("key", "verdict"), [("FAKE-KEY-for-tests", "OK"), ("FAKE-OTHER-key-for-tests", "FAIL")])
def test_live_needs_a_leave_for_its_very_key(tmp_path: Path, key: str, verdict: str):
    """doctor tells beforehand what the start would refuse, and shows neither half of the key."""
    allowed = permits.Permit(permits.fingerprint("FAKE-KEY-for-tests"), "tests", datetime.now(UTC), ())
    assert found(tmp_path, mode="live")["leave"].verdict == "FAIL"
    permits.allow(tmp_path, allowed)
    checks = found(tmp_path, mode="live", api_key=Secret(key), api_secret=Secret("FAKE-SECRET-for-tests"))
    assert (checks["leave"].verdict, "go-live" in checks["leave"].fix) == (verdict, verdict == "FAIL")
    assert "exchange key present" in checks["settings"].found
    assert "FAKE" not in repr(checks)


def test_a_vault_is_opened_where_nobody_needs_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the service manager's credential doctor sees the token; without it the vault is locked, and that is said."""
    env = vaults.sealed(tmp_path / "home", {"telegram": {"token": "1:FAKE-TOKEN-for-tests-FAKE-TOKEN-for-tests"}})
    values = {"mode": "paper", "owner_id": 42, "configured": True}
    locked = found(tmp_path / "home", **values)["vault"]
    assert (locked.verdict, "locked" in locked.found) == ("WARN", True)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", env["CREDENTIALS_DIRECTORY"])
    checks = found(tmp_path / "home", **values)
    assert (checks["vault"].verdict, "telegram" in checks["vault"].found) == ("OK", True)
    assert "bot token present" in checks["settings"].found
    assert "FAKE" not in repr(checks)


def test_a_vault_that_was_changed_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """doctor says so before a start does."""
    env = vaults.sealed(tmp_path / "home", {"telegram": {"token": "1:FAKE-TOKEN-for-tests-FAKE-TOKEN-for-tests"}})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", env["CREDENTIALS_DIRECTORY"])
    path = tmp_path / "home" / "vault.sealed"
    path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:])
    assert found(tmp_path / "home", mode="paper")["vault"].verdict == "FAIL"


def test_a_vault_weakened_fails_like_one_that_was_changed(tmp_path: Path):
    """A passphrase made cheap to guess stands in the way of a start; it is no mere lock."""
    home = tmp_path / "home"
    create_vault(home, Unlock(), "passphrase", "file", Secret("FAKE five words for tests"))
    path = home / "vault.sealed"
    path.write_bytes(re.sub(rb'"memory_kib":\d+', b'"memory_kib":1024', path.read_bytes()))
    weakened = found(home, mode="paper", owner_id=42)["vault"]
    assert (weakened.verdict, "less than firstmate allows" in weakened.fix) == ("FAIL", True)


def test_a_vault_whose_file_is_gone_is_told(tmp_path: Path):
    """Its mark is still there, so this is no machine without a vault."""
    home = tmp_path / "home"
    vaults.sealed(home, {"telegram": {"token": "1:FAKE-TOKEN-for-tests-FAKE-TOKEN-for-tests"}})
    (home / "vault.sealed").unlink()
    gone = found(home, mode="paper", owner_id=42)["vault"]
    assert (gone.verdict, "vault.sealed" in gone.fix) == ("WARN", True)


def test_behind_a_locked_vault_a_missing_owner_is_still_told(tmp_path: Path):
    """What can be known without the passphrase is said: the mode, and whether anybody is obeyed."""
    vaults.sealed(tmp_path / "home", {"telegram": {"token": "1:FAKE-TOKEN-for-tests-FAKE-TOKEN-for-tests"}})
    check = found(tmp_path / "home", mode="paper", configured=True)["settings"]
    assert (check.verdict, "mode paper" in check.found, "./run pair" in check.fix) == ("FAIL", True, True)
    known = found(tmp_path / "home", mode="paper", configured=True, owner_id=42)["settings"]
    assert (known.verdict, known.fix) == ("OK", "")


def test_a_token_in_clear_beside_real_money_is_told_whether_the_vault_opens_or_not(tmp_path: Path):
    """The start would refuse it either way."""
    vaults.sealed(tmp_path / "home", {"telegram": {"token": "1:FAKE-TOKEN-for-tests-FAKE-TOKEN-for-tests"}})
    values = {"mode": "live", "owner_id": 42, "telegram_token": Secret("1:FAKE-TOKEN-for-tests"), "configured": True}
    for home in (tmp_path / "home", tmp_path / "none"):
        check = found(home, **values)["token"]
        assert (check.verdict, "FIRSTMATE_TELEGRAM_TOKEN" in check.fix) == ("FAIL", True)


def test_what_is_to_be_mended_first_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Two settings that are wrong are one place to look at."""
    doctor.main(Namespace(json=False, problems=BAD_MODE * 2), Settings(home=tmp_path))
    assert capsys.readouterr().out.strip().endswith("To mend first: settings.")


def test_an_old_python_fails():
    """3.10 is told to be too old, and 3.14 to be too new."""
    assert [doctor.python_version((3, minor, 0)).verdict for minor in (10, 11, 13, 14)] == ["FAIL", "OK", "OK", "FAIL"]


def test_packages_are_compared_with_the_lock(tmp_path: Path):
    """A lock that changed since the installation is seen."""
    lock, prefix = tmp_path / "requirements.lock", tmp_path / "venv"
    prefix.mkdir()
    assert doctor.packages(tmp_path, prefix).found == "installed as a package"
    lock.write_text("a==1\n")
    assert "not installed by ./run" in doctor.packages(tmp_path, prefix).found
    (prefix / "installed-requirements.lock").write_text(hashlib.sha256(b"a==1\n").hexdigest() + "\n/python\n/root\n")
    assert doctor.packages(tmp_path, prefix).verdict == "OK"
    lock.write_text("a==2\n")
    assert "changed" in doctor.packages(tmp_path, prefix).found


def test_a_database_that_is_none_fails(tmp_path: Path):
    """A damaged database is found in its mode's folder before the start finds it."""
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "firstmate.db").write_bytes(b"this is no database, only text that is long enough" * 40)
    check = next(check for check in doctor.databases(tmp_path) if check.verdict == "FAIL")
    assert check.found == "paper/firstmate.db cannot be used"


def test_every_modes_databases_are_checked(tmp_path: Path):
    """Demo and paper each have two; what was put aside is not looked at."""
    for mode in ("demo", "paper", "demo.1"):
        (tmp_path / mode).mkdir()
        migrate(tmp_path / mode / "firstmate.db", "main")
    found = [check.found.partition(":")[0] for check in doctor.databases(tmp_path)]
    assert found == ["demo/firstmate.db", "demo/bars.db", "paper/firstmate.db", "paper/bars.db"]


def test_a_database_from_the_future_fails(tmp_path: Path):
    """A newer version's database is told apart from a damaged one by its sentence."""
    path = tmp_path / "firstmate.db"
    migrate(path, "main")
    assert doctor.database("demo", path, "main").verdict == "OK"
    with sqlite3.connect(path) as con:
        con.execute("INSERT INTO schema_migrations VALUES (9999, 'future', 'x', 0)")
    con.close()
    check = doctor.database("demo", path, "main")
    assert check.verdict == "FAIL"
    assert "newer" in check.fix


def test_a_state_folder_others_can_read_is_a_warning(tmp_path: Path):
    """The journal is nobody else's business."""
    tmp_path.chmod(0o755)
    assert doctor.state_folder(tmp_path).verdict == "WARN"
    tmp_path.chmod(0o700)
    assert doctor.state_folder(tmp_path).verdict == "OK"


def test_a_dotenv_others_can_read_is_a_warning(tmp_path: Path):
    """The token in .env is for its owner."""
    path = tmp_path / ".env"
    path.write_text("")
    path.chmod(0o644)
    assert doctor.dotenv_private(path).fix == f"chmod 600 {path}"
    path.chmod(0o600)
    assert doctor.dotenv_private(path).verdict == "OK"


def test_a_clock_far_in_the_past_fails(tmp_path: Path):
    """A machine without a battery clock is found out before the exchange refuses its orders."""
    assert doctor.clock(tmp_path, 0.0).verdict == "FAIL"


def test_a_clock_behind_the_state_is_a_warning(tmp_path: Path):
    """State written tomorrow means that the clock went back."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "firstmate.db").write_text("")
    os.utime(tmp_path / "demo" / "firstmate.db", (2e9, 2e9))
    assert doctor.clock(tmp_path, 1.9e9).verdict == "WARN"
    assert doctor.clock(tmp_path, 2e9).verdict == "OK"
