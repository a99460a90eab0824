"""What the lab honestly finds on recorded hours: `python bench/lab_table.py DATA_DIR [TRIALS] > docs/lab.md`.

One training as `firstmate train` does it, on eight pairs from 2018 to 2023: everything in the table is out of fold,
by models that searched their recipe without the rows they are judged on. What it took stands at its end.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from bench.watched import SYMBOLS, Watched
from bot.commands.train import Job, fit, make_rows
from core.adapters import training
from core.learn.judge.card import Card
from core.learn.judge.judgement import Slice, Trading

HOUR = timedelta(hours=1)
SIX_YEARS = 2_191 * 24  # bars from 2018-01-01 to the end of 2023
PROCESSES, MEMORY_MB = 2, 1_400
TRIALS, SEED = 50, 1
COLUMNS = "| {} | rows | log loss | always flat | AUC | ECE | bets | a bet, net | all, net |\n" + "|---|" + "--:|" * 8


def told(watched: Watched) -> str:
    """What it took."""
    return (
        f"{watched.minutes:.1f} minutes on a machine busy with other work, {watched.processor_minutes:.1f} minutes of "
        f"processor time, {watched.peak_mb:.0f} MB for all processes at the highest, {PROCESSES} of them at work."
    )


def main(folder: Path, trials: int) -> None:
    watched = Watched()
    with tempfile.TemporaryDirectory() as into:
        job = Job(folder, SYMBOLS, True, HOUR, SIX_YEARS, Path(into), trials, SEED, None, PROCESSES, MEMORY_MB)
        made = training.run(make_rows, job, MEMORY_MB, watched)
        _, _, card = training.run(fit, (job, made), MEMORY_MB, watched)
    print("\n".join(page(card, told(watched))))


def page(card: Card, took: str) -> Iterator[str]:
    """The page, line by line."""
    judged = card.judgement
    yield "# The lab, on recorded hours\n"
    yield "Made by `python bench/lab_table.py DATA_DIR > docs/lab.md`; `core/learn/fit/train.py` says how.\n"
    yield f"{card.verdict}\n"
    yield "## What it must show\n\n| | criterion | found |\n|---|---|---|"
    yield from (f"| {'yes' if one.passed else '**no**'} | {one.name} | {one.sentence} |" for one in card.criteria)
    yield "\n## Beside its baselines\n\n| | log loss | the model is better by | give or take | luck does as well |"
    yield "|---|--:|--:|--:|--:|"
    yield f"| this way of making models | {judged.scores.log_loss:.5f} | | | |"
    for one in judged.baselines:
        gain = one.gain
        yield f"| {one.name} | {one.log_loss:.5f} | {gain.mean:+.5f} | {gain.error:.5f} | {gain.chance:.1%} |"
    yield f"\nBrier score {judged.scores.brier:.5f}, AUC {judged.scores.auc:.4f}, {judged.scores.rows:,} bets.\n"
    yield "## Fold by fold\n"
    yield from _slices("fold", judged.folds)
    yield "\n## Pair by pair\n"
    yield from _slices("pair", judged.pairs)
    yield "\n## When it said p\n\n| forecast | came | give or take | times, on all paths |\n|--:|--:|--:|--:|"
    for bin_ in judged.calibration.table:
        yield f"| {bin_.forecast:.1%} | {bin_.outcome:.1%} | {bin_.error:.1%} | {bin_.rows:,} |"
    found, trials = judged.calibration, judged.trials
    yield f"\nExpected calibration error {found.error:.4f}; perfect forecasts would show {found.floor:.4f} by chance.\n"
    yield "## What forecasts win at worst, in the long run\n"
    yield f"Bounds of {judged.bound_halves.level:.0%} confidence against the mean of quarters they had not seen.\n"
    yield "| made of | held | a right one, at least | give or take | cases | quarters |\n|---|--:|--:|--:|--:|--:|"
    for name, kept in (("random halves", judged.bound_halves), ("the past alone", judged.bound_ahead)):
        row = f"{kept.share:.1%} | {kept.expected:.1%} | {kept.error:.1%} | {kept.cells} | {kept.quarters}"
        yield f"| {name} | {row} |"
    yield f"\n## Money, after {judged.by_trust.cost:.2%} a round trip\n"
    yield "| | by the lower bound | by the forecast itself |\n|---|--:|--:|"
    yield from _money(judged.by_trust, judged.by_forecast)
    yield "\n## Trials\n"
    yield f"{trials.tried} recipes a search, worth {trials.independent:.1f} independent ones. Probability of backtest"
    yield f"overfitting (PBO) {trials.overfitting:.1%}; deflated Sharpe ratio (probability of skill)"
    yield f"{trials.deflated:.1%}.\n"
    yield "## What it hangs on\n\n| | share |\n|---|--:|"
    yield from (f"| {name} | {share:.0%} |" for name, share in judged.groups)
    yield f"\n## What it took\n\n{took}"


def _slices(name: str, slices: Sequence[Slice]) -> Iterator[str]:
    yield COLUMNS.format(name)
    for one in slices:
        yield (
            f"| {one.name} | {one.rows:,} | {one.log_loss:.5f} | {one.flat_loss:.5f} | {one.auc:.3f} | {one.error:.3f} "
            f"| {one.bets} | {one.per_bet:+.2%} | {one.gain:+.1%} |"
        )


def _money(trusted: Trading, believed: Trading) -> Iterator[str]:
    rows = {
        "bets": [f"{one.bets:,}" for one in (trusted, believed)],
        "a bet, net": [f"{one.per_bet:+.3%}" for one in (trusted, believed)],
        "before costs": [f"{one.costs.gross:+.1%}" for one in (trusted, believed)],
        "costs": [f"{-one.costs.fees:+.1%}" for one in (trusted, believed)],
        "after costs": [f"{one.costs.net:+.1%}" for one in (trusted, believed)],
        "paths, worst to best": [f"{one.totals[0]:+.1%} to {one.totals[-1]:+.1%}" for one in (trusted, believed)],
        "Sharpe ratio a year": [f"{one.sharpe:.2f}" for one in (trusted, believed)],
        "deepest fall": [f"{one.drawdown:.1%}" for one in (trusted, believed)],
    }
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python bench/lab_table.py DATA_DIR [TRIALS] (with binance_BTCUSDT_1h.csv.gz and its sisters)")
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else TRIALS)
