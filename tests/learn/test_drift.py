"""Drift: silent in the market's seasons, loud where data or forecasts are not what they were."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.lab_ports import Bet, Settled
from core.learn import drift, features, rule
from core.learn.cross import Cross
from core.learn.drift import Grid, Level, Shift
from core.learn.record import Tally
from core.run.shadow import Tape, ended
from tests.learn.markets import HOUR_MS, recorded

LEVELS = 20
DAY_MS = 24 * HOUR_MS


def grid(count: int, symbols: int = 1) -> Grid:
    return Grid([f"S{k % symbols}" for k in range(count)], [k // symbols * HOUR_MS for k in range(count)])


def quantiles(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[round(k / LEVELS * (len(ordered) - 1))] for k in range(LEVELS + 1)]


def drawn(count: int, mean: float = 0.0, spread: float = 1.0, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [rng.gauss(mean, spread) for _ in range(count)]


def walk(count: int, seed: int) -> list[float]:
    """A feature that hardly changes from bar to bar, around zero, never far from it."""
    rng, x, out = random.Random(seed), 0.0, []
    for _ in range(count):
        x = 0.995 * x + rng.gauss(0, 0.1)
        out.append(x)
    return out


def shift(live: Sequence[float], then: Sequence[float]) -> Shift:
    return drift.shift("x", quantiles(then), live, grid(len(live)))


THEN = drawn(20_000, seed=9)


def test_rows_like_those_of_training_have_not_moved():
    """Small numbers where nothing happened."""
    one = shift(drawn(600), THEN)
    assert one.psi < 0.1
    assert one.distance < 0.06
    assert not one.moved


@pytest.mark.parametrize("live", [drawn(600, 1.0), drawn(600, 0.0, 4.0), drawn(600, 0.0, 0.2)])
def test_another_place_or_scale_has_moved(live: list[float]):
    """Up, wider or narrower: each is seen."""
    assert shift(live, THEN).moved


def test_the_psi_is_the_one_of_the_books():
    """Half the rows in the lower half of training's bins at twice their share, none in the others."""
    one = drift.shift("x", [0.0, 1.0, 2.0], [0.5, 0.6, 1.5, 0.7], grid(4))
    expected = (0.75 - 0.5) * 0.4054651081 + (0.25 - 0.5) * -0.6931471806
    assert one.psi == pytest.approx(expected)
    assert one.distance == pytest.approx(0.25)


def test_the_distance_agrees_with_scipy():
    """Kolmogorov and Smirnov's distance, as far as the quantiles of training are fine enough to see it."""
    stats = pytest.importorskip("scipy.stats", reason="the judge is not installed")
    live = drawn(400, 0.5)
    theirs = stats.ks_2samp(live, THEN).statistic
    assert shift(live, THEN).distance == pytest.approx(theirs, abs=1 / LEVELS)
    assert shift(live, THEN).distance <= theirs + 1e-3


def test_a_slow_feature_is_worth_few_rows_and_does_not_cry_wolf():
    """Its PSI says 'shifted' in most months; the rows it has say that nobody can know."""
    then = walk(60_000, 1)
    months = [shift(then[k : k + 672], then) for k in range(0, 20_000, 672)]
    assert sum(one.psi > drift.PSI_SHIFTED for one in months) > len(months) / 2
    assert sum(one.moved for one in months) <= 1
    assert max(one.effective for one in months) < 60


def test_pairs_that_show_the_same_are_one_row():
    """Eight pairs with one value at each bar close are no eight rows."""
    values = [x for x in drawn(200) for _ in range(8)]
    assert grid(1600, 8).worth(values) == pytest.approx(200, rel=0.25)
    assert grid(1600, 8).worth(drawn(1600)) > 1000


def test_a_feature_that_stands_still_is_one_row():
    """One pair alone has a rank of a half for ever: that is no drift."""
    one = shift([0.5] * 500, drawn(1000, 0.5, 0.3))
    assert one.effective == 1.0
    assert not one.moved


@settings(max_examples=60)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=80), st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=30))
def test_numbers_stay_in_their_ranges_whatever_comes(live: list[float], then: list[float]):
    """No market breaks the arithmetic; equal quantiles neither."""
    one = drift.shift("x", sorted(then), live, grid(len(live)))
    assert one.psi >= 0
    assert 0 <= one.distance <= 1
    assert 0 <= one.outside <= 1
    assert 1 <= one.effective <= len(live)


def still(count: int) -> list[Shift]:
    return [Shift(f"f{k}", 0.05, 0.05, 100.0, 0.0) for k in range(count)]


def moved(count: int, sure: float = 2.0) -> list[Shift]:
    return [Shift(f"m{k}", 0.6, sure / 10, 100.0, 0.0) for k in range(count)]


