"""What can be asked at the desk: answers from the committed state and the store that change nothing."""

from __future__ import annotations

import pytest

from core.domain.errors import BadData
from core.run.questions import CHART_BARS
from tests.run.office import office
from tests.run.samples import bar, seen


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("btc", "BTCUSDT"), ("BTC/USDT", "BTCUSDT"), ("eth-usdt", "ETHUSDT"), ("ETHUSDT", "ETHUSDT"), ("", "BTCUSDT")],
)
async def test_a_symbol_is_understood_however_it_is_written(text, symbol):
    """The owner need not know how the exchange writes it."""
    async with office() as one:
        assert one.desk.symbol(text) == symbol


@pytest.mark.parametrize("text", ["DOGE", "USDT", "/", "btc eth", "₿"])
async def test_an_unknown_symbol_is_answered_with_the_known_ones(text):
    """Nothing is guessed: the owner reads what is watched."""
    async with office() as one:
        with pytest.raises(BadData, match="I watch BTCUSDT, ETHUSDT"):
            one.desk.symbol(text)


async def test_a_chart_ends_with_the_bar_that_was_decided_on():
    """A picture shows what was known then, not what came later."""
    async with office() as one:
        await one.bars.save([bar(hour) for hour in range(200)])
        await one.engine.post(seen(100))
        shown = await one.desk.chart_bars("BTCUSDT", one.desk.decision("BTCUSDT"))
        assert (len(shown), shown[-1]) == (CHART_BARS, bar(100))
        assert (await one.desk.chart_bars("BTCUSDT"))[-1] == bar(100)


async def test_a_chart_without_bars_is_empty():
    """A symbol nothing is known of yet breaks nothing."""
    async with office() as one:
        assert await one.desk.chart_bars("ETHUSDT") == []
        assert one.desk.decision("ETHUSDT") is None


async def test_questions_change_nothing():
    """Whatever is asked, the journal stays as it is."""
    async with office() as one:
        one.desk.overview()
        one.desk.limits()
        one.desk.health()
        await one.desk.trades()
        await one.desk.recent_orders()
        await one.desk.note(5, "/status")
        assert await one.desk.seen(5)
        assert one.since(3) == []
