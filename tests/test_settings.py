"""Settings: sources in their order, every problem in one line, secrets never shown."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.state import Limits
from core.mode_needs import require_runnable
from core.setting_kinds import Hours, Number, Secret, Whole
from core.settings import (
    FILE_NAME,
    PREFIX,
    SPECS,
    STREAMS,
    Settings,
    SettingsWrong,
    example,
    load,
    remember_mode,
)

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "123456:FAKE-TOKEN-for-tests"


def read(tmp_path: Path, env: dict[str, str] | None = None, **overrides: str) -> Settings:
    """Settings from these variables alone, with state and `.env` under ``tmp_path``."""
    return load(env or {}, {"home": str(tmp_path / "home"), **overrides}, tmp_path)


def problems(tmp_path: Path, env: dict[str, str], **overrides: str) -> list[str]:
    with pytest.raises(SettingsWrong) as caught:
        read(tmp_path, env, **overrides)
    return caught.value.lines


def file(tmp_path: Path, text: str) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / FILE_NAME).write_text(text)


def test_nothing_set_means_the_demo_and_says_that_nothing_was_configured(tmp_path: Path):
    """The very first start needs no configuration at all."""
    settings = read(tmp_path)
    assert (settings.mode, settings.configured) == ("demo", False)
    require_runnable(settings)


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(tmp_path: Path):
    """Three sources, one order."""
    file(tmp_path, 'timeframe = "1d"\nstale_bars = 3\nowner_id = 7\n')
    (tmp_path / ".env").write_text("FIRSTMATE_TIMEFRAME=4h\nFIRSTMATE_STALE_BARS=4\nOTHER=ignored\n")
    settings = read(tmp_path, {"FIRSTMATE_TIMEFRAME": "15m", "PATH": "ignored"})
    assert (settings.timeframe, settings.stale_bars, settings.owner_id) == ("15m", 4, 7)


def test_the_command_line_wins_over_everything(tmp_path: Path):
    """What was just typed is what was meant."""
    assert read(tmp_path, {"FIRSTMATE_MODE": "paper"}, mode="demo").mode == "demo"


def test_an_empty_variable_counts_as_absent(tmp_path: Path):
    """A compose file that passes empty variables changes nothing."""
    assert not read(tmp_path, {"FIRSTMATE_OWNER_ID": "", "FIRSTMATE_SYMBOLS": " "}).configured


def test_the_state_folder_and_the_log_level_are_not_a_configuration(tmp_path: Path):
    """Choosing where state lies still starts the demo."""
    settings = load({"FIRSTMATE_HOME": str(tmp_path / "x"), "FIRSTMATE_LOG_LEVEL": "debug"}, {}, tmp_path)
    assert (settings.mode, settings.configured, settings.home) == ("demo", False, tmp_path / "x")


def test_settings_without_a_mode_never_start_the_demo(tmp_path: Path):
    """Whoever configured something is asked for the mode instead of getting a chat without a login."""
    settings = read(tmp_path, {"FIRSTMATE_TELEGRAM_TOKEN": TOKEN})
    assert settings.mode == "unset"
    with pytest.raises(SettingsWrong, match="no mode"):
        require_runnable(settings)


def test_paper_without_a_token_stops_with_the_fix(tmp_path: Path):
    """A missing token is named together with the command that takes it."""
    with pytest.raises(SettingsWrong) as caught:
        require_runnable(read(tmp_path, {"FIRSTMATE_MODE": "paper"}))
    token_line, owner_line = caught.value.lines
    assert "./run keys set telegram" in token_line
    assert "FIRSTMATE_OWNER_ID" in owner_line


def test_paper_with_token_and_owner_may_start(tmp_path: Path):
    """Token and owner are all paper trading needs."""
    env = {"FIRSTMATE_MODE": "paper", "FIRSTMATE_TELEGRAM_TOKEN": TOKEN, "FIRSTMATE_OWNER_ID": "42"}
    require_runnable(read(tmp_path, env))


def test_the_exchanges_addresses_follow_the_mode(tmp_path: Path):
    """Testnet never speaks to the real exchange, and a stand-in on this computer brings its own stream."""
    live, testnet = read(tmp_path, mode="live"), read(tmp_path, mode="testnet")
    assert (live.rest_url, live.user_stream_url) == ("https://api.binance.com", STREAMS["live"])
    assert (testnet.rest_url, testnet.user_stream_url) == ("https://testnet.binance.vision", STREAMS["testnet"])
    here = read(tmp_path, {"FIRSTMATE_TESTNET_URL": "http://127.0.0.1:8080"}, mode="testnet")
    assert here.user_stream_url == "ws://127.0.0.1:8080/ws-api/v3"
    given = read(tmp_path, {"FIRSTMATE_STREAM_URL": "wss://stream.example/ws-api/v3"}, mode="testnet")
    assert given.user_stream_url == "wss://stream.example/ws-api/v3"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MODE", "lvie"),
        ("SYMBOLS", "BTCUSDT,btc/usdt"),
        ("SYMBOLS", "BTCUSDT,BTCUSDT"),
        ("SYMBOLS", ","),
        ("SYMBOLS", ",".join(f"AAA{n}USDT" for n in range(51))),
        ("TIMEFRAME", "7m"),
        ("HISTORY_BARS", "499"),
        ("HISTORY_BARS", "1e4"),
        ("APPROVE_WINDOW_S", "-1"),
        ("PAPER_CASH", "NaN"),
        ("PAPER_CASH", "1_000"),
        ("PAPER_CASH", "lots"),
        ("TELEGRAM_TOKEN", "not-a-token"),
        ("OWNER_ID", "0"),
        ("OWNER_ID", "@me"),
        ("TELEGRAM_URL", "api.telegram.org"),
        ("EXCHANGE_URL", "https://user:pw@host"),
        ("EXCHANGE_URL", "http://host:99999"),
        ("TESTNET_URL", "testnet.binance.vision"),
        ("STREAM_URL", "https://host/ws-api/v3"),
        ("FIRST_TRADES", "-1"),
        ("FIRST_SHARE", "1.5"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("QUIET_HOURS", "22-7"),
        ("QUIET_HOURS", "22:00-22:00"),
        ("LOG_LEVEL", "loud"),
        ("KELLY_FRACTION", "1.01"),
        ("DAY_LOSS_MAX", "-0.01"),
        ("ORDERS_OPEN_MAX", "0"),
    ],
)
def test_a_bad_value_gets_one_line_with_name_source_and_bounds(tmp_path: Path, variable: str, text: str):
    """A person can mend a setting from the one line alone."""
    (line,) = problems(tmp_path, {f"FIRSTMATE_{variable}": text})
    assert line.startswith(f"FIRSTMATE_{variable} (from the environment)")
    assert SPECS[variable.lower()].metadata["kind"].allowed() in line
    assert "\n" not in line


def test_all_problems_are_told_at_once(tmp_path: Path):
    """Nobody mends settings one start at a time."""
    file(tmp_path, 'approve = "maybe"\n')
    (tmp_path / ".env").write_text("FIRSTMATE_STALE_BARS=none\n")
    lines = problems(tmp_path, {"FIRSTMATE_OWNER_ID": "x"})
    assert len(lines) == 3
    assert [sum(source in line for line in lines) for source in ("environment", "/.env", FILE_NAME)] == [1, 1, 1]


def test_a_misspelt_variable_is_refused_with_the_nearest_name(tmp_path: Path):
    """FIRSTMATE_TELEGRAM_TOKN is not silently ignored."""
    (line,) = problems(tmp_path, {"FIRSTMATE_TELEGRAM_TOKN": TOKEN})
    assert "did you mean FIRSTMATE_TELEGRAM_TOKEN?" in line
    assert TOKEN not in line


def test_a_misspelt_key_in_the_file_is_refused_with_the_nearest_name(tmp_path: Path):
    """The settings file is as strict as the environment."""
    file(tmp_path, 'time_zome = "UTC"\n')
    (line,) = problems(tmp_path, {})
    assert "did you mean time_zone?" in line


def test_a_file_that_is_not_toml_is_one_line(tmp_path: Path):
    """A broken file stops the start, it is not skipped."""
    file(tmp_path, "mode = paper\n")
    (line,) = problems(tmp_path, {})
    assert FILE_NAME in line


def test_a_broken_line_in_dotenv_is_named(tmp_path: Path):
    """A `.env` with a typing error is not half-read."""
    (tmp_path / ".env").write_text("FIRSTMATE_STALE_BARS=2\n=oops 'x\n")
    (line,) = problems(tmp_path, {})
    assert "line 2" in line


def test_numbers_and_lists_may_be_written_as_toml_has_them(tmp_path: Path):
    """In the file 0.1 stays exactly 0.1."""
    file(tmp_path, 'kelly_fraction = 0.1\norders_open_max = 5\nsymbols = ["BTCUSDT", "LINKUSDT"]\n')
    settings = read(tmp_path)
    assert settings.kelly_fraction == Decimal("0.1")
    assert (settings.orders_open_max, settings.symbols) == (5, ("BTCUSDT", "LINKUSDT"))


def test_a_bad_token_is_never_quoted(tmp_path: Path):
    """The line about a token that cannot be one does not show it."""
    (line,) = problems(tmp_path, {"FIRSTMATE_TELEGRAM_TOKEN": "FAKE SECRET for tests"})
    assert "FAKE" not in line


@pytest.mark.parametrize("name", ["API_KEY", "API_SECRET", "TOTP_SEED"])
def test_what_belongs_into_the_vault_is_refused_elsewhere_and_not_quoted(name: str, tmp_path: Path):
    """Whoever still has the key in .env reads where it belongs now."""
    (line,) = problems(tmp_path, {f"FIRSTMATE_{name}": "FAKE-SECRET-for-tests"})
    assert f"FIRSTMATE_{name}" in line
    assert "./run keys set" in line
    assert "FAKE" not in line


def test_a_secret_prints_as_stars_and_is_not_pickled(tmp_path: Path):
    """A settings object can be printed and logged."""
    settings = read(tmp_path, {"FIRSTMATE_TELEGRAM_TOKEN": TOKEN})
    token = settings.telegram_token
    assert token is not None
    assert (token.reveal(), token) == (TOKEN, Secret(TOKEN))
    assert "FAKE" not in f"{settings!r} {token} {token!r}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_settings_cannot_be_changed_afterwards(tmp_path: Path):
    """Read once means read once."""
    with pytest.raises(FrozenInstanceError):
        read(tmp_path).mode = "live"  # type: ignore[misc]


def test_the_mode_is_remembered_and_the_rest_of_the_file_kept(tmp_path: Path):
    """`run --mode paper` once, plain `./run` afterwards."""
    file(tmp_path, '# mine\nmode = "demo"\nstale_bars = 5\n')
    remember_mode(tmp_path / "home", "paper")
    settings = read(tmp_path)
    assert (settings.mode, settings.stale_bars, settings.configured) == ("paper", 5, True)
    assert "# mine" in (tmp_path / "home" / FILE_NAME).read_text()
    assert os.listdir(tmp_path / "home") == [FILE_NAME]


def test_an_unknown_mode_is_not_remembered(tmp_path: Path):
    """A refused mode leaves no file behind."""
    with pytest.raises(SettingsWrong):
        remember_mode(tmp_path, "margin")
    assert os.listdir(tmp_path) == []


def test_the_example_file_is_the_one_the_settings_write():
    """`.env.example` cannot fall behind: `python -m core.settings > .env.example` makes it."""
    assert (ROOT / ".env.example").read_text() == example()


def test_the_example_uncommented_gives_the_defaults(tmp_path: Path):
    """Every value shown in the example is one that is accepted."""
    lines = [line.removeprefix("# ") for line in example().splitlines() if line.startswith("# FIRSTMATE_")]
    assert len(lines) == len(SPECS)
    (tmp_path / ".env").write_text("\n".join(lines))
    settings, bare = read(tmp_path), Settings(home=tmp_path / "home")
    for spec in fields(Settings):
        if spec.name not in ("mode", "configured"):
            assert getattr(settings, spec.name) == getattr(bare, spec.name), spec.name


def test_default_limits_are_those_of_the_machine():
    """The limits a person reads in the example are the ones in force."""
    for spec in fields(Limits):
        if spec.name in SPECS:
            assert SPECS[spec.name].default == getattr(Limits(), spec.name), spec.name


def test_settings_import_nothing_heavy():
    """Reading settings costs no third-party import."""
    code = (
        "import sys, core.settings; print(sorted({'dotenv', 'pydantic', 'platformdirs', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.text(max_size=12))
def test_no_text_crashes_a_number(text: str):
    """Whatever is typed, a number is within its bounds or refused in words."""
    for kind in (Whole(1, 9, "x"), Number(0, 1, "x"), Hours()):
        try:
            value = kind.parse(text)
        except ValueError:
            continue
        assert isinstance(value, str) or kind.low <= value <= kind.high


@given(st.decimals(min_value=0, max_value=1, places=6))
def test_a_share_keeps_every_digit(share: Decimal):
    """Limits are exact decimals: what was written is what is compared."""
    nowhere = Path("/nonexistent")
    assert load({PREFIX + "DRAWDOWN_MAX": f"{share:f}"}, {"home": str(nowhere)}, nowhere).drawdown_max == share


@pytest.mark.parametrize("name", [".env", FILE_NAME])
def test_settings_that_others_may_write_are_not_taken(tmp_path: Path, name: str):
    """Whoever can write them says whom the bot obeys and where the token goes."""
    (tmp_path / "home").mkdir()
    path = tmp_path / ".env" if name == ".env" else tmp_path / "home" / name
    path.write_text("FIRSTMATE_OWNER_ID=666\n" if name == ".env" else "owner_id = 666\n")
    path.chmod(0o606)
    assert [line for line in problems(tmp_path, {}) if str(path) in line and "chmod" in line]
    path.chmod(0o664)  # a group of one's own, as many systems have it
    assert read(tmp_path).owner_id == 666


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of somebody else")
def test_settings_that_somebody_else_put_there_are_not_taken(tmp_path: Path):
    """A folder for everybody, like /tmp, holds whatever anybody left there."""
    (tmp_path / ".env").write_text("FIRSTMATE_OWNER_ID=666\n")
    os.chown(tmp_path / ".env", 12_345, 12_345)
    assert [line for line in problems(tmp_path, {}) if ".env" in line and "somebody else" in line]
    os.chown(tmp_path, 12_345, 12_345)
    assert read(tmp_path).owner_id == 666