@pytest.mark.parametrize(
    ("shifts", "level"),
    [
        (still(39), Level.NONE),
        (still(37) + moved(2), Level.NONE),
        (still(34) + moved(5), Level.WARN),
        (still(20) + moved(19), Level.REDUCE),
        (still(38) + moved(1, 4.0), Level.REDUCE),
        ([*still(38), Shift("strange", 0.01, 0.1, 2.0, 0.8)], Level.REDUCE),
    ],
)
def test_few_moved_features_are_no_news_many_warn_and_broken_ones_halve_the_size(shifts, level):
    """Features alone never send a model away."""
    found = drift.of_features(shifts, 28.0)
    assert found.level is level
    assert bool(found.sentences) == (level is not Level.NONE)


def test_a_few_days_show_one_face_of_the_market_only():
    """Before two weeks only what lies outside everything counts."""
    assert drift.of_features(moved(39), 13.0).level is Level.NONE
    assert drift.of_features([Shift("strange", 9.0, 0.9, 2.0, 0.8)], 1.0).level is Level.REDUCE


def test_hour_and_week_are_not_watched():
    """They move by nature."""
    names = [name for name in features.MODEL_NAMES if not drift.watched(name)]
    assert names == ["hour_sin", "hour_cos", "week_sin", "week_cos"]


def record(count: int, came: float, p: float = 0.4) -> Tally:
    """So many bets apart, of which the share ``came`` came true, spread evenly."""
    tally = Tally()
    tally.add(
        Settled("S", k * HOUR_MS, (k + 1) * HOUR_MS, p, p - 0.1, float(int((k + 1) * came) - int(k * came)))
        for k in range(count)
    )
    return tally


@pytest.mark.parametrize(
    ("count", "came", "level"),
    [
        (9, 0.0, Level.NONE),  # too few to say anything
        (100, 0.40, Level.NONE),
        (100, 0.27, Level.WARN),
        (100, 0.23, Level.REDUCE),
        (200, 0.23, Level.ROLLBACK),
        (400, 0.60, Level.REDUCE),  # better than said: the one before is no remedy
    ],
)
def test_the_level_follows_how_far_and_how_sure_the_forecast_missed(count, came, level):
    """Two, three, four standard errors, by the number of bets apart."""
    assert drift.of_outcomes(record(count, came), None).level is level


