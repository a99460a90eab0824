"""What models say of each bar is written down, and settled as the rule's own bets are."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.columns import Columns
from core.adapters.lab_records import SqliteLabRecords
from core.domain.errors import StoreUnusable
from core.domain.market import Bar, from_ms
from core.lab_ports import Bet, Said, Spoken
from core.run import shadow
from core.run.shadow import CHAMPION, Shadow, Tape, ended
from tests.adapters.store_samples import opened
from tests.learn.markets import HOUR_MS, times, walk
from tests.run.fakes import MemoryBars
from tests.run.forecasting import a_model
from tests.run.lab_world import SYMBOLS, WIDTH, batch

HOUR = timedelta(hours=1)
BEGIN = 400_000  # hours since the epoch
BIG = 10**15


class Tapes(MemoryBars):
    """Bars as columns by symbol, handed out in blocks; ``asked`` remembers from when."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: dict[str, Columns] = {}
        self.asked: list[int] = []

    def put(self, symbol: str, count: int, seed: int = 1, begin: int = BEGIN) -> Columns:
        made = Columns(symbol, HOUR_MS)
        for at, *row in zip(times(count, begin * HOUR_MS), *walk(count, seed), strict=True):
            made.append(at, tuple(row))
        self.columns[symbol] = made
        return made

    async def stream_columns(self, symbol, span, since=None):
        whole = self.columns.get(symbol, Columns(symbol, HOUR_MS))
        first = next((k for k, at in enumerate(whole.open_ms) if from_ms(at) >= since), len(whole))
        self.asked.append(first)
        for start in range(first, len(whole), 50):
            yield whole.part(start, min(start + 50, len(whole)))


@pytest.fixture
async def records(tmp_path):
    async with opened(tmp_path, "main") as db:
        yield SqliteLabRecords(db)


@pytest.fixture
def tapes():
    return Tapes()


def spoken(hour: int, symbol: str = "BTCUSDT", horizon: int = 96) -> Spoken:
    bet = Bet(symbol, HOUR_MS, hour * HOUR_MS, 0.06, 0.03, horizon)
    return Spoken(bet, (Said("aaa", CHAMPION, 0.4, 0.3),), b"")


async def flat(blocks) -> list:
    return [one async for block in blocks for one in block]


async def test_what_champion_and_challenger_said_is_kept_with_its_features(records, tapes):
    """A row a symbol, both models' words on it, once written."""
    one = Shadow(records, tapes, HOUR)
    one.heard(batch(BEGIN, "aaa", "bbb"), a_model("bbb"))
    one.heard(batch(BEGIN, "aaa", "bbb"), a_model("bbb"))
    await one.write()
    await one.write()
    rows = await records.rows("bbb", 0, BIG)
    assert [(row.symbol, len(row.x)) for row in rows] == [(symbol, 8 * WIDTH) for symbol in SYMBOLS]
    [bet] = await records.unsettled("BTCUSDT", HOUR_MS, 0, 9)
    assert bet == Bet("BTCUSDT", HOUR_MS, BEGIN * HOUR_MS, 0.06, 0.03, 96)


async def test_what_a_challenger_says_of_a_symbol_it_never_learned_is_not_kept(records, tapes):
    """It is asked beside the champion, which did learn it; a guess is held neither for nor against anybody."""
    one = Shadow(records, tapes, HOUR)
    one.heard(batch(BEGIN, "aaa", "bbb"), a_model("bbb", symbols=("ETHUSDT", "LINKUSDT")))
    await one.write()
    assert [row.symbol for row in await records.rows("aaa", 0, BIG)] == list(SYMBOLS)
    assert [row.symbol for row in await records.rows("bbb", 0, BIG)] == ["ETHUSDT"]


@pytest.mark.parametrize("now", [None, a_model("ccc")])
async def test_the_word_of_a_challenger_that_lost_its_place_meanwhile_is_not_kept(records, tapes, now):
    """What it learned is not at hand any more, and nobody compares it."""
    one = Shadow(records, tapes, HOUR)
    one.heard(batch(BEGIN, "aaa", "bbb"), now)
    await one.write()
    assert len(await records.rows("aaa", 0, BIG)) == len(SYMBOLS)
    assert await records.rows("bbb", 0, BIG) == []


