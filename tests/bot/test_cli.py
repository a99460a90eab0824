"""The command line: one line for what is wrong, documented exit codes, nothing heavy imported."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import cli
from core.domain.errors import AlreadyRunning, RetryLater, StoreUnusable
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"aiogram", "ccxt", "numpy", "pandas", "PIL", "aiohttp", "pydantic", "lightgbm", "numba", "matplotlib"}
Body = Callable[[Namespace, Settings], int]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own folder and no setting of the machine it runs on."""
    for name in [name for name in os.environ if name.startswith("FIRSTMATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTMATE_HOME", str(tmp_path / "home"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Body], None]:
    """Puts a body in the place of a command."""

    def put(name: str, body: Body) -> None:
        module = types.ModuleType(f"bot.commands.{name}")
        module.main = body  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that these arguments get, together with exit code 2."""
    try:
        code = cli.main(argv)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["stauts"], "did you mean 'status'?"),
        (["demo", "--spede", "3"], "did you mean '--speed'?"),
        (["demo", "--bars", "0"], "from 1 to 10000000"),
        (["demo", "--bars", "many"], "--bars"),
        (["demo", "--speed", "-1"], "--speed"),
        (["demo", "--speed", "nan"], "--speed"),
        (["demo", "--from", "yesterday"], "2022-01-01"),
        (["demo", "--from", "1970-01-01"], "outside"),
        (["demo", "--from", "9999-12-31T23:59-20:00"], "--from"),
        (["demo", "--market", "recorded:/no/such/folder"], "there is no folder"),
        (["demo", "--market", "live"], "recorded:DIR"),
        (["demo", "--timeframe", "2h"], "--timeframe"),
        (["demo", "--symbols", "btc"], "--symbols: 'btc' is not usable"),
        (["demo", "--seed", "-1"], "--seed"),
        (["demo", "--approve", "yes"], "--approve"),
        (["run", "--mode", "margin"], "--mode"),
        (["exchange", "--port", "65536"], "from 0 to 65535"),
        (["export", "coins", "--format", "csv"], "orders"),
        (["export", "orders"], "--format"),
        (["export", "orders", "--format", "xml"], "--format"),
        (["import"], "FILE"),
        (["import", "no-such-file.csv"], "there is no file"),
        (["fetch", "BTCUSDT"], "--since"),
        (["fetch", "btc/usdt", "--since", "2024-01-01"], "BTCUSDT"),
        (["bars", "lst"], "list"),
        (["status", "--state", "/etc/hostname"], "is not a folder"),
        (["status", "--js"], "unknown argument"),
    ],
)
def test_what_is_wrong_gets_one_line_and_exit_2(argv: list[str], named: str, capsys: pytest.CaptureFixture[str]):
    """Whoever mistypes is told what, in one line."""
    assert named in refused(argv, capsys)


def test_a_wrong_setting_stops_every_command_but_doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Nothing starts on settings that were only half understood."""
    monkeypatch.setenv("FIRSTMATE_STALE_BARS", "none")
    assert "FIRSTMATE_STALE_BARS" in refused(["status"], capsys)
    assert cli.main(["doctor"]) == 1
    assert "FIRSTMATE_STALE_BARS" in capsys.readouterr().out


def test_no_command_is_run(command: Callable[[str, Body], None]):
    """`./run` starts the assistant, also with flags alone."""
    seen: list[str | None] = []
    command("run", lambda args, settings: seen.append(settings.mode) or 0)
    assert [cli.main([]), cli.main(["--mode", "paper"])] == [0, 0]
    assert seen == ["demo", "paper"]


def test_flags_overrule_settings(command: Callable[[str, Body], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What is typed wins, and a demo is a demo whatever mode is configured."""
    monkeypatch.setenv("FIRSTMATE_MODE", "paper")
    monkeypatch.setenv("FIRSTMATE_SYMBOLS", "BNBUSDT")
    seen: list[Settings] = []
    command("demo", lambda args, settings: seen.append(settings) or 0)
    cli.main(["demo", "--symbols", "BTCUSDT,ETHUSDT", "--approve", "auto", "--state", str(tmp_path / "other")])
    (settings,) = seen
    assert (settings.mode, settings.symbols, settings.approve) == ("demo", ("BTCUSDT", "ETHUSDT"), "auto")
    assert settings.home == tmp_path / "other"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AlreadyRunning("taken"), 3),
        (StoreUnusable("damaged"), 4),
        (RetryLater("no network"), 5),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 4),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(
    command: Callable[[str, Body], None], capsys: pytest.CaptureFixture[str], error: BaseException, code: int
):
    """Scripts can tell by the code what to do next."""

    def fail(args: Namespace, settings: Settings) -> int:
        raise error

    command("status", fail)
    assert cli.main(["status"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unforeseen_error_is_one_line_without_the_token(
    command: Callable[[str, Body], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """A crash shows neither a traceback nor the token that was in the failing address."""
    monkeypatch.setenv("FIRSTMATE_TELEGRAM_TOKEN", "123456:FAKE-TOKEN-for-tests")

    def fail(args: Namespace, settings: Settings) -> int:
        raise KeyError("https://api/bot123456:FAKE-TOKEN-for-tests/getMe")

    command("status", fail)
    assert cli.main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "KeyError" in err
    assert "FIRSTMATE_LOG_LEVEL=debug" in err
    assert "FAKE" not in err


def test_a_reader_that_goes_away_is_no_traceback():
    """`firstmate export … | head` ends quietly."""
    script = f"{sys.executable} -m bot doctor --json | true"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("argv", [["--help"], ["doctor"], ["status"], ["demo", "--help"]])
def test_light_commands_import_nothing_heavy(argv: list[str], tmp_path: Path):
    """Help, doctor and status answer at once because the heavy libraries stay out."""
    code = (
        "import sys\nfrom bot.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    env = {"PATH": os.environ["PATH"], "FIRSTMATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
