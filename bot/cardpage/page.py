"""The model card as one page: the answer in words first, then the data, the doubt, the gate, pictures and tables.

Rule 1: it is made of the card alone, so it says what was known when the model was made and judged.
Rule 2: one file: no script, nothing from outside, and the page itself forbids the browser both; a card is a file that
        somebody could have forged.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from bot.cardpage import forecasts, money
from bot.cardpage.figures import brief, number, share
from bot.cardpage.markup import document, element
from bot.cardpage.pictures import Picture
from bot.cardpage.style import STYLE
from core.learn.judge.card import Card, Making
from core.learn.judge.gate import Criterion
from core.learn.judge.judgement import Judgement, Kept, Slice, Trading

SYMBOLS_MAX = 40
SLICES_MAX = 60


def page(card: Card, model_id: str) -> str:
    """The page of a model, ASCII."""
    found = card.judgement
    body = element(
        "body",
        *_answer(card, model_id),
        element(
            "div",
            element("section", element("h2", "On what data"), _told(_data(card.making, found))),
            element("section", element("h2", "With what doubt"), _told(_doubt(found))),
            class_="pair",
        ),
        element("h2", "What it must show before it may trade"),
        _criteria(card.criteria),
        element("h2", "In pictures"),
        element("div", *map(_figure, _pictures(found)), class_="pair"),
        element("h2", "In numbers"),
        element("div", _money(found), _years(found.by_trust), class_="pair"),
        _slices("Fold by fold", found.folds),
        _slices("Symbol by symbol", found.pairs),
    )
    return document(element("html", _head(card, model_id), body, lang="en"))


def _head(card: Card, model_id: str) -> Element:
    style = element("style")
    style.text = STYLE  # our own words, which a browser takes as they stand
    allowed = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    rule = f"default-src 'none'; style-src 'sha256-{allowed}'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=rule),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"Model {model_id}: {_place(card).lower()}"),
        style,
    )


def _place(card: Card) -> str:
    return "MAY TRADE" if card.promotable else "MAY NOT TRADE"


def _answer(card: Card, model_id: str) -> Iterable[Element]:
    """The verdict in plain words, before anything else."""
    worth = card.promotable
    yield element(
        "div",
        element("span", _place(card), class_=f"badge {'yes' if worth else 'no'}"),
        element("span", f"Model {model_id}, made {card.making.made_at}", class_="muted"),
    )
    yield element("h1", "It beats doing nothing" if worth else "It is not shown to beat doing nothing")
    yield element("p", card.verdict, class_="verdict")


def _told(pairs: Iterable[tuple[str, str]]) -> Element:
    return element(
        "dl", *(element(name, said) for pair in pairs for name, said in zip(("dt", "dd"), pair, strict=True))
    )


def _data(making: Making, found: Judgement) -> Iterable[tuple[str, str]]:
    yield "Judged on", f"{found.scores.rows:,} bets from {found.first} to {found.last}, none of which it had seen"
    yield "Trained on", f"{making.rows:,} bets from {making.first} to {making.last}"
    yield "Symbols", f"{making.span} bars of {_listed(making.symbols)}"
    yield "The bet", making.barriers
    yield "Judged by", making.folds
    yield (
        "The model",
        (f"{making.family}, {making.features} features (set {making.feature_version[:12]}), seed {making.seed}"),
    )


def _listed(symbols: Sequence[str]) -> str:
    more = len(symbols) - SYMBOLS_MAX
    return ", ".join(symbols[:SYMBOLS_MAX]) + (f" and {more} more" if more > 0 else "")


def _doubt(found: Judgement) -> Iterable[tuple[str, str]]:
    trials, luck, said = found.trials, found.luck, found.calibration
    yield (
        "Trying",
        (
            f"{trials.tried:,} recipes were tried, worth {number(trials.independent, 1)} independent ones. Probability "
            f"of backtest overfitting {share(trials.overfitting, 0)}; of skill after all that trying (deflated Sharpe "
            f"ratio) {share(trials.deflated, 0)}"
        ),
    )
    yield (
        "Luck",
        (
            f"As many bets at random times did as well in {share(luck.chance)} of {luck.draws:,} draws"
            if luck.bets
            else "It made no bet that could be compared with bets at random times"
        ),
    )
    yield (
        "Calibration",
        (
            f"What it said and what came differ by {share(said.error, 2)} on average; perfect forecasts would show "
            f"{share(said.floor, 2)} by chance"
        ),
    )
    yield (
        "At worst",
        f"What forecasts win at worst, made of half the quarters, {_held(found.bound_halves)}. Made of the past alone "
        f"it {_held(found.bound_ahead)}",
    )


def _held(kept: Kept) -> str:
    if not kept.cells:
        return "could not be judged: there was too little to claim anything of"
    return (
        f"held in {share(kept.share, 0)} of {kept.cells:,} cases; a right one does in {share(kept.expected, 0)} or "
        f"more, give or take {share(kept.error, 0)}"
    )


def _criteria(criteria: Sequence[Criterion]) -> Element:
    return element("ul", *map(_criterion, criteria))


def _criterion(one: Criterion) -> Element:
    mark = element("span", "yes" if one.passed else "no", class_=f"mark {'yes' if one.passed else 'no'}")
    numbers = element("span", f" found {brief(one.value)}, limit {brief(one.limit)}", class_="muted")
    return element("li", mark, element("p", element("b", f"{one.name}:"), numbers, element("br"), one.sentence))


def _pictures(found: Judgement) -> list[Picture]:
    """All that can be drawn of what was found out, two beside each other where there is room."""
    made = (
        forecasts.reliability(found),
        money.paths(found),
        forecasts.against_baselines(found),
        money.falls(found),
        money.by_symbol(found),
        forecasts.by_group(found),
    )
    return [one for one in made if one]


def _figure(one: Picture) -> Element:
    return element("figure", element("h3", one.title), one.drawing, element("figcaption", one.caption))


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Element:
    """A table that scrolls by itself where it is wider than the screen."""
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in heads)))
    body = element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in rows))
    made = element("table", element("caption", caption), head, body)
    return element("div", made, class_="wide", tabindex="0", role="region", aria_label=caption)


def _money(found: Judgement) -> Element:
    both = (found.by_trust, found.by_forecast)
    rows = (
        ("bets", [f"{one.bets:,}" for one in both]),
        ("a bet earned", [share(one.per_bet, 3, signed=True) for one in both]),
        ("before costs", [share(one.costs.gross, signed=True) for one in both]),
        ("costs", [share(-one.costs.fees, signed=True) for one in both]),
        ("after costs", [share(one.costs.net, signed=True) for one in both]),
        ("all, compounded", [share(one.total, signed=True) for one in both]),
        ("Sharpe ratio a year", [number(one.sharpe, 2) for one in both]),
        ("deepest fall", [share(one.drawdown) for one in both]),
    )
    caption = f"Money on the middle path, after {share(found.by_trust.cost, 2)} a round trip"
    heads = ("", "by its lower bound", "by the forecast")
    return _table(caption, heads, ((name, *cells) for name, cells in rows))


def _years(trading: Trading) -> Element | None:
    if not trading.years:
        return None
    falls = {one.period: one.drawdown for one in trading.falls}
    rows = (
        (
            one.name,
            f"{one.bets:,}",
            share(one.paid, 0),
            share(one.per_bet, 2, signed=True),
            share(one.gain, signed=True),
            share(falls.get(one.name, 0.0)),
        )
        for one in trading.years[-SLICES_MAX:]
    )
    heads = ("year", "bets", "paid", "a bet", "earned", "deepest fall")
    return _table("Year by year, by its lower bound, after costs", heads, rows)


def _slices(caption: str, slices: Sequence[Slice]) -> Element | None:
    if not slices:
        return None
    more = len(slices) - SLICES_MAX
    heads = ("", "rows", "log loss", "base rate", "AUC", "calibration error", "bets", "a bet", "earned")
    rows = (
        (
            one.name,
            f"{one.rows:,}",
            number(one.log_loss, 4),
            number(one.flat_loss, 4),
            share(one.auc),
            share(one.error),
            f"{one.bets:,}",
            share(one.per_bet, 2, signed=True),
            share(one.gain, signed=True),
        )
        for one in slices[:SLICES_MAX]
    )
    return _table(caption if more <= 0 else f"{caption}, the first {SLICES_MAX} of {len(slices):,}", heads, rows)
