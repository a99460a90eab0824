"""What must not be loaded where: memory and start-up time are kept by what is not imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bot.lived import live

ROOT = Path(__file__).resolve().parents[1]
CHAT_AND_MARKET = {"aiogram", "ccxt", "numpy", "pandas"}
RESEARCH = {"numpy", "pandas", "numba", "lightgbm", "matplotlib", "scipy", "sklearn", "ta", "PIL"}


def loaded(code: str, home: Path) -> set[str]:
    """Names of the top packages a fresh Python holds after ``code``."""
    whole = f"import sys\n{code}\nprint('\\nLOADED', *{{name.split('.')[0] for name in sys.modules}})"
    env = {"FIRSTMATE_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", whole], capture_output=True, text=True, env=env, cwd=home, timeout=60, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    assert lines, done.stderr
    return set(lines[-1].split()[1:])


def command(*words: str) -> str:
    """Code that runs one command of the command line, whatever it exits with."""
    return f"from bot.cli import main\ntry:\n    main({list(words)!r})\nexcept SystemExit:\n    pass"


@pytest.mark.parametrize(
    "words", [("--help",), ("doctor",), ("status", "--json"), ("run", "--help"), ("--no-such-flag",)]
)
def test_a_short_answer_loads_neither_chat_nor_market_library(words: tuple[str, ...], tmp_path: Path) -> None:
    """Help, doctor and status answer at once, on the smallest server."""
    assert not loaded(command(*words), tmp_path) & (CHAT_AND_MARKET | RESEARCH)


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("export", "journal", "--format", "json")])
def test_reading_a_state_loads_neither_chat_nor_market_library(words: tuple[str, ...], tmp_path: Path) -> None:
    """Looking at a running assistant costs a small server next to nothing."""
    live(tmp_path / "home", until="protected")
    assert not loaded(command(*words, "--state", str(tmp_path / "home")), tmp_path) & (CHAT_AND_MARKET | RESEARCH)


def test_the_nouns_need_nothing_but_python(tmp_path: Path) -> None:
    """The domain can be read, tested and moved without anything installed."""
    names = loaded("import core.domain.events, core.domain.state", tmp_path)
    outside = {name for name in names if not name.startswith("_")} - set(sys.stdlib_module_names) - {"core"}
    assert not outside & {"msgspec", "aiohttp", "structlog", "aiosqlite", *CHAT_AND_MARKET, *RESEARCH}


def test_the_line_to_the_exchange_loads_no_research_library(tmp_path: Path) -> None:
    """The resident process talks to the market without numpy or pandas."""
    assert not loaded("import core.adapters.binance", tmp_path) & RESEARCH


def test_the_bots_pictures_and_chart_values_load_no_drawing_library(tmp_path: Path) -> None:
    """Drawing is done elsewhere."""
    assert not loaded("import bot.pictures, bot.views.chartspec, bot.views.chartscale", tmp_path) & RESEARCH
