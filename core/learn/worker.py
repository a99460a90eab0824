"""The analyst's process: rows of features in, calibrated probabilities with their lower bounds out.

``python -m core.learn.worker CHAMPION_DIR [CHALLENGER_DIR]``: questions on stdin, replies on stdout, each a frame of
``core.domain.frames``.

Rule 1: a model serves only after it proved itself here: it loads, its columns are ours, and what it says of the rows
        its manifest describes lies within 0..1. A challenger that cannot costs nothing; without a champion this ends.
Rule 2: a question that makes no sense is answered by why not; a stream that makes no sense ends the process.
Rule 3: it ends with whoever started it, and with its stdin; it opens no connection and writes no file.
Rule 4: stdout belongs to the frames: whatever a library prints goes to stderr.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from core.domain import frames
from core.domain.errors import BadData
from core.domain.frames import Answers, Question, Ready, Reply
from core.domain.model import Model
from core.learn import lean
from core.learn.fit import bound, calibration
from core.learn.model_files import ModelFiles, ours

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PR_SET_PDEATHSIG = 1
MEMORY_MAX = 1 << 30
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_AVERAGES = "\naverage_output\n"  # what LightGBM writes into the text of a forest
_FAULTS = (BadData, ValueError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Served:
    """A model that proved itself, with the two curves that belong to its raw answer.

    ``averaged`` trees of a forest share one answer; boosted ones (1) add up to it.
    """

    id: str
    booster: Any
    calibrate: Callable[[float], float]
    lower: Callable[[float], float]
    averaged: int = 1

    def forecast(self, rows: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Calibrated probability and its lower bound for each row. Raises BadData on a raw answer outside 0..1."""
        raw = self.booster.predict(rows, num_threads=1)
        p = tuple(map(self.calibrate, raw.tolist()))
        return p, tuple(map(self.lower, p))

    def explain(self, rows: Floats) -> tuple[tuple[float, ...], ...]:
        """TreeSHAP (Lundberg, Erion, Lee 2018) of each row: one effect a feature, then their base, in log-odds."""
        # of a forest LightGBM gives the sums over its trees here, though their mean is what it forecasts by
        effects = self.booster.predict(rows, pred_contrib=True, num_threads=1) / self.averaged
        return tuple(map(tuple, effects.tolist()))


def main(argv: Sequence[str]) -> int:
    """Serve until stdin ends; 0, or 2 where there is no champion to serve."""
    replies = _own_stdout()
    _end_with_parent()
    _stay_small()
    for name in _ONE_THREAD:
        os.environ[name] = "1"
    form, boosters = ours(), lean.lightgbm().Booster
    try:
        champion = _proven(form.read(Path(argv[0])), boosters)
    except _FAULTS as fault:
        _send(replies, Ready("", "", len(form.names), str(fault)))
        return 2
    challenger, fault_of_challenger = _tried(form, argv[1:], boosters)
    _send(replies, Ready(champion.id, challenger.id if challenger else "", len(form.names), fault_of_challenger))
    try:
        return _serve(sys.stdin.buffer, replies, champion, challenger, len(form.names))
    except (BadData, ValueError, RecursionError) as fault:
        print(f"the questions cannot be read: {fault}", file=sys.stderr)
        return 1


def _own_stdout() -> BinaryIO:
    """Rule 4: a stream of our own to where stdout went; file 1 is stderr from now on."""
    ours_alone = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return ours_alone


def _end_with_parent() -> None:
    if sys.platform.startswith("linux"):  # elsewhere the end of stdin is all there is
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _stay_small() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _tried(form: ModelFiles, folders: Sequence[str], boosters: Any) -> tuple[Served | None, str]:
    if not folders:
        return None, ""
    try:
        return _proven(form.read(Path(folders[0])), boosters), ""
    except _FAULTS as fault:
        return None, str(fault)


def _proven(model: Model, boosters: Any) -> Served:
    """The model ready to serve. Raises BadData, or what LightGBM raises on a text it cannot take (a ValueError)."""
    curve = calibration.from_json(model.manifest.calibrator)
    low = bound.from_json(model.manifest.bound)
    try:
        booster = boosters(model_str=model.text)
        averaged = booster.num_trees() if _AVERAGES in model.text else 1
        served = Served(model.id, booster, curve.apply, low.apply, averaged)
        if tuple(served.booster.feature_name()) != model.manifest.features:
            raise BadData("its text names other columns than its manifest")
        served.forecast(_reference(model))
    except Exception as fault:  # LightGBM's own error is no more than an Exception
        raise BadData(f"The model {model.id} is refused: {' '.join(str(fault).split())[:200]}") from fault
    return served


def _reference(model: Model) -> Floats:
    """Rows as the training data had them: one for each quantile that the manifest keeps."""
    import numpy as np

    return np.ascontiguousarray(np.array([model.manifest.quantiles[name] for name in model.manifest.features]).T)


def _serve(questions: BinaryIO, replies: BinaryIO, champion: Served, challenger: Served | None, width: int) -> int:
    read = msgspec.msgpack.Decoder(Question).decode
    while len(head := questions.read(frames.HEAD.size)) == frames.HEAD.size:
        question = read(questions.read(frames.length(head)))
        try:
            answers = _answers(question, champion, challenger, width)
        except BadData as fault:
            _send(replies, Reply(question.number, None, fault.user_text))
        else:
            _send(replies, Reply(question.number, answers))
    return 0


def _answers(question: Question, champion: Served, challenger: Served | None, width: int) -> Answers:
    rows = _rows(question, width)
    p, p_low = champion.forecast(rows)
    explained = [k for k, low in enumerate(p_low) if low > question.explain_above]
    why = champion.explain(rows[explained]) if explained else ()
    if challenger is None:
        return Answers(champion.id, p, p_low, why)
    return Answers(champion.id, p, p_low, why, challenger.id, *challenger.forecast(rows))


def _rows(question: Question, width: int) -> Floats:
    """What is asked, (n, width). Raises BadData for what no model should be asked."""
    import numpy as np

    if not 0 < question.n <= frames.ROWS_MAX:
        raise BadData(f"a batch has 1 to {frames.ROWS_MAX} rows, not {question.n}")
    if len(question.rows) != question.n * width * 8:
        raise BadData(f"{question.n} rows of {width} features do not have {len(question.rows)} bytes")
    rows = np.frombuffer(question.rows, dtype="<f8").reshape(question.n, width)
    unfit = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(unfit):
        raise BadData(f"row {unfit[0]} holds a feature that is not a finite number")
    return rows


def _send(replies: BinaryIO, frame: Ready | Reply) -> None:
    body = msgspec.msgpack.encode(frame)
    replies.write(frames.head(body) + body)
    replies.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