@pytest.mark.parametrize("silent", [batch(BEGIN), batch(BEGIN, failure="slow")])
async def test_the_rule_and_silence_leave_no_record_of_a_model(records, tapes, silent):
    """Nobody is judged for what he did not say."""
    one = Shadow(records, tapes, HOUR)
    one.heard(silent, None)
    await one.write()
    assert await records.waiting() == []


async def test_a_flood_of_batches_takes_bounded_memory(records, tapes, monkeypatch):
    """After a long downtime thousands of bars come at once: the oldest forecasts are let go, and it is logged."""
    monkeypatch.setattr(shadow, "WAITING_MAX", 6)
    one = Shadow(records, tapes, HOUR)
    for hour in range(10):
        one.heard(batch(BEGIN + hour, "aaa"), None)
    await one.write()
    assert [bet.open_ms // HOUR_MS for bet in await records.unsettled("BTCUSDT", HOUR_MS, 0, 99)] == [
        BEGIN + 7, BEGIN + 8, BEGIN + 9
    ]  # fmt: skip


async def test_what_cannot_be_written_now_is_written_later(records, tapes):
    """A full disk loses nothing that was heard."""

    class Full:
        async def keep(self, spoken):
            raise StoreUnusable("the disk is full")

    one = Shadow(Full(), tapes, HOUR)
    one.heard(batch(BEGIN, "aaa"), None)
    with pytest.raises(StoreUnusable):
        await one.write()
    one._records = records
    await one.write()
    assert len(await records.waiting()) == 2


async def test_a_bet_is_settled_when_its_whole_horizon_is_stored_and_not_before(records, tapes):
    """Also where it ended early: else only the quick ones, mostly losses, would be known."""
    await records.keep([spoken(BEGIN)])
    one = Shadow(records, tapes, HOUR)
    tapes.put("BTCUSDT", 96)  # the deciding bar and 95 behind it
    assert await one.settle() == 0
    tapes.put("BTCUSDT", 97)
    assert await one.settle() == 1
    [done] = await flat(records.settled("aaa", 0, BIG))
    assert done.ended_ms < (BEGIN + 96) * HOUR_MS


async def test_a_restart_settles_what_was_left(tmp_path, tapes):
    """What one life wrote the next one settles."""
    tapes.put("BTCUSDT", 300)
    async with opened(tmp_path, "main") as db:
        await SqliteLabRecords(db).keep([spoken(BEGIN + k) for k in range(250)])
    async with opened(tmp_path, "main") as db:
        records = SqliteLabRecords(db)
        assert await Shadow(records, tapes, HOUR).settle() == 300 - 96
        assert await Shadow(records, tapes, HOUR).settle() == 0
        assert (await records.waiting())[0][2] == (BEGIN + 300 - 96) * HOUR_MS


async def test_pages_of_bets_read_only_the_bars_they_need(records, tapes, monkeypatch):
    """A year of bets is settled page by page, each from its own first bar."""
    monkeypatch.setattr(shadow, "PAGE", 100)
    tapes.put("BTCUSDT", 400)
    await records.keep([spoken(BEGIN + k) for k in range(300)])
    assert await Shadow(records, tapes, HOUR).settle() == 300
    assert tapes.asked == [1, 101, 201]


async def test_bets_far_apart_do_not_hold_years_of_bars_at_once(records, tapes, monkeypatch):
    """Two bets with a long pause between them are two pages."""
    monkeypatch.setattr(shadow, "PAGE_BARS", 100)
    tapes.put("BTCUSDT", 700)
    await records.keep([spoken(BEGIN), spoken(BEGIN + 500)])
    assert await Shadow(records, tapes, HOUR).settle() == 2
    assert tapes.asked == [1, 501]


async def test_one_symbol_without_bars_keeps_no_other_waiting(records, tapes):
    """A pair that left the market leaves its bets open, and only those."""
    tapes.put("BTCUSDT", 200)
    await records.keep([spoken(BEGIN), spoken(BEGIN, "AAAUSDT")])
    assert await Shadow(records, tapes, HOUR).settle() == 1
    assert [symbol for symbol, _, _ in await records.waiting()] == ["AAAUSDT"]


