"""What a model has to beat: always the base rate, a straight line, and the rule.

Rule 1: a baseline learns from the training rows of the model it stands beside, the line from the coarse ones among
them, which hold nearly the same bets (see ``search``), and forecasts the same test rows.
Rule 2: a forecast counts each row once, whatever its uniqueness (see ``search``).
Rule 3: the rule learns from no fold: its record is what had ended by the moment of the bet, as it is live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.learn import outcomes, rule
from core.learn.fit.boosting import Floats, Ints
from core.learn.fit.tables import Source, opened

if TYPE_CHECKING:
    from core.learn.data.dataset import Dataset

HELD = 0.01  # inverse strength of the logistic regression's ridge; labels overlap, so the rows look like many
FAR = 4.0  # standard deviations beyond which a feature is no further away: a crash must not decide alone
SURE = 1e-4


def flat(source: Source, train: Ints, test: Ints) -> Floats:
    """The training rows' mean outcome for each test row: the forecast of somebody who looks at nothing."""
    return np.full(len(test), float(opened(source).outcome[train].mean()))


def logistic(source: Source, train: Ints, test: Ints) -> Floats:
    """Logistic regression with a ridge on features standardised by the training rows; a part of a win is both, in part.

    A row of outcome o is shown twice: as a win that weighs o, as a loss that weighs 1 - o.
    """
    table = opened(source)
    scale = StandardScaler().fit(table.x[train])
    outcome = table.outcome[train]
    kind = np.repeat([1, 0], len(train))
    line = LogisticRegression(C=HELD, max_iter=500)
    seen = _near(scale, table.x[train])
    line.fit(np.concatenate([seen, seen]), kind, sample_weight=np.concatenate([outcome, 1 - outcome]))
    said: Floats = line.predict_proba(_near(scale, table.x[test]))[:, 1]
    return np.clip(said, SURE, 1 - SURE)


def _near(scale: StandardScaler, x: Floats) -> Floats:
    near: Floats = np.clip(scale.transform(x), -FAR, FAR)
    return near


def by_rule(dataset: Dataset, base: Floats) -> Floats:
    """The rule's chance on rows where it fired, ``base`` (n,) elsewhere, where it says nothing.

    Its record of a symbol is folded over the rows themselves: one bet at a time, booked once it has ended. As rows are
    a sample of the bars, the record is one of a sample of its bets.
    """
    chance = base.copy()
    for symbol in np.unique(dataset.symbol[dataset.rule]):
        fired = np.flatnonzero(dataset.rule & (dataset.symbol == symbol))
        chance[fired] = _record(
            dataset.start_ms[fired],
            dataset.end_ms[fired],
            (dataset.move[fired] + dataset.loss[fired]) / (dataset.win[fired] + dataset.loss[fired]),
        )
    return chance


def _record(start_ms: Ints, end_ms: Ints, worth: Floats) -> list[float]:
    """The rule's chance at each of its bets of one symbol, in the order of time; only what had ended by then counts."""
    won = lost = 0.0
    running: tuple[int, float] | None = None
    said = []
    for start, end, part in zip(start_ms.tolist(), end_ms.tolist(), worth.tolist(), strict=True):
        if running and running[0] <= start:
            won, lost, running = won + running[1], lost + 1.0 - running[1], None
        said.append(rule.chances(won, lost)[0])
        running = running or (end, min(max(part, outcomes.WORST), 1.0))
    return said
