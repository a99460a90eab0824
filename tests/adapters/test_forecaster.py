"""The forecaster: a process that answers, and every way in which it does not."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.adapters.forecaster import ProcessForecaster, pause_s, prove
from core.adapters.models import Registry
from core.domain.errors import BadData
from core.lab_ports import NoForecast
from core.learn.model_files import ours
from tests.learn import tiny_models

ROOT = Path(__file__).resolve().parents[2]
ODD = Path(__file__).with_name("odd_analyst.py")
ROWS = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
SHORT, LONG = timedelta(minutes=5), timedelta(hours=1)


class Watch:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[Callable[..., ProcessForecaster]]:
    """Forecasters whose process misbehaves in the way named."""
    made: list[ProcessForecaster] = []

    def forecaster(way: str, span: timedelta = SHORT, **bounds: object) -> ProcessForecaster:
        bounds = {"start_s": 20.0, "answer_s": 20.0} | bounds
        one = ProcessForecaster(span, worker=(sys.executable, str(ODD), way), **bounds)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield forecaster
    for one in made:
        await one.close()
    assert not lives(tmp_path)


def lives(folder: Path) -> bool:
    """Whether the process whose number lies in this folder is at work; one that nobody has buried yet is not."""
    try:
        pid = int((folder / "pid").read_text())
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what has to come; a test that waits for ever fails by its own limit."""
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def refusal(forecaster: ProcessForecaster, rows: list[list[float]] = ROWS, **asked: object) -> str:
    """The sentence of a batch that has no forecast."""
    with pytest.raises(NoForecast) as refused:
        await forecaster.forecast(rows, **asked)  # type: ignore[arg-type]
    return refused.value.user_text


def environment_of(forecaster: ProcessForecaster) -> bytes:
    """The environment its process was given."""
    process = forecaster._process
    assert process
    return Path(f"/proc/{process._process.pid}/environ").read_bytes()


async def ready(forecaster: ProcessForecaster, folder: Path, name: str = "m1") -> ProcessForecaster:
    """The same forecaster, told which champion to ask."""
    await forecaster.use(folder / name)
    return forecaster


async def test_without_a_champion_there_is_no_forecast(odd: Callable[..., ProcessForecaster]):
    """And no process is started for it."""
    assert await refusal(odd("well")) == "No forecast: there is no champion."


NONSENSE = {
    "NaN": "no probability",
    "above one": "no probability",
    "low above p": "no probability",
    "low below zero": "no probability",
    "one too few": "another number of rows",
    "a challenger nobody has": "another number of rows",
    "explains unasked": "explained something else",
    "other answerer": "another model answered",
    "old number": "another question",
    "text for numbers": "cannot be read",
    "garbage": "cannot be read",
    "endless": "cannot be read",
    "no text": "cannot be read",
    "nested without end": "cannot be read",
    "half a frame": "the process ended",
    "dies": "the process ended",
    "dies at once": "the process ended",
    "refuses": "The model m1 is refused: it is a pear",
    "another model": "another model than was asked for",
}


@pytest.mark.parametrize("way", NONSENSE)
async def test_nonsense_is_no_forecast_and_the_next_process_is_a_new_one(
    odd: Callable[..., ProcessForecaster], tmp_path: Path, way: str
):
    """One sentence, the process is gone, and the batch after it is answered by a process that is well."""
    forecaster = await ready(odd(f"{way}>well"), tmp_path)
    said = await refusal(forecaster)
    assert said.startswith("No forecast: ")
    assert NONSENSE[way] in said
    assert not lives(tmp_path)
    assert (await forecaster.forecast(ROWS)).p == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("way", "bound"), [("hangs", "answer"), ("never ready", "start")])
async def test_a_slow_process_is_not_waited_for(
    odd: Callable[..., ProcessForecaster], tmp_path: Path, way: str, bound: str
):
    """The wait ends at its bound, and so does the process."""
    forecaster = await ready(odd(way, **{f"{bound}_s": 0.5}), tmp_path)
    assert await refusal(forecaster) == f"No forecast: the analyst did not {bound} within 0.5 s."
    assert not lives(tmp_path)


