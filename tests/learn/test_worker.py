"""The analyst's process: what it answers, what it refuses, and what it keeps out of its memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import lightgbm as lgb
import msgspec
import numpy as np
import pytest

from core.adapters.models import Registry
from core.domain import frames
from core.domain.frames import Answers, Question, Ready, Reply
from core.learn.fit import bound, calibration
from core.learn.model_files import ModelFiles, ours
from tests.learn import tiny_models

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
WIDTH = len(ours().names)


class Worker:
    """A running worker, spoken to byte by byte."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.ready = self.hear(Ready)

    def hear(self, kind: type[T]) -> T:
        assert self.process.stdout
        size = frames.length(self.process.stdout.read(4))
        return msgspec.msgpack.decode(self.process.stdout.read(size), type=kind)

    def say(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, rows: tiny_models.Floats, explain_above: float = 1.0, number: int = 1, n: int | None = None) -> Reply:
        question = Question(number, len(rows) if n is None else n, rows.astype("<f8").tobytes(), explain_above)
        body = msgspec.msgpack.encode(question)
        self.say(frames.head(body) + body)
        return self.hear(Reply)

    def end(self) -> tuple[int, str]:
        """Exit code and what it printed, after its stdin ended."""
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said.decode()


@contextmanager
def started(*words: str, program: Sequence[str] = ("-m", "core.learn.worker")) -> Iterator[Worker]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, *program, *words], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield Worker(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two sound models."""
    registry = Registry(tmp_path_factory.mktemp("models"), ours())
    return [registry._folder / registry.add(tiny_models.text(seed), tiny_models.manifest(), {}) for seed in (1, 2)]


@pytest.fixture(scope="module")
def worker(models: list[Path]) -> Iterator[Worker]:
    """A worker with champion and challenger, for every question that leaves it well."""
    with started(*map(str, models)) as one:
        yield one


def answers(reply: Reply) -> Answers:
    assert reply.answers, reply.fault
    return reply.answers


def test_it_says_who_is_ready(worker: Worker, models: list[Path]):
    """Champion, challenger, and how wide a row is."""
    assert worker.ready == Ready(models[0].name, models[1].name, WIDTH)


def test_it_answers_what_the_model_and_its_curves_say(worker: Worker):
    """To the last bit what LightGBM, calibrator and bound say in a process with everything loaded."""
    rows = tiny_models.rows(20, seed=5)
    told = answers(worker.ask(rows))
    manifest = tiny_models.manifest()
    curve, low = calibration.from_json(manifest.calibrator), bound.from_json(manifest.bound)
    for seed, p, p_low in ((1, told.p, told.p_low), (2, told.challenger_p, told.challenger_low)):
        raw = lgb.Booster(model_str=tiny_models.text(seed)).predict(rows, num_threads=1)
        assert p == tuple(map(curve.apply, raw.tolist()))
        assert p_low == tuple(map(low.apply, p))


@pytest.mark.parametrize("family", ["gbdt", "rf"])
def test_reasons_add_up_to_the_raw_forecast(tmp_path: Path, family: str):
    """Effects of a row and their base are the log-odds of what trees or forest say before calibration (TreeSHAP)."""
    text = tiny_models.text(1, family=family)
    rows = tiny_models.rows(6, seed=7)
    with started(edited(tmp_path, ours(), text)) as one:
        middle = sorted(answers(one.ask(rows)).p_low)[3]
        told = answers(one.ask(rows, explain_above=middle))
    above = [k for k, low in enumerate(told.p_low) if low > middle]
    raw = lgb.Booster(model_str=text).predict(rows[above])
    assert [len(effects) for effects in told.contributions] == [WIDTH + 1] * 2
    assert [sum(effects) for effects in told.contributions] == pytest.approx(np.log(raw / (1 - raw)).tolist(), abs=1e-9)


def test_a_reply_bears_the_number_of_its_question(worker: Worker):
    """Whoever asks can tell an answer from an older one."""
    assert [worker.ask(tiny_models.rows(1), number=number).number for number in (7, 2**53)] == [7, 2**53]


def _with(value: float) -> tiny_models.Floats:
    rows = tiny_models.rows(4)
    rows[2, 3] = value
    return rows


UNFIT = {
    "not a number": ({"rows": _with(np.nan)}, "row 2 holds a feature that is not a finite number"),
    "infinite": ({"rows": _with(-np.inf)}, "row 2 holds a feature that is not a finite number"),
    "too narrow": ({"rows": tiny_models.rows(2)[:, :-1]}, f"2 rows of {WIDTH} features do not have"),
    "no rows": ({"rows": tiny_models.rows(0)}, "1 to 4096 rows, not 0"),
    "too many": ({"rows": np.zeros((4097, 1))}, "1 to 4096 rows, not 4097"),
    "fewer than said": ({"rows": tiny_models.rows(2), "n": 3}, "do not have"),
    "less than none": ({"rows": tiny_models.rows(2), "n": -2}, "not -2"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_a_question_without_sense_is_answered_by_why_not(worker: Worker, fault: str):
    """And the next question is answered as if nothing had been."""
    asked, why = UNFIT[fault]
    reply = worker.ask(**asked)  # type: ignore[arg-type]
    assert (reply.answers, why in reply.fault) == (None, True), reply
    assert answers(worker.ask(tiny_models.rows(1))).p


@pytest.mark.parametrize(
    "said",
    [
        b"\x03\x00\x00\x00abc",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x01\x00\x00\x00\x80",
        b"\x02\x00\x00\x00\xa1\xff",
    ],
)
def test_a_stream_without_sense_ends_it(models: list[Path], said: bytes):
    """In one line, and with an exit code that says so."""
    with started(str(models[0])) as one:
        one.say(said)
        code, printed = one.end()
    assert (code, printed.count("\n")) == (1, 1)
    assert printed.startswith("the questions cannot be read: ")


@pytest.mark.parametrize("said", [b"", b"\x03\x00"])
def test_it_ends_with_its_stdin(models: list[Path], said: bytes):
    """Whoever asked is gone: nothing is left to do."""
    with started(str(models[0])) as one:
        one.say(said)
        assert one.end() == (0, "")


LOUD = """
import os, sys
from core.learn import lean, worker
quiet = lean.lightgbm
def loud():
    os.write(1, b"[LightGBM] a warning nobody asked for\\n")
    return quiet()
lean.lightgbm = loud
sys.exit(worker.main(sys.argv[1:]))
"""


def test_what_a_library_prints_does_not_reach_the_frames(models: list[Path]):
    """LightGBM writes its warnings to stdout: they come out on stderr, and the answers are whole."""
    with started(str(models[0]), program=("-c", LOUD)) as one:
        assert answers(one.ask(tiny_models.rows(1))).p
        assert one.end() == (0, "[LightGBM] a warning nobody asked for\n")


def runs(pid: int) -> bool:
    """Whether a process is at work; one that nobody has buried yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


ORPHANING = """
import os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-m", "core.learn.worker", sys.argv[1]], stdout=subprocess.PIPE)
worker.stdout.read(4)
print(worker.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the end of stdin is all there is")
def test_it_ends_with_its_parent_even_where_its_stdin_does_not(models: list[Path]):
    """Somebody else may hold the other end of its stdin: the kernel ends it with whoever started it."""
    theirs, ours_open = os.pipe()
    try:
        command = [sys.executable, "-c", ORPHANING, str(models[0])]
        killed = subprocess.run(command, cwd=ROOT, stdin=theirs, capture_output=True, timeout=60, check=False)
        assert killed.returncode == -9
        pid = int(killed.stdout)
        for _ in range(2000):
            if not runs(pid):
                return
            time.sleep(0.01)
        raise AssertionError("it lives on")
    finally:
        os.close(theirs)
        os.close(ours_open)


def test_without_a_challenger_there_is_none_in_the_answers(models: list[Path]):
    """Nobody is made up."""
    with started(str(models[1])) as one:
        assert one.ready == Ready(models[1].name, "", WIDTH)
        told = answers(one.ask(tiny_models.rows(3)))
    assert (told.challenger_id, told.challenger_p, told.challenger_low) == ("", (), ())


def test_it_holds_no_library_it_does_not_need(models: list[Path]):
    """pandas, scipy and scikit-learn stay out of its memory; it has one thread, and pipes are all it holds."""
    with started(*map(str, models)) as one:
        answers(one.ask(tiny_models.rows(50), explain_above=-1.0))
        process = Path(f"/proc/{one.process.pid}")
        mapped = process.joinpath("maps").read_text()
        threads = len(list(process.joinpath("task").iterdir()))
        kinds = {os.readlink(file).partition(":")[0] for file in process.joinpath("fd").iterdir()}
    assert "lib_lightgbm" in mapped
    assert not [name for name in ("scipy", "pandas", "sklearn", "numba") if f"/{name}/" in mapped]
    assert (threads, kinds) == (1, {"pipe"})


def edited(folder: Path, form: ModelFiles, text: str, **manifest: object) -> str:
    """The folder of a model that passes every check of its files."""
    registry = Registry(folder, form)
    return str(folder / registry.add(text, tiny_models.manifest(form, **manifest), {}))


def loud(text: str) -> str:
    """The same model with leaves that hold no number, its table of tree sizes mended."""
    lines = text.splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("leaf_value="))
    leaves = "leaf_value=" + " ".join(["nan"] * len(lines[at].split()))
    first, *others = next(line for line in lines if line.startswith("tree_sizes=")).removeprefix("tree_sizes=").split()
    sizes = " ".join([str(int(first) + len(leaves) - len(lines[at])), *others])
    lines[at] = leaves
    return "\n".join(f"tree_sizes={sizes}" if line.startswith("tree_sizes=") else line for line in lines) + "\n"


def raw_scores(text: str) -> str:
    """The same model that says log-odds instead of probabilities."""
    return text.replace("objective=cross_entropy", "objective=regression")


def other_columns(text: str) -> str:
    """The same model with two of its columns exchanged by name."""
    first, second = ours().names[:2]
    head, rest = text.split("feature_names=", 1)
    return f"{head}feature_names={rest.replace(f'{first} {second} ', f'{second} {first} ', 1)}"


REFUSED = {
    "says NaN": (loud, "between 0 and 1"),
    "says log-odds": (raw_scores, "between 0 and 1"),
    "reads other columns": (other_columns, "names other columns"),
    "is no tree": (lambda _: "tree\nhello\nend of trees\n", "refused"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_model_that_cannot_prove_itself_does_not_serve(tmp_path: Path, models: list[Path], fault: str):
    """As champion it ends the process with a sentence, as challenger it costs the champion nothing."""
    changes, why = REFUSED[fault]
    broken = edited(tmp_path, ours(), changes(tiny_models.text(1)))
    with started(broken) as one:
        assert one.ready.model_id == ""
        assert why in one.ready.fault
        assert one.end()[0] == 2
    with started(str(models[0]), broken) as one:
        assert (one.ready.model_id, one.ready.challenger_id) == (models[0].name, "")
        assert why in one.ready.fault
        assert answers(one.ask(tiny_models.rows(1))).p


def test_a_model_of_other_features_does_not_serve(tmp_path: Path):
    """What it was trained on is not what it would be asked."""
    other = edited(tmp_path, ModelFiles(ours().names, "0" * 64), tiny_models.text())
    with started(other) as one:
        assert "another set of features" in one.ready.fault


def test_a_model_changed_after_it_was_named_does_not_serve(tmp_path: Path):
    """The files are proven again by who serves them."""
    folder = Path(edited(tmp_path, ours(), tiny_models.text()))
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"auc": 0.99}))
    with started(str(folder)) as one:
        assert "not the ones its manifest was written for" in one.ready.fault


def test_a_head_that_announces_too_much_is_believed_by_nobody():
    """16 MiB are far more than any batch has."""
    from core.domain.errors import BadData

    assert frames.length(struct.pack("<I", 1 << 24)) == 1 << 24
    for size in (0, (1 << 24) + 1, 2**32 - 1):
        with pytest.raises(BadData):
            frames.length(struct.pack("<I", size))
    with pytest.raises(BadData):
        frames.head(bytes((1 << 24) + 1))
