"""The analysts of all symbols: restored they go on as if they had never stopped, and refuse what does not fit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.adapters.columns import Columns
from core.domain.market import Bar
from core.learn.features import MODEL_NAMES, WARM_UP
from core.learn.rule import MODEL_ID
from core.run import analysts as analysts_module
from core.run.analysts import CORRELATION, CROSS, Analysts, Batch
from core.run.asking import Asking
from tests.run.fakes import MemoryBars
from tests.run.forecasting import LOW, Oracle, P, a_model, the_rule
from tests.run.history import BARS, SYMBOLS
from tests.run.samples import HOUR

WARM = WARM_UP + 1  # the newest bars of the past still lie ahead


@pytest.fixture
def store():
    return MemoryBars()


def analysts(store: MemoryBars, span: timedelta = HOUR, asking: Asking | None = None) -> Analysts:
    return Analysts(SYMBOLS, span, store, 0.7, asking or the_rule())


def hour(n: int) -> list[Bar]:
    """The bars of one hour, a symbol each."""
    return [BARS[symbol][n] for symbol in SYMBOLS]


async def told(all_: Analysts, hours: range) -> list[tuple[object, str]]:
    return [each for n in hours for each in await all_.seen(hour(n))]


def until(n: int | None) -> dict[str, datetime | None]:
    """Each symbol up to its bar of this hour, or to the end."""
    return {symbol: None if n is None else BARS[symbol][n].open_at for symbol in SYMBOLS}


async def stored(store: MemoryBars) -> None:
    for symbol in SYMBOLS:
        await store.save(BARS[symbol])


async def test_restored_they_say_what_they_would_have_said(store):
    """A restart leaves no trace in any forecast."""
    whole, first, thawed = analysts(store), analysts(store), analysts(store)
    await told(whole, range(610))
    await told(first, range(610))
    await first.save()
    await thawed.restore()
    assert [thawed.open_at(symbol) for symbol in SYMBOLS] == [bar.open_at for bar in hour(609)]
    assert await told(thawed, range(610, 630)) == await told(whole, range(610, 630))


async def test_without_a_saved_state_they_begin_with_nothing(store):
    """A first start knows no bar."""
    new = analysts(store)
    await new.restore()
    assert [new.open_at(symbol) for symbol in SYMBOLS] == [None, None, None]
    await new.save()
    assert list(store.folds) == [CORRELATION, CROSS]


@pytest.mark.parametrize("symbol", [*SYMBOLS, CORRELATION, CROSS])
async def test_a_damaged_state_is_forgotten_and_folded_anew(store, symbol):
    """A saved state that cannot be read costs time, not a start."""
    first, thawed = analysts(store), analysts(store)
    await told(first, range(610))
    await first.save()
    version, at, body = store.folds[symbol]
    store.folds[symbol] = (version, at, body[: len(body) // 2])
    await thawed.restore()
    known = {each for each in SYMBOLS if thawed.open_at(each)}
    assert known == set(SYMBOLS) - {symbol}


async def test_a_state_of_another_bar_length_is_not_taken(store):
    """Hours are not minutes: after a change of the bar length everything is folded anew."""
    first, thawed = analysts(store), analysts(store, timedelta(minutes=5))
    await told(first, range(610))
    await first.save()
    await thawed.restore()
    assert {thawed.open_at(symbol) for symbol in SYMBOLS} == {None}


async def test_stored_history_is_folded_up_to_the_asked_bar(store):
    """What the machine has not seen yet is left for it to be told."""
    lived, read = analysts(store), analysts(store)
    await told(lived, range(610))
    await stored(store)
    assert await read.catch_up(store, until(609)) == 610 * len(SYMBOLS)
    assert await read.catch_up(store, until(609)) == 0
    assert await told(read, range(610, 630)) == await told(lived, range(610, 630))


async def test_of_each_history_only_a_part_is_held_at_once(store, monkeypatch):
    """All symbols are folded side by side: with hundreds of them whole stretches would fill the memory."""
    monkeypatch.setattr(analysts_module, "PART", 7)
    held: dict[str, int] = {}
    lived, read = analysts(store), analysts(store)
    await told(lived, range(610))
    await stored(store)
    part = Columns.part

    def counted(columns, start, stop):
        held[columns.symbol] = max(held.get(columns.symbol, 0), stop - start)
        return part(columns, start, stop)

    monkeypatch.setattr(Columns, "part", counted)
    assert await read.catch_up(store, until(609)) == 610 * len(SYMBOLS)
    assert held == dict.fromkeys(SYMBOLS, 7)
    assert await told(read, range(610, 630)) == await told(lived, range(610, 630))


async def test_a_state_that_knows_more_than_the_journal_is_folded_anew(store):
    """Beside a journal from a backup: bars the machine was never told of must be left for it to be told."""
    ahead, lived = analysts(store), analysts(store)
    await told(ahead, range(630))
    await told(lived, range(610))
    await ahead.save()
    thawed = analysts(store)
    await thawed.restore()
    await stored(store)
    assert await thawed.catch_up(store, until(609)) == 610 * len(SYMBOLS)
    assert await told(thawed, range(610, 630)) == await told(lived, range(610, 630))


async def test_stored_history_is_folded_to_its_end_where_nothing_was_told(store):
    """A first start learns from everything there is."""
    read = analysts(store)
    await store.save(BARS["BTCUSDT"])
    assert await read.catch_up(store, until(None)) == len(BARS["BTCUSDT"])
    assert read.open_at("BTCUSDT") == BARS["BTCUSDT"][-1].open_at


@pytest.fixture
def oracle():
    return Oracle()


@pytest.fixture
async def warm(store, oracle):
    """Analysts past their warm-up, nobody but the rule in use."""
    one = analysts(store, asking=Asking(oracle))
    await stored(store)
    await one.catch_up(store, until(WARM - 1))
    return one


TIED = {"BTCUSDT": ("ETHUSDT",), "ETHUSDT": ("BTCUSDT",)}


def twins(n: int) -> list[Bar]:
    """An hour in which two symbols do the same."""
    return [replace(BARS["BTCUSDT"][n], symbol=symbol) for symbol in SYMBOLS[:2]]


async def test_symbols_that_move_together_name_each_other(store):
    """What the symbols share is learned close by close, from history as live."""
    one = analysts(store)
    for n in range(WARM):
        await one.seen(twins(n))
    assert one.peers() == TIED


async def test_who_moves_with_whom_is_known_up_to_the_close_before(store):
    """A close is taken in after its own forecasts, whether or not anybody asked for it in between, and once."""
    lazy, eager = analysts(store), analysts(store)
    for n in range(WARM):
        await lazy.seen(twins(n))
        await eager.seen(twins(n))
        eager.learn()
        eager.learn()
    assert lazy._correlation.between(*SYMBOLS[:2]) == pytest.approx(1.0)
    assert eager._correlation._lanes[1].bars == [WARM - 1.0]  # the first bar has none before it
    assert lazy._correlation._lanes[1].bars == [WARM - 2.0]
    lazy.learn()
    assert lazy._correlation.dump() == eager._correlation.dump()


async def test_after_a_restart_they_still_know_who_moves_with_whom(store):
    """What was saved holds the newest close."""
    first, thawed = analysts(store), analysts(store)
    for n in range(WARM):
        await first.seen(twins(n))
    await first.save()
    await thawed.restore()
    assert thawed.peers() == first.peers() == TIED


async def test_without_a_model_the_rule_forecasts(warm, oracle):
    """Until a model is promoted nobody asks one."""
    said = await told(warm, range(WARM, WARM + 1))
    assert {forecast.model_id for forecast, _ in said} == {MODEL_ID}
    assert oracle.asked == []


async def test_a_model_in_use_forecasts_all_symbols_of_a_close_at_once(warm, oracle):
    """One question a bar close, and each forecast names the model, its chance and the bet that would be made."""
    await warm.use(a_model())
    oracle.low = 0.2
    said = await told(warm, range(WARM, WARM + 1))
    assert [(f.model_id, f.p_win, f.p_low, f.samples, f.fires) for f, _ in said] == [
        ("model:abc", P, 0.2, 1000, True)
    ] * 3
    assert oracle.asked == [3]
    assert not any(forecast.contributions for forecast, _ in said)
    assert all(forecast.win_move == pytest.approx(2 * forecast.loss_move) for forecast, _ in said)


async def test_a_chance_that_could_pay_is_explained(warm, oracle):
    """What spoke for and against stands in the forecast wherever an entry is near."""
    await warm.use(a_model())
    ((first, _), *_) = await told(warm, range(WARM, WARM + 1))
    assert oracle.asked == [3]
    assert [(c.name, c.effect) for c in first.contributions] == [(MODEL_NAMES[0], 1.0)]
    assert first.p_low == LOW


async def test_a_silent_model_is_no_forecast_and_the_rule_does_not_stand_in(warm, oracle):
    """A dead or slow model costs the forecasts of a bar, and says why."""
    await warm.use(a_model())
    oracle.silent = "it did not answer within 5 s"
    assert await told(warm, range(WARM, WARM + 1)) == [(None, "NO_ANSWER: it did not answer within 5 s")] * 3
    oracle.silent = ""
    assert all(forecast for forecast, _ in await told(warm, range(WARM + 1, WARM + 2)))


async def test_asking_that_fails_costs_the_forecasts_and_not_the_bars(warm, oracle):
    """What nobody thought of, such as no process to be had, is no forecast: the bars are folded and must be posted."""
    await warm.use(a_model())
    oracle.broken = BlockingIOError("Resource temporarily unavailable")
    said = await told(warm, range(WARM, WARM + 1))
    assert [forecast for forecast, _ in said] == [None] * 3
    assert all(why.startswith("NO_ANSWER: No forecast") for _, why in said)


async def test_of_a_symbol_it_never_learned_from_a_model_says_nothing(warm, oracle):
    """A coin added today gets a plain sentence, not a guess; the others get forecasts, the record its rows."""
    heard: list[Batch] = []
    warm.listen(heard.append)
    await warm.use(a_model(symbols=("BTCUSDT", "LINKUSDT")))
    (btc, _), (eth, why), (link, _) = await told(warm, range(WARM, WARM + 1))
    assert oracle.asked == [2]
    assert (btc.symbol, eth, link.symbol) == ("BTCUSDT", None, "LINKUSDT")
    assert why == "NOT_LEARNED: The model abc was not trained on ETHUSDT: train anew, with it among the symbols."
    assert list(heard[0].rows) == ["BTCUSDT", "LINKUSDT"]
    await warm.use(a_model(symbols=("ADAUSDT",)))
    said = await told(warm, range(WARM + 1, WARM + 2))
    assert all(why.startswith("NOT_LEARNED") for _, why in said)
    assert oracle.asked == [2]


async def test_what_was_asked_and_answered_is_heard(warm, oracle):
    """Whoever keeps the track record gets rows, answers and forecasts of each close."""
    heard: list[Batch] = []
    warm.listen(heard.append)
    await warm.use(a_model())
    said = await told(warm, range(WARM, WARM + 1))
    (batch,) = heard
    assert batch.open_at == hour(WARM)[0].open_at
    assert list(batch.rows) == list(SYMBOLS)
    assert {len(row) for row in batch.rows.values()} == {len(MODEL_NAMES)}
    assert list(batch.forecasts.values()) == [forecast for forecast, _ in said]
    assert batch.heard.answers is not None


async def test_a_model_that_is_put_away_leaves_the_rule(warm, oracle):
    """Rolled back to nothing, the rule forecasts again."""
    await warm.use(a_model(), a_model("def"))
    assert oracle.used == (a_model().folder, a_model("def").folder)
    await warm.use(None)
    assert oracle.used == (None, None)
    said = await told(warm, range(WARM, WARM + 1))
    assert {forecast.model_id for forecast, _ in said} == {MODEL_ID}


async def test_a_warming_symbol_is_not_asked_about(store, oracle):
    """A model is never shown a row with a hole in it."""
    one = analysts(store, asking=Asking(oracle))
    await one.use(a_model())
    assert all(why.startswith("WARMING_UP") for _, why in await told(one, range(3)))
    assert oracle.asked == []
