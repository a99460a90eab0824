"""The model card as one page of plain text, for a terminal or a chat.

Rule 1: no line is wider than WIDTH; words come before numbers, the answer before its reasons.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from core.learn.judge.card import Card, Making
from core.learn.judge.gate import Criterion
from core.learn.judge.judgement import Judgement, Slice, Trading

WIDTH = 76
BAR = 24


def text(card: Card, model_id: str = "") -> str:
    """The page; ``model_id`` stands in its head where it is known."""
    found = card.judgement
    parts = (
        _head(card, model_id),
        _wrapped(card.verdict),
        _section("What it is", _what(card.making)),
        _section("What it must show", _criteria(card.criteria)),
        _section("Forecasts, out of fold", _scores(found)),
        _section("When it said p, how many came", _calibration(found)),
        _section("Fold by fold", _slices(found.folds)),
        _section("Pair by pair", _slices(found.pairs)),
        _section(f"Money, after {found.by_trust.cost:.2%} a round trip", _money(found)),
        _section("Year by year, trusting what is won at worst", _years(found.by_trust)),
        _section("What the forecasts hang on", _groups(found)),
    )
    return "\n".join(line.rstrip() for part in parts for line in part) + "\n"


def _head(card: Card, model_id: str) -> Iterator[str]:
    yield f"MODEL {model_id}".strip()
    yield "MAY TRADE" if card.promotable else "MAY NOT TRADE"
    yield "=" * WIDTH


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    body = list(lines)
    if body:
        yield ""
        yield title
        yield "-" * len(title)
        yield from body


def _wrapped(said: str, indent: str = "") -> list[str]:
    return textwrap.wrap(said, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _what(making: Making) -> Iterator[str]:
    yield from _wrapped(
        f"{making.family}, {making.features} features (set {making.feature_version[:12]}), for {making.span} bars of "
        f"{', '.join(making.symbols)}. Made {making.made_at} with seed {making.seed}, trained on {making.rows:,} bets "
        f"from {making.first} to {making.last}."
    )
    yield from _wrapped(f"The bet: {making.barriers}")
    yield from _wrapped(f"Judged by: {making.folds}")


def _criteria(criteria: Sequence[Criterion]) -> Iterator[str]:
    for one in criteria:
        yield f"[{'x' if one.passed else ' '}] {one.name}"[:WIDTH]
        yield from _wrapped(one.sentence, "    ")


def _scores(found: Judgement) -> Iterator[str]:
    yield f"{'':<34}{'log loss':>10}{'gain':>10}{'error':>9}{'by luck':>9}"
    yield f"{'this model':<34}{found.scores.log_loss:>10.5f}"
    for one in found.baselines:
        gain = one.gain
        yield f"{one.name[:33]:<34}{one.log_loss:>10.5f}{gain.mean:>+10.5f}{gain.error:>9.5f}{gain.chance:>9.1%}"
    yield from _wrapped(
        f"{found.scores.rows:,} bets from {found.first} to {found.last}; Brier score {found.scores.brier:.5f}; of two "
        f"bets the one that paid had the higher forecast in {found.scores.auc:.1%} (AUC; 50% is a coin)."
    )


def _calibration(found: Judgement) -> Iterator[str]:
    said = found.calibration
    yield f"{'forecast':>9}{'came':>9}{'error':>9}{'times':>9}{'worth':>8}"
    for one in said.table:
        yield f"{one.forecast:>9.1%}{one.outcome:>9.1%}{one.error:>9.1%}{one.rows:>9,}{one.effective:>8,.0f}"
    yield from _wrapped(
        f"Mean distance {said.error:.2%}, of which noise alone makes {said.floor:.2%}; curve: {said.kind}. "
        "Worth: as many independent bets."
    )


def _slices(slices: Sequence[Slice]) -> Iterator[str]:
    if not slices:
        return
    yield f"{'':<17}{'rows':>7}{'log loss':>9}{'flat':>8}{'AUC':>7}{'ECE':>6}{'bets':>6}{'a bet':>8}{'all':>8}"
    for one in slices:
        yield (
            f"{one.name[:16]:<17}{one.rows:>7}{one.log_loss:>9.4f}{one.flat_loss:>8.4f}{one.auc:>7.1%}"
            f"{one.error:>6.1%}{one.bets:>6}{one.per_bet:>+8.2%}{one.gain:>+8.1%}"
        )


def _money(found: Judgement) -> Iterator[str]:
    yield f"{'':<24}{'at worst':>16}{'forecast itself':>18}"
    both = (found.by_trust, found.by_forecast)
    rows: tuple[tuple[str, Sequence[str]], ...] = (
        ("bets", [f"{one.bets:,}" for one in both]),
        ("a bet earned", [f"{one.per_bet:+.3%}" for one in both]),
        ("before costs", [f"{one.costs.gross:+.1%}" for one in both]),
        ("costs", [f"{-one.costs.fees:+.1%}" for one in both]),
        ("after costs", [f"{one.costs.net:+.1%}" for one in both]),
        ("all, compounded", [f"{one.total:+.1%}" for one in both]),
        ("worst path", [f"{one.totals[0]:+.1%}" for one in both]),
        ("best path", [f"{one.totals[-1]:+.1%}" for one in both]),
        ("Sharpe ratio a year", [f"{one.sharpe:.2f}" for one in both]),
        ("deepest fall", [f"{one.drawdown:.1%}" for one in both]),
    )
    for name, (trusted, believed) in rows:
        yield f"{name:<24}{trusted:>16}{believed:>18}"


def _years(trading: Trading) -> Iterator[str]:
    if not trading.years:
        return
    falls = {one.period: one.drawdown for one in trading.falls}
    yield f"{'':<8}{'bets':>7}{'paid':>8}{'a bet':>9}{'gain':>9}{'fall':>8}"
    for one in trading.years:
        fall = falls.get(one.name, 0.0)
        yield f"{one.name:<8}{one.bets:>7,}{one.paid:>8.0%}{one.per_bet:>+9.2%}{one.gain:>+9.1%}{fall:>8.1%}"


def _groups(found: Judgement) -> Iterator[str]:
    for name, share in found.groups:
        yield f"{name[:28]:<30}{share:>6.0%}  {'#' * round(share * BAR)}"
