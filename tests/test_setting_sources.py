"""Where settings come from: sources in their order, every problem in one line, secrets never quoted."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mode_needs import require_runnable
from core.setting_sources import FILE_NAME, load, remember_mode
from core.settings import PREFIX, SPECS, Settings, SettingsWrong

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
