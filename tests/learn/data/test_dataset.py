"""The rows a model learns from: each is what was known, what was bet and what came of it: core.learn.data.dataset."""

from __future__ import annotations

from array import array
from datetime import timedelta

import numpy as np
import pytest

from core.adapters.columns import Columns
from core.domain.errors import BadData
from core.learn import features, rule
from core.learn.analyst import Analyst
from core.learn.compiled import model_matrix
from core.learn.data.dataset import Dataset, build
from core.learn.data.labels import bets, uniqueness
from core.learn.data.splits import PurgedKFold
from tests.learn.markets import HOUR_MS, recorded, times, walk

HOUR = timedelta(hours=1)


def columns(open_ms: list[int], numbers) -> Columns:
    return Columns("", HOUR_MS, array("q", open_ms), *(array("d", column) for column in numbers))


def market(bars: int = 1500) -> dict[str, Columns]:
    """Three coins: one that rises, one without a trade in every tenth hour, and one that is listed late, goes wild for
    ten hours and is shut for two days."""
    late, wild = times(bars)[200:], walk(bars - 200, 3)
    late[900:] = [at + 48 * HOUR_MS for at in late[900:]]
    wild[1][750:760] = [3 * high for high in wild[1][750:760]]
    return {
        "ETHUSDT": columns(times(bars), walk(bars, 1, drift=0.0005)),
        "BTCUSDT": columns(times(bars), walk(bars, 2, flat_share=0.1)),
        "ADAUSDT": columns(late, wild),
    }


@pytest.fixture(scope="module")
def whole() -> Dataset:
    return build(market(), HOUR, stride=1)


def of_symbol(data: Dataset, symbol: str) -> Dataset:
    return data.take(data.symbol == data.symbols.index(symbol))


def of_bars(bars: Columns) -> tuple[np.ndarray, ...]:
    return np.array(bars.open_ms), *(np.array(column) for column in bars.floats)


def test_a_row_is_the_model_row_of_its_bar_and_the_bet_decided_on_it(whole: Dataset):
    """Features, barriers, outcome and both times belong to the same bar; the times are when its bars had closed."""
    for symbol, bars in market().items():
        series = of_bars(bars)
        at, x = model_matrix({name: of_bars(other) for name, other in market().items()}, HOUR)[symbol]
        made = bets(series, at, x[:, features.MODEL_NAMES.index("atr_share")])
        rows = of_symbol(whole, symbol)
        assert rows.start_ms.tolist() == (series[0][made.at] + HOUR_MS).tolist()
        assert rows.end_ms.tolist() == (series[0][made.end] + HOUR_MS).tolist()
        assert rows.x.tolist() == x[np.isin(at, made.at)].tolist()
        for name in ("outcome", "move", "win", "loss"):
            assert getattr(rows, name).tolist() == getattr(made, name).tolist()


def test_rows_come_by_time_and_symbol_with_weights_of_mean_one(whole: Dataset):
    """The order is the same whatever order the symbols were given in."""
    assert whole.symbols == ("ADAUSDT", "BTCUSDT", "ETHUSDT")
    order = list(zip(whole.start_ms.tolist(), whole.symbol.tolist(), strict=True))
    assert order == sorted(set(order))
    assert whole.weight.mean() == pytest.approx(1.0)
    assert (whole.names, whole.x.shape) == (features.MODEL_NAMES, (len(whole), len(features.MODEL_NAMES)))


def test_weights_are_the_uniqueness_of_the_rows_taken():
    """What is not in the dataset takes no weight from what is."""
    data = build({"BTCUSDT": market()["BTCUSDT"]}, HOUR, stride=8)
    first = (data.start_ms - data.start_ms[0]) // HOUR_MS
    last = (data.end_ms - data.start_ms[0]) // HOUR_MS - 1
    own = uniqueness(first, last)
    assert data.weight.tolist() == pytest.approx((own / own.mean()).tolist())


def live(symbol: str, bars: Columns) -> dict[int, tuple[bool, float, float]]:
    """By close time: whether the rule fired, and win and loss of the bet, when the bars came one by one."""
    analyst, heard = Analyst(symbol, HOUR), {}
    for k, open_ms in enumerate(bars.open_ms):
        fired = analyst.take(open_ms, *bars.numbers(k))
        heard[open_ms + HOUR_MS] = (fired, *rule.barriers(analyst.row[features.AT["atr_share"]]))
    return heard


def assert_as_live(rows: Dataset, heard: dict[int, tuple[bool, float, float]]) -> None:
    found = zip(rows.rule.tolist(), rows.win.tolist(), rows.loss.tolist(), strict=True)
    assert list(found) == [heard[at] for at in rows.start_ms.tolist()]
    assert 0 < rows.rule.sum() < len(rows)


