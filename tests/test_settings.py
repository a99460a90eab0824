"""Settings: the example, the defaults and the addresses of a mode; secrets never shown."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.state import Limits
from core.setting_kinds import Hours, Number, Secret, Whole
from core.setting_sources import load
from core.settings import SPECS, STREAMS, Settings, example

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "123456:FAKE-TOKEN-for-tests"


def test_the_exchanges_addresses_follow_the_mode():
    """Testnet never speaks to the real exchange, and a stand-in on this computer brings its own stream."""
    live, testnet = Settings(mode="live"), Settings(mode="testnet")
    assert (live.rest_url, live.user_stream_url) == ("https://api.binance.com", STREAMS["live"])
    assert (testnet.rest_url, testnet.user_stream_url) == ("https://testnet.binance.vision", STREAMS["testnet"])
    here = Settings(mode="testnet", testnet_url="http://127.0.0.1:8080")
    assert here.user_stream_url == "ws://127.0.0.1:8080/ws-api/v3"
    told = Settings(mode="testnet", stream_url="wss://stream.example/ws-api/v3")
    assert told.user_stream_url == "wss://stream.example/ws-api/v3"


def test_a_secret_prints_as_stars_and_is_not_pickled():
    """A settings object can be printed and logged."""
    token = Secret(TOKEN)
    settings = Settings(telegram_token=token)
    assert (token.reveal(), token) == (TOKEN, Secret(TOKEN))
    assert "FAKE" not in f"{settings!r} {token} {token!r}"
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_settings_cannot_be_changed_afterwards():
    """Read once means read once."""
    with pytest.raises(FrozenInstanceError):
        Settings().mode = "live"  # type: ignore[misc]


def test_the_example_file_is_the_one_the_settings_write():
    """`.env.example` cannot fall behind: `python -m core.settings > .env.example` makes it."""
    assert (ROOT / ".env.example").read_text() == example()


def test_the_example_uncommented_gives_the_defaults(tmp_path: Path):
    """Every value shown in the example is one that is accepted."""
    lines = [line.removeprefix("# ") for line in example().splitlines() if line.startswith("# FIRSTMATE_")]
    assert len(lines) == len(SPECS)
    (tmp_path / ".env").write_text("\n".join(lines))
    settings = load({}, {"home": str(tmp_path / "home")}, tmp_path)
    bare = Settings(home=tmp_path / "home")
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
    heavy = {"dotenv", "pydantic", "platformdirs", "numpy"}
    code = f"import sys, core.setting_sources; print(sorted({heavy} & set(sys.modules)))"
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
