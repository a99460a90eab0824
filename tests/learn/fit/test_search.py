"""The search: seeded, blind to test rows, and the same on however many processes or machines."""

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from core.learn.fit import search
from core.learn.fit.search import Study, best, every, fitted, folds, ordered, tried
from core.learn.fit.selection import SELECTORS
from core.learn.fit.tables import Table, put, table_of
from tests.learn.fit.drawn import SIGNAL, drawn

NOBODY = np.empty(0, dtype=np.int64)


class Here(Executor):
    """Works at once, in this very process."""

    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def study(data, seed=1, test=NOBODY) -> Study:
    rows = np.arange(len(data))
    train = np.setdiff1d(rows, test)
    return Study(seed, train[every(data.symbol[train], 2)], train, test)


def searched(source, studies, trials=4, executor=None):
    return search.search(source, studies, 6, trials, executor or Here(), lambda: None)


def plain(found):
    return [[(t.recipe, t.rounds, t.loss) for t in trials] for trials in found]


def test_every_takes_each_nth_row_of_each_symbol():
    """Coarser rows are spread over all symbols evenly, however their rows are mixed."""
    symbol = np.array([0, 1, 1, 0, 0, 1, 0, 1])
    assert every(symbol, 2).tolist() == [0, 1, 4, 5]
    assert every(symbol, 1).tolist() == list(range(8))


def test_processes_find_what_one_process_finds(tmp_path):
    """However many processes work, and wherever the rows lie, the search asks and answers the same to the last bit."""
    data = drawn(1200, strength=0.8)
    studies = [study(data, 1), study(data, 2)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        there = searched(put(data, tmp_path), studies, 2, pool)
    assert plain(there) == plain(searched(table_of(data), studies, 2))


def test_a_cluster_finds_what_one_process_finds():
    """The same work sent through Dask's executor to a cluster on this machine comes to the same recipes."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    data = drawn(800, strength=0.8)
    studies = [study(data, 1)]
    options = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None, "processes": False}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options) as local,
        distributed.Client(local.scheduler_address) as client,
        client.get_executor(pure=False) as executor,
    ):
        found = search.search(client.scatter(table_of(data)), studies, 6, 2, executor, lambda: None)
    assert plain(found) == plain(searched(table_of(data), studies, 2))


def test_who_is_faster_changes_nothing():
    """Two studies side by side find what each finds alone: neither waits for, nor learns from, the other."""
    data = drawn(1200, strength=0.8)
    studies = [study(data, 1), study(data, 2)]
    with ThreadPoolExecutor(3) as threads:
        together = searched(table_of(data), studies, 3, threads)
    assert plain(together) == plain([searched(table_of(data), [one], 3)[0] for one in studies])
    assert plain(together)[0] != plain(together)[1]


def test_rows_kept_for_judging_change_nothing_of_the_search_or_the_model():
    """Whatever happens to test rows, the same recipe is found and the same model is grown: nothing looked at them."""
    data = drawn(1600, strength=0.8)
    test = np.arange(500, 700)
    one = study(data, 1, test)
    found = searched(table_of(data), [one])
    text = fitted(table_of(data), one, best(found[0]).recipe, 5, data.names).text
    data.outcome[test] = 1 - data.outcome[test]
    data.x[test] = 99.0
    assert plain(searched(table_of(data), [one])) == plain(found)
    assert fitted(table_of(data), one, best(found[0]).recipe, 5, data.names).text == text


def test_the_first_trial_is_the_plain_recipe_and_the_best_is_never_worse():
    """The search begins with what is sensible anyway, and takes another recipe only where that was better."""
    data = drawn(1600, strength=0.8)
    trials = searched(table_of(data), [study(data)], 5)[0]
    assert trials[0].recipe.leaves == search.Recipe().leaves
    assert trials[0].recipe.kept == 6
    assert best(trials).loss == min(trial.loss for trial in trials)
    assert len({trial.recipe for trial in trials}) == 5


def test_only_the_last_study_keeps_what_each_trial_said():
    """What every trial would have done is needed to judge the choice among them, once, and not kept elsewhere."""
    data = drawn(800)
    one = study(data)
    first, last = searched(table_of(data), [study(data, 1), one], 2)
    assert all(trial.raw is None for trial in first)
    assert [len(trial.raw) for trial in last] == [len(one.coarse)] * 2


def test_a_tick_comes_for_each_trial():
    """The progress bar knows how much there is, and reaches its end."""
    data = drawn(800)
    ticks = []
    search.search(table_of(data), [study(data, 1), study(data, 2)], 6, 3, Here(), lambda: ticks.append(1))
    assert len(ticks) == 2 * 3


def test_what_a_trial_says_of_a_row_was_learnt_without_it_and_its_neighbours():
    """Within the search too, no row is judged by trees that saw it or a label that overlaps it."""
    data = drawn(800)
    at = every(data.symbol, 2)
    for train, test in folds(table_of(data), at):
        assert not set(train) & set(test)
        first, last = data.start_ms[test].min(), data.end_ms[test].max()
        assert ((data.end_ms[train] < first) | (data.start_ms[train] > last)).all()


@pytest.mark.parametrize("selector", SELECTORS)
def test_features_are_chosen_without_the_rows_the_choice_is_tried_on(selector):
    """In each fold the order of the features is made of its training part: its test rows may hold anything."""
    data = drawn(1600, strength=0.5)
    at = np.arange(len(data))
    before = ordered(table_of(data), at, selector, 1)
    _, test = list(folds(table_of(data), at))[2]
    data.x[test] = np.random.default_rng(3).normal(size=(len(test), 6))
    data.x[test, 5] = data.outcome[test] * 9
    assert ordered(table_of(data), at, selector, 1)[2] == before[2]


def test_equal_rows_judge_a_recipe_that_grows_by_uniqueness():
    """A trial's loss counts every row once: weights that know how a bet ended cannot flatter it."""
    data = drawn(1600, strength=0.8)
    known = table_of(data)
    telling = Table(known.x, known.outcome, np.where(data.outcome > 0.5, 0.2, 1.8), known.start_ms, known.end_ms)
    kept = [tuple(range(6))] * search.INNER
    at = np.arange(len(data))
    equal = tried(telling, at, kept, search.Recipe(), 1)
    steered = tried(telling, at, kept, search.Recipe(by_uniqueness=True), 1)
    assert equal.loss == tried(known, at, kept, search.Recipe(), 1).loss
    assert steered.loss > equal.loss


def test_a_planted_signal_is_kept_and_used():
    """What knows something is among the features that every way of choosing keeps, and the forecast moves with it."""
    data = drawn(2400, strength=1.5)
    test = np.arange(900, 1100)
    for selector in SELECTORS:
        recipe = search.Recipe(selector=selector, kept=2, rate=0.1)
        found = fitted(table_of(data), study(data, 1, test), recipe, 20, data.names)
        assert SIGNAL in found.kept
        assert np.corrcoef(found.raw, data.x[test, SIGNAL])[0, 1] > 0.6