def test_a_brier_score_far_above_the_cards_counts_where_the_mean_is_right():
    """Forecasts of one half that used to be sharp have lost what they knew."""
    assert drift.of_outcomes(record(300, 0.5, 0.5), 0.25).level is Level.NONE
    tally = Tally()
    said = [(0.9 if k % 2 else 0.1, float(k // 2 % 2)) for k in range(400)]  # half of both come true
    tally.add(Settled("S", k * HOUR_MS, (k + 1) * HOUR_MS, p, p - 0.1, came) for k, (p, came) in enumerate(said))
    found = drift.of_outcomes(tally, 0.1)
    assert abs(found.numbers["z"]) < 2
    assert found.level >= Level.REDUCE
    assert "Brier" in found.sentences[0]


def test_a_turn_for_the_worse_within_the_record_is_a_warning():
    """Right on the whole, but only thanks to its first weeks."""
    tally = Tally()
    came = [1.0] * 90 + [0.0] * 135
    tally.add(Settled("S", k * HOUR_MS, (k + 1) * HOUR_MS, 0.4, 0.3, one) for k, one in enumerate(came))
    found = drift.of_outcomes(tally, None)
    assert found.level is Level.WARN
    assert found.sentences == ("My bets come true less often than they did at first.",)


def test_the_gravest_part_speaks_first():
    """Its reason is the one that stands in the size steps."""
    one = drift.together(drift.Drift(Level.WARN, ("w",), {"a": 1.0}), drift.Drift(Level.REDUCE, ("r",), {"b": 2.0}))
    assert (one.level, one.sentences, one.numbers) == (Level.REDUCE, ("r", "w"), {"a": 1.0, "b": 2.0})


@pytest.mark.parametrize(
    ("card", "brier"),
    [
        ({"judgement": {"scores": {"brier": 0.19}}}, 0.19),
        ({"judgement": {"scores": {"brier": "low"}}}, None),
        ({"judgement": 3}, None),
        ({"judgement": {"scores": {"brier": 7.0}}}, None),
        ({}, None),
    ],
)
def test_a_card_tells_its_brier_score_or_nothing(card, brier):
    """What somebody wrote into a card breaks nothing."""
    assert drift.brier_on(card) == brier


# the recorded market: four pairs, training until a day, then months that nobody saw

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT")
BEGIN_MS = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1000
SPLIT_MS = int(datetime(2021, 1, 1, tzinfo=UTC).timestamp()) * 1000
END_MS = int(datetime(2021, 11, 1, tzinfo=UTC).timestamp()) * 1000
STRIDE = 5


class Market:
    """Model rows of every STRIDE-th recorded hour, and what the bet on it came to."""

    def __init__(self) -> None:
        bars, folded = {}, {}
        for symbol in SYMBOLS:
            open_ms, columns = recorded(symbol)
            first = next(k for k, at in enumerate(open_ms) if at >= BEGIN_MS - 60 * DAY_MS)
            last = next(k for k, at in enumerate(open_ms) if at >= END_MS + 10 * DAY_MS)
            bars[symbol] = open_ms[first:last], tuple(column[first:last] for column in columns)
            rows = features.fold(*bars[symbol], features.new_state(timedelta(hours=1)))
            folded[symbol] = dict(zip(bars[symbol][0], rows, strict=True))
        self.rows: list[tuple[str, int, tuple[float, ...], float, int]] = []
        tapes = {s: Tape(times, prices[:4]) for s, (times, prices) in bars.items()}
        cross = Cross()
        for at in sorted({at for each in folded.values() for at in each}):
            here = {symbol: folded[symbol][at] for symbol in SYMBOLS if at in folded[symbol]}
            among = cross.seen(at, here)
            if at >= BEGIN_MS and at // HOUR_MS % STRIDE == 0:
                self._take(at, here, among, tapes)

    def _take(self, at, here, among, tapes) -> None:
        for symbol, row in here.items():
            seen = features.model_row(row, among[symbol])
            if seen is not None:
                win, loss = rule.barriers(row[features.AT["atr_share"]])
                end = ended(Bet(symbol, HOUR_MS, at, win, loss, rule.HORIZON), tapes[symbol])
                if end:
                    self.rows.append((symbol, at, seen, end.outcome, end.ended_ms))

    def between(self, first_ms: int, last_ms: int):
        return [row for row in self.rows if first_ms <= row[1] < last_ms]


@pytest.fixture(scope="module")
def market() -> Market:
    """The recorded hours, folded once."""
    return Market()


def months(market: Market) -> list[list[tuple]]:
    return [market.between(at, at + 28 * DAY_MS) for at in range(SPLIT_MS, END_MS - 28 * DAY_MS, 14 * DAY_MS)]


def levels_of_features(market: Market, month, factor: Callable[[str], float] = lambda name: 1.0) -> Level:
    then = market.between(BEGIN_MS, SPLIT_MS)
    rows = Grid([row[0] for row in month], [row[1] for row in month])
    shifts = [
        drift.shift(name, quantiles([row[2][k] for row in then]), [factor(name) * row[2][k] for row in month], rows)
        for k, name in enumerate(features.MODEL_NAMES)
        if drift.watched(name)
    ]
    return drift.of_features(shifts, 28.0).level


def level_of_outcomes(market: Market, month, *, inverted: bool = False) -> Level:
    """The honest forecast without any skill: the base rate of the year before."""
    then = market.between(BEGIN_MS, SPLIT_MS - 5 * DAY_MS)
    p = sum(row[3] for row in then) / len(then)
    brier = sum((row[3] - p) ** 2 for row in then) / len(then)
    tally = Tally()
    tally.add(Settled(s, at, end, p, p - 0.05, 1 - o if inverted else o) for s, at, _, o, end in month)
    return drift.of_outcomes(tally, brier).level


def test_recorded_months_never_cost_more_than_a_warning(market: Market):
    """2021 after a training on 2020: a bull market, a crash and a recovery, and hardly a message."""
    features_ = [levels_of_features(market, month) for month in months(market)[::3]]
    outcomes_ = [level_of_outcomes(market, month) for month in months(market)]
    assert max(features_ + outcomes_) <= Level.WARN
    assert sum(level > Level.NONE for level in features_ + outcomes_) <= len(features_ + outcomes_) / 3


def test_a_changed_scale_in_a_recorded_month_is_more_than_a_warning(market: Market):
    """Volumes counted in thousands, or everything in percent: units or data are broken."""
    month = months(market)[2]
    assert levels_of_features(market, month, lambda name: 10.0 if name == "volume_ratio" else 1.0) >= Level.REDUCE
    assert levels_of_features(market, month, lambda name: 100.0) >= Level.REDUCE


def test_inverted_outcomes_in_recorded_months_are_more_than_a_warning(market: Market):
    """Where few bets came true, a forecast that now means its opposite is found within the month."""
    few = [month for month in months(market) if sum(row[3] for row in month) / len(month) < 0.28]
    assert len(few) >= 4
    assert all(level_of_outcomes(market, month, inverted=True) >= Level.REDUCE for month in few)