async def test_a_program_that_is_not_there_is_no_forecast(tmp_path: Path):
    """Even a broken installation is one sentence."""
    forecaster = await ready(ProcessForecaster(SHORT, worker=(str(tmp_path / "nothing"),)), tmp_path)
    assert await refusal(forecaster) == "No forecast: No such file or directory."


async def test_repeated_failures_are_tried_less_often(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """Two are free, then there is a pause in which nothing is started; another champion is tried at once."""
    watch = Watch()
    forecaster = await ready(odd("NaN", clock=watch), tmp_path)
    for _ in range(3):
        assert "no probability" in await refusal(forecaster)
    said = "No forecast: the analyst failed 3 times in a row; it is tried again in 5 s."
    assert await refusal(forecaster) == said
    assert (tmp_path / "lives").read_text() == "3"
    watch.s += 5
    assert "no probability" in await refusal(forecaster)
    assert (await refusal(forecaster)).endswith("it is tried again in 10 s.")
    await forecaster.use(tmp_path / "m7")
    assert "no probability" in await refusal(forecaster)


async def test_one_answer_forgets_the_failures(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """A process that was killed now and then over the months is not punished for all of it."""
    forecaster = await ready(odd("dies>well", clock=Watch()), tmp_path)
    for _ in range(5):
        (tmp_path / "lives").unlink(missing_ok=True)
        assert "ended" in await refusal(forecaster)
        assert await forecaster.forecast(ROWS)
        await forecaster.close()


def test_the_pause_doubles_to_ten_minutes_and_stays_there():
    """However often it failed: a forecast is tried again, for as long as the assistant runs."""
    assert [pause_s(failures) for failures in (1, 2, 3, 4, 5, 9, 10, 11)] == [0, 0, 5, 10, 20, 320, 600, 600]
    assert pause_s(100_000) == 600


async def test_a_question_without_sense_costs_no_process(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """Rows of another width and empty batches are refused; the process stays and is not blamed."""
    forecaster = await ready(odd("well"), tmp_path)
    await forecaster.forecast(ROWS)
    assert "reads 2 features a row" in await refusal(forecaster, [[1.0]])
    assert "1 to 4096 rows, not 0" in await refusal(forecaster, [])
    await forecaster.forecast(ROWS)
    assert (tmp_path / "lives").read_text() == "1"


async def test_short_bars_keep_the_process_and_long_ones_let_it_go(
    odd: Callable[..., ProcessForecaster], tmp_path: Path
):
    """Every few minutes it is worth its memory, once an hour it is not."""
    for span, kept in ((SHORT, True), (timedelta(minutes=15), True), (LONG, False)):
        (tmp_path / "lives").unlink(missing_ok=True)
        forecaster = await ready(odd("well", span), tmp_path)
        for _ in range(2):
            await forecaster.forecast(ROWS)
            assert lives(tmp_path) is kept
        assert (tmp_path / "lives").read_text() == ("1" if kept else "2")
        await forecaster.close()


async def test_a_process_that_died_between_batches_is_not_noticed(
    odd: Callable[..., ProcessForecaster], tmp_path: Path
):
    """Somebody killed it while nothing was asked: the next batch starts another and is answered."""
    forecaster = await ready(odd("well"), tmp_path)
    await forecaster.forecast(ROWS)
    process = forecaster._process
    assert process
    os.kill(int((tmp_path / "pid").read_text()), 9)
    await until(lambda: not process.alive)
    assert (await forecaster.forecast(ROWS)).p_low == (0.4, 0.4, 0.4)


async def test_batches_wait_for_each_other(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """Ten at once are answered one after another by one process."""
    forecaster = await ready(odd("well"), tmp_path)
    answers = await asyncio.gather(*(forecaster.forecast(ROWS[:n]) for n in (1, 2, 3) * 3))
    assert [len(one.p) for one in answers] == [1, 2, 3] * 3
    assert (tmp_path / "lives").read_text() == "1"


async def test_models_are_swapped_between_batches(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """The batch under way is answered by whom it was asked; naming the same champion again changes nothing."""
    forecaster = await ready(odd("well"), tmp_path)
    under_way = asyncio.create_task(forecaster.forecast(ROWS))
    await asyncio.sleep(0)
    await forecaster.use(tmp_path / "m2")
    assert (await under_way).model_id == "m1"
    await forecaster.use(tmp_path / "m2")
    assert (await forecaster.forecast(ROWS)).model_id == "m2"
    assert (tmp_path / "lives").read_text() == "2"
    await forecaster.use(None)
    assert await refusal(forecaster) == "No forecast: there is no champion."


@pytest.mark.parametrize("way", ["hangs", "never ready"])
async def test_a_cancelled_batch_leaves_no_process(odd: Callable[..., ProcessForecaster], tmp_path: Path, way: str):
    """Its answer could be taken for the next one's."""
    forecaster = await ready(odd(f"{way}>well"), tmp_path)
    asked = asyncio.create_task(forecaster.forecast(ROWS))
    await until(lambda: lives(tmp_path))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not lives(tmp_path)
    assert (await forecaster.forecast(ROWS)).p


async def test_what_it_prints_is_logged_within_bounds(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """Five thousand lines become twenty, and none of them steers a terminal."""
    with capture_logs() as logs:
        forecaster = await ready(odd("talks"), tmp_path)
        await forecaster.forecast(ROWS)
        await forecaster.close()
    said = [log["line"] for log in logs if "line" in log]
    assert len(said) == 20
    assert said[0] == "line 0 ?[31m"


async def test_a_process_that_talks_on_unasked_can_be_ended(odd: Callable[..., ProcessForecaster], tmp_path: Path):
    """Megabytes that nobody reads do not keep the assistant from stopping."""
    forecaster = await ready(odd("babbles"), tmp_path)
    await forecaster.forecast(ROWS)
    process = forecaster._process
    assert process
    await until(lambda: len(process._process.stdout._buffer) > 1 << 17)  # type: ignore[union-attr]
    async with asyncio.timeout(20):
        await forecaster.close()
    assert not lives(tmp_path)


async def test_the_process_inherits_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Tokens and keys in our environment are not in its environment."""
    monkeypatch.setenv("FIRSTMATE_TELEGRAM_TOKEN", "1000:not-for-children")
    made = Registry(tmp_path, ours()).add(tiny_models.text(), tiny_models.manifest(), {})
    forecaster = await ready(ProcessForecaster(SHORT), tmp_path, made)
    await forecaster.forecast(tiny_models.rows(1).tolist())
    assert b"not-for-children" not in environment_of(forecaster)
    await forecaster.close()


async def test_champion_and_challenger_answer_every_row(tmp_path: Path):
    """The real process: both models, bounds under their probabilities, and reasons for the rows asked about."""
    registry = Registry(tmp_path, ours())
    made = [registry.add(tiny_models.text(seed), tiny_models.manifest(), {}) for seed in (1, 2)]
    forecaster = ProcessForecaster(LONG)
    await forecaster.use(tmp_path / made[0], tmp_path / made[1])
    answers = await forecaster.forecast(tiny_models.rows(5, seed=9).tolist(), explain_above=-1.0)
    assert (answers.model_id, answers.challenger_id) == tuple(made)
    assert answers.p != answers.challenger_p
    assert [len(one) for one in (answers.p, answers.p_low, answers.challenger_p, answers.challenger_low)] == [5] * 4
    assert [len(one) for one in answers.contributions] == [len(ours().names) + 1] * 5


async def test_a_broken_challenger_costs_nothing(tmp_path: Path):
    """The champion forecasts, and the log says why the other does not."""
    registry = Registry(tmp_path, ours())
    made = [registry.add(tiny_models.text(seed), tiny_models.manifest(), {}) for seed in (1, 2)]
    (tmp_path / made[1] / "model.txt").write_text("tree\n")
    forecaster = ProcessForecaster(LONG)
    await forecaster.use(tmp_path / made[0], tmp_path / made[1])
    with capture_logs() as logs:
        answers = await forecaster.forecast(tiny_models.rows(2).tolist())
    assert (len(answers.p), answers.challenger_id, answers.challenger_p) == (2, "", ())
    (why,) = [log["why"] for log in logs if log["event"] == "the challenger does not forecast"]
    assert made[1] in why


async def test_a_challenger_that_kills_its_process_is_left_out(tmp_path: Path):
    """A text that LightGBM dies of takes one forecast away; from then on the champion forecasts alone."""
    registry = Registry(tmp_path, ours())
    deadly = tiny_models.text(2).replace("leaf_value=", "leaf_value=0 ")  # its table of tree sizes is wrong now
    made = [registry.add(text, tiny_models.manifest(), {}) for text in (tiny_models.text(1), deadly)]
    forecaster = ProcessForecaster(LONG)
    await forecaster.use(tmp_path / made[0], tmp_path / made[1])
    assert await refusal(forecaster, tiny_models.rows(1).tolist()) == "No forecast: the process ended."
    for _ in range(2):
        answers = await forecaster.forecast(tiny_models.rows(1).tolist())
        assert (answers.model_id, answers.challenger_id) == (made[0], "")
        await forecaster.use(tmp_path / made[0], tmp_path / made[1])


async def test_a_challenger_that_was_left_out_is_tried_again_less_and_less_often(tmp_path: Path):
    """One hiccup of a busy machine does not end its trial; one that is deadly costs a forecast a day, then a week."""
    registry, watch = Registry(tmp_path, ours()), Watch()
    made = [registry.add(tiny_models.text(seed), tiny_models.manifest(), {}) for seed in (1, 2)]
    forecaster = ProcessForecaster(SHORT, clock=watch)
    await forecaster.use(tmp_path / made[0], tmp_path / made[1])
    row = tiny_models.rows(1).tolist()
    for days in (0.25, 0.5, 1.0):
        assert (await forecaster.forecast(row)).challenger_id == made[1]
        assert forecaster._process
        os.kill(forecaster._process._process.pid, signal.SIGKILL)
        assert await refusal(forecaster, row) == "No forecast: the process ended."
        watch.s += days * 86_400 - 1
        assert (await forecaster.forecast(row)).challenger_id == ""
        watch.s += 1
    assert (await forecaster.forecast(row)).challenger_id == made[1]
    await forecaster.close()


async def test_a_model_is_proven_before_it_is_named(tmp_path: Path):
    """One that could not be served is found out while the champion forecasts on; proving leaves no process."""
    registry = Registry(tmp_path, ours())
    deadly = tiny_models.text(2).replace("leaf_value=", "leaf_value=0 ")
    await prove(tmp_path / registry.add(tiny_models.text(1), tiny_models.manifest(), {}))
    broken = registry.add(deadly, tiny_models.manifest(), {})
    with pytest.raises(BadData, match=f"^The model {broken} cannot be served: the process ended.$"):
        await prove(tmp_path / broken)
    (tmp_path / broken / "model.txt").unlink()
    with pytest.raises(BadData, match=f"^The model {broken} is refused: model.txt is missing.$"):
        await prove(tmp_path / broken)


async def test_rows_that_are_no_numbers_are_refused_by_the_row(tmp_path: Path):
    """A feature that is not warm yet cannot become a probability; the process stays."""
    made = Registry(tmp_path, ours()).add(tiny_models.text(), tiny_models.manifest(), {})
    forecaster = await ready(ProcessForecaster(SHORT), tmp_path, made)
    rows = tiny_models.rows(3).tolist()
    rows[1][7] = math.nan
    assert await refusal(forecaster, rows) == "No forecast: row 1 holds a feature that is not a finite number."
    before = forecaster._process
    await forecaster.forecast(tiny_models.rows(3).tolist())
    assert forecaster._process is before
    await forecaster.close()


async def test_the_worker_ends_with_a_program_that_was_killed(tmp_path: Path):
    """SIGKILL of the assistant leaves no orphan behind."""
    made = Registry(tmp_path, ours()).add(tiny_models.text(), tiny_models.manifest(), {})
    code = (
        "import asyncio, os, signal, sys\nfrom pathlib import Path\nfrom datetime import timedelta\n"
        "from core.adapters.forecaster import ProcessForecaster\n"
        "async def main():\n"
        "    forecaster = ProcessForecaster(timedelta(minutes=1))\n"
        f"    await forecaster.use(Path({str(tmp_path / made)!r}))\n"
        f"    await forecaster.forecast([[0.0] * {len(ours().names)}])\n"
        f"    Path({str(tmp_path / 'pid')!r}).write_text(str(forecaster._process._process.pid))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    assert await killed.wait() == -9
    await until(lambda: not lives(tmp_path))
