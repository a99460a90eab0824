"""The market that was asked for, opened: bot.markets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.arguments import MarketChoice
from bot.markets import RECORDED_HISTORY, SEEDED_START, open_market
from core.settings import Settings

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = Settings(home=Path("nowhere"), symbols=("BTCUSDT",))


def record(folder: Path, bars: int) -> MarketChoice:
    """A folder with so many hours of one price."""
    lines = ["timestamp,open,high,low,close,volume"]
    lines += [f"{int((FIRST + k * HOUR).timestamp() * 1000)},100,101,99,100,5" for k in range(bars)]
    (folder / "binance_BTCUSDT_1h.csv").write_text("\n".join(lines) + "\n")
    return MarketChoice("recorded", folder)


def test_a_seed_always_means_the_same_start():
    """Without a date a made-up market begins where it always does."""
    assert open_market(MarketChoice("seeded"), SETTINGS, None, 1)[1] == SEEDED_START


@pytest.mark.parametrize(
    ("bars", "behind"), [(RECORDED_HISTORY + 500, RECORDED_HISTORY), (RECORDED_HISTORY, 500), (24, 12)]
)
def test_a_record_starts_with_history_behind_it(tmp_path: Path, bars: int, behind: int):
    """A long record starts after 1,000 bars, a shorter one, a single day of a dump say, in its middle."""
    assert open_market(record(tmp_path, bars), SETTINGS, None, 1)[1] == FIRST + behind * HOUR


def test_a_date_that_was_given_is_kept(tmp_path: Path):
    """Whoever names the start gets it."""
    asked = FIRST + 30 * HOUR
    assert open_market(record(tmp_path, 50), SETTINGS, asked, 1)[1] == asked
