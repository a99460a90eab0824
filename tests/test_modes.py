"""Each mode under each missing or wrong setting: one line with the fix, and exit code 2."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot import cli
from bot.commands import run
from bot.credentials import Use
from core.adapters import permits
from core.settings import Settings
from tests import vaults

TOKEN = "424242:FAKE-TOKEN-for-tests"
KEY, SECRET = "FAKE-KEY-for-tests", "FAKE-SECRET-for-tests"
WHOLE = {
    "paper": {"TELEGRAM_TOKEN": TOKEN, "OWNER_ID": "77"},
    "testnet": {"TELEGRAM_TOKEN": TOKEN, "OWNER_ID": "77"},
    "live": {"OWNER_ID": "77"},
}
RECORDS = {
    "testnet": vaults.exchange("testnet", KEY, SECRET),
    "live": {**vaults.exchange("live", KEY, SECRET), "telegram": {"token": TOKEN}},
}
ROWS = [
    *[(mode, {"TELEGRAM_TOKEN": ""}, "", ["./run keys set telegram"]) for mode in ("paper", "testnet")],
    ("live", {}, "telegram", ["./run keys set telegram"]),
    ("live", {"TELEGRAM_TOKEN": TOKEN}, "", ["vault alone", "FIRSTMATE_TELEGRAM_TOKEN"]),
    *[(mode, {"OWNER_ID": ""}, "", ["FIRSTMATE_OWNER_ID", "./run pair"]) for mode in WHOLE],
    *[(mode, {"TELEGRAM_TOKEN": "not a token"}, "", ["FIRSTMATE_TELEGRAM_TOKEN", "BotFather"]) for mode in WHOLE],
    *[(m, {}, f"exchange-{m}", [f"./run keys set exchange-{m}", f"Mode {m}"]) for m in ("testnet", "live")],
    *[(m, {"API_KEY": KEY}, "", ["FIRSTMATE_API_KEY", "vault", "keys set exchange"]) for m in ("testnet", "live")],
    ("testnet", {"TESTNET_URL": "http://testnet.example"}, "", ["FIRSTMATE_TESTNET_URL", "https://"]),
    ("live", {"EXCHANGE_URL": "http://api.example"}, "", ["FIRSTMATE_EXCHANGE_URL", "https://"]),
    ("live", {"STREAM_URL": "ws://stream.example/ws-api/v3"}, "", ["FIRSTMATE_STREAM_URL", "wss://"]),
    *[(mode, {"TELEGRAM_URL": "http://chat.example"}, "", ["FIRSTMATE_TELEGRAM_URL", "https://"]) for mode in WHOLE],
    ("live", {"EXCHANGE_URL": "ftp://api.example"}, "", ["FIRSTMATE_EXCHANGE_URL", "https://host"]),
    ("live", {}, "", ["./run go-live", "leave"]),
    ("lvie", {}, "", ["live", "FIRSTMATE_MODE"]),
]


def files(home: Path) -> dict[Path, bytes]:
    """Everything that is written under ``home``."""
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def start(
    home: Path, env: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """Exit code and stderr of `firstmate run` under these settings."""
    monkeypatch.chdir(home)
    for name, value in {"HOME": str(home / "state"), **env}.items():
        monkeypatch.setenv(f"FIRSTMATE_{name}", value)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(home / "credentials"))
    code = cli.main(["run"])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


@pytest.mark.parametrize(("mode", "wrong", "without", "says"), ROWS)
def test_what_is_missing_or_wrong_is_one_line_with_its_fix(
    mode: str,
    wrong: dict[str, str],
    without: str,
    says: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Nothing starts half-configured, nothing is written, and no secret is quoted."""
    kept = {name: fields for name, fields in RECORDS.get(mode, {}).items() if name != without}
    if kept:
        vaults.sealed(tmp_path / "state", kept)
    before = files(tmp_path)
    code, err = start(tmp_path, {"MODE": mode, **WHOLE.get(mode, {}), **wrong}, capsys, monkeypatch)
    assert (code, err.count("\n")) == (2, 1), err
    assert [word for word in says if word not in err] == []
    assert "FAKE" not in err
    assert files(tmp_path) == before


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modes that got past every refusal; nothing is really started."""
    modes: list[str] = []

    def serve(settings: Settings) -> int:
        modes.append(settings.mode)
        return 0

    async def nothing(settings: Settings, live: Settings | None, used: Sequence[Use]) -> int:
        return serve(settings)

    monkeypatch.setattr(run, "_serve", nothing)
    monkeypatch.setattr(run.telemetry, "start", lambda settings: None)  # what it changes would outlive the test
    return modes


def leave(home: Path, key: str, mode: str = "live") -> None:
    """Put what this mode keeps in its vault, and a permit for this key, into the state folder."""
    vaults.sealed(home / "state", RECORDS.get(mode, {}))
    permits.allow(home / "state", permits.Permit(permits.fingerprint(key), "tests", datetime.now(UTC), ()))


@pytest.mark.parametrize("mode", list(WHOLE))
def test_a_whole_configuration_starts(
    mode: str,
    started: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Each mode starts once nothing is missing; live with a permit for its key."""
    leave(tmp_path, KEY, mode)
    assert start(tmp_path, {"MODE": mode, **WHOLE[mode]}, capsys, monkeypatch)[0] == 0
    assert started == [mode]


def test_another_key_needs_another_permit(
    started: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A permit is for the very key that was checked."""
    leave(tmp_path, "FAKE-KEY-of-another-account")
    code, err = start(tmp_path, {"MODE": "live", **WHOLE["live"]}, capsys, monkeypatch)
    assert (code, err.count("\n"), started) == (2, 1, [])
    assert permits.fingerprint(KEY) in err
    assert "./run go-live" in err


@pytest.mark.parametrize("name", ["TESTNET_URL", "STREAM_URL"])
def test_plain_addresses_are_for_this_computer_only(
    name: str,
    started: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """A stand-in on loopback needs no certificate."""
    here = {"TESTNET_URL": "http://127.0.0.1:8080", "STREAM_URL": "ws://localhost:8080/ws-api/v3"}[name]
    leave(tmp_path, KEY, "testnet")
    env = {"MODE": "testnet", **WHOLE["testnet"], "TESTNET_URL": "http://127.0.0.1:8080", name: here}
    assert start(tmp_path, env, capsys, monkeypatch)[0] == 0
    assert started == ["testnet"]