@pytest.mark.parametrize("symbol", ["ETHUSDT", "ADAUSDT"])
def test_the_rule_fires_on_the_bars_it_fires_on_live(whole: Dataset, symbol: str):
    """Bar by bar, behind a hole too: the same bars, and the same stop and target."""
    assert_as_live(of_symbol(whole, symbol), live(symbol, market()[symbol]))


def test_recorded_hours_fire_as_they_did_live():
    """Bitcoin's first 5,000 hours with the long holes of 2018: what the rule waits for is forgotten with them."""
    bars = columns(*recorded("BTCUSDT", 5000))
    assert_as_live(build({"BTCUSDT": bars}, HOUR, stride=1), live("BTCUSDT", bars))


def test_a_bar_too_wild_for_a_stop_has_no_row_and_the_others_keep_theirs(whole: Dataset):
    """Where the stop would lie at nine tenths of the price there is no bet; the hours before and after have theirs."""
    rows = of_symbol(whole, "ADAUSDT")
    assert (rows.loss < 0.9).all()
    assert np.diff(rows.start_ms).max() > 9 * HOUR_MS


def test_a_stride_takes_the_same_bars_of_every_symbol_and_all_hours_of_the_day(whole: Dataset):
    """A quarter of the rows, at times all symbols share; a plain fourth bar would show the same six hours for ever."""
    data = build(market(), HOUR, stride=4)
    assert set(zip(data.start_ms, data.symbol, strict=True)) < set(zip(whole.start_ms, whole.symbol, strict=True))
    assert len(data) == pytest.approx(len(whole) / 4, rel=0.05)
    shared = [set(of_symbol(data, symbol).start_ms.tolist()) for symbol in ("BTCUSDT", "ETHUSDT")]
    assert shared[0] == shared[1]
    assert set((data.start_ms // HOUR_MS % 24).tolist()) == set(range(24))
    assert set(np.diff(sorted(shared[0])) // HOUR_MS) == {3, 4}


def test_more_history_changes_no_row():
    """What was learned from yesterday is still there today, to the last bit: no row knew anything behind its label."""
    early = build({symbol: bars.part(0, 1100) for symbol, bars in market().items()}, HOUR)
    late = build(market(), HOUR)
    places = {key: k for k, key in enumerate(zip(late.start_ms.tolist(), late.symbol.tolist(), strict=True))}
    same = late.take([places[key] for key in zip(early.start_ms.tolist(), early.symbol.tolist(), strict=True)])
    for name in ("x", "outcome", "move", "win", "loss", "rule", "end_ms"):
        assert getattr(early, name).tolist() == getattr(same, name).tolist()


def test_a_part_keeps_what_belongs_together(whole: Dataset):
    """By numbers, by mask or by slice, a row stays one row."""
    mask = np.zeros(len(whole), bool)
    mask[[3, 7]] = True
    for part in (whole.take([3, 7]), whole.take(mask), whole.take(slice(3, 8, 4))):
        assert len(part) == 2
        assert part.x.tolist() == whole.x[[3, 7]].tolist()
        assert part.end_ms.tolist() == whole.end_ms[[3, 7]].tolist()
        assert (part.names, part.symbols) == (whole.names, whole.symbols)


def test_its_times_are_those_the_splits_need(whole: Dataset):
    """Purged by them, no training bet was still running when a test bet was decided."""
    for train, test in PurgedKFold(whole.start_ms, whole.end_ms, 5).split(whole.x):
        before = train[whole.start_ms[train] < whole.start_ms[test].min()]
        assert len(train) > 0
        assert whole.end_ms[before].max(initial=0) < whole.start_ms[test].min()


def test_a_symbol_too_young_for_a_bet_has_no_rows_and_harms_no_other():
    """It is named, so that a model knows of it, and the others learn as before."""
    data = build(market() | {"NEWUSDT": columns(times(50), walk(50, 9))}, HOUR)
    assert (data.symbols[2], np.bincount(data.symbol, minlength=4)[3]) == ("ETHUSDT", 0)


def broken() -> Columns:
    bars = market()["BTCUSDT"]
    bars.low[700] = float("nan")
    return bars


@pytest.mark.parametrize(
    ("bars", "stride", "why"),
    [
        ({}, 4, "no bet can be learned from"),
        ({"BTCUSDT": columns([], [[]] * 5)}, 4, "no bet can be learned from"),
        (
            {"BTCUSDT": columns(times(600), walk(600, 1))},
            4,
            f"{features.WARM_UP} bars to warm up and {rule.HORIZON} more",
        ),
        ({"BTCUSDT": columns(times(800), walk(800, 1))}, 0, "a stride of 0"),
        ({"BTCUSDT": broken()}, 4, "cannot be"),
    ],
)
def test_bars_nothing_can_be_learned_from_are_refused_in_one_line(bars: dict[str, Columns], stride: int, why: str):
    """What is missing, and what to do about it."""
    with pytest.raises(BadData, match=why) as refused:
        build(bars, HOUR, stride)
    assert "\n" not in refused.value.user_text