async def test_settling_lets_others_work_in_between(records, tapes):
    """A long catch-up is cut into many turns of the loop, whatever the database does meanwhile."""
    tapes.put("BTCUSDT", 1100)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    ends = await Shadow(records, tapes, HOUR)._ended([spoken(BEGIN + k).bet for k in range(1000)])
    task.cancel()
    assert len(ends) == 1000
    assert turns >= 1000 / shadow.OTHERS_EVERY + 1100 / 50 - 2


async def test_bets_that_cannot_be_settled_yet_are_looked_at_once(records, tapes, monkeypatch):
    """Where the oldest still runs, no newer one is over: an hourly look reads one page."""
    monkeypatch.setattr(shadow, "PAGE", 10)
    tapes.put("BTCUSDT", 90)
    await records.keep([spoken(BEGIN + k) for k in range(80)])
    assert await Shadow(records, tapes, HOUR).settle() == 0
    assert tapes.asked == [1]


async def test_what_is_heard_while_writing_is_not_mistaken_for_what_was_written(records, tapes, monkeypatch):
    """Forecasts that push older ones out in the middle of a write are written too."""
    monkeypatch.setattr(shadow, "WAITING_MAX", 4)
    one = Shadow(records, tapes, HOUR)

    class Slow:
        async def keep(self, spoken):
            await records.keep(spoken)
            if one._records is self:
                one._records = records
                one.heard(batch(BEGIN + 2, "aaa"), None)

    one.heard(batch(BEGIN, "aaa"), None)
    one.heard(batch(BEGIN + 1, "aaa"), None)
    one._records = Slow()
    await one.write()
    kept = await records.unsettled("BTCUSDT", HOUR_MS, 0, 9)
    assert [bet.open_ms // HOUR_MS for bet in kept] == [BEGIN, BEGIN + 1, BEGIN + 2]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), atr=st.floats(0.002, 0.05))
def test_outcomes_are_the_labels_a_model_learns_from(seed: int, atr: float):
    """What the record calls a win is what training called one, to the last bit, on any market."""
    labels = pytest.importorskip("core.learn.data.labels", reason="numpy is not installed")
    np = pytest.importorskip("numpy")
    from array import array

    from core.learn.rule import HORIZON, barriers

    count = 250
    columns, at = walk(count, seed, flat_share=0.1), times(count)
    series = (np.asarray(at), *(np.asarray(column) for column in columns))
    theirs = labels.bets(series, np.arange(count), np.full(count, atr))
    tape = Tape(array("q", at), tuple(array("d", column) for column in columns[:4]))
    win, loss = barriers(atr)
    ours = [ended(Bet("BTCUSDT", HOUR_MS, at[k], win, loss, HORIZON), tape) for k in range(count)]
    known = [one for one in ours if one]
    assert [at.index(one.ended_ms) for one in known] == theirs.end.tolist()
    assert [one.outcome for one in known] == theirs.outcome.tolist()
    assert ours[len(known) :] == [None] * (count - len(known))


async def test_bars_with_holes_settle_by_the_bars_there_are(records, tapes):
    """Behind a hole a bet meets the first bar there is."""
    whole = tapes.put("BTCUSDT", 200)
    holed = Columns("BTCUSDT", HOUR_MS)
    for k in [*range(10), *range(40, 200)]:
        holed.append(whole.open_ms[k], whole.numbers(k))
    tapes.columns["BTCUSDT"] = holed
    await records.keep([spoken(BEGIN + 9)])
    assert await Shadow(records, tapes, HOUR).settle() == 1
    [done] = await flat(records.settled("aaa", 0, BIG))
    assert done.ended_ms >= whole.open_ms[40]


async def test_stored_bars_in_decimals_serve_as_well(records):
    """The store of the tests of the shell is enough: prices are floats by the time they are judged."""
    bars, rng = MemoryBars(), random.Random(1)
    for k in range(120):
        price = Decimal(100 + rng.randrange(-3, 4))
        await bars.save([Bar("BTCUSDT", from_ms((BEGIN + k) * HOUR_MS), HOUR, price, price, price, price, price)])
    await records.keep([spoken(BEGIN)])
    assert await Shadow(records, bars, HOUR).settle() == 1
