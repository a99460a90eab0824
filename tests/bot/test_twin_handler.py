"""/twin in the chat: one message, whether a twin runs or not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.run.difference import Comparison, Difference, summary
from tests.bot.fakes import START, office
from tests.bot.phones import phone

ROW = Difference("BTCUSDT", "BTCUSDT-1", START, Decimal("100.1"), Decimal(100), entry_slippage_bps=Decimal(10))


@pytest.mark.parametrize("mode", ["demo", "paper"])
async def test_where_no_twin_runs_one_line_says_so(mode: str):
    """Nobody waits for a comparison that cannot come."""
    async with office(mode=mode) as there:
        (answer,) = await phone(there).say("/twin")
    assert answer.startswith(f"No paper twin runs in {mode} mode")
    assert "\n" not in answer


async def test_the_comparison_comes_in_one_message():
    """The summary and the newest trades, as they are at that moment."""
    rows: list[Difference] = []

    async def compare() -> Comparison:
        return Comparison(START, tuple(rows), summary(rows))

    async with office(mode="live") as there:
        hand = phone(there)
        hand.dispatcher["twin"] = compare
        (before,) = await hand.say("/twin")
        rows.append(ROW)
        (after,) = await hand.say("/twin")
    assert "nothing was bought on either side yet" in before
    assert "1 trade on both sides" in after
    assert "in 100.1 (paper 100): 10.0 bp worse" in after
