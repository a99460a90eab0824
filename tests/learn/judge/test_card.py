from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.judge import card
from core.learn.judge.card_text import WIDTH, text
from tests.learn.judge.judgements import GOOD, MAKING

CARD = card.made(MAKING, GOOD)
REFUSED = card.made(MAKING, replace(GOOD, faults=("the feature ret_1 knows the next bar",)))


def written(made=CARD) -> dict:
    return json.loads(json.dumps(card.to_json(made)))


@pytest.mark.parametrize("made", [CARD, REFUSED])
def test_a_card_comes_back_from_its_file_as_it_was(made):
    """What the owner is shown later is what was found out then, to the last digit."""
    assert card.from_json(written(made)) == made


def test_the_card_carries_the_gate_s_answer():
    """A card says whether its model may trade, by every criterion."""
    assert CARD.promotable
    assert not REFUSED.promotable


def changed(path: tuple, value: object) -> dict:
    said = written()
    at = said
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return said


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        "card",
        changed(("format",), 2),
        changed(("judgement",), {}),
        changed(("making", "symbols"), []),
        changed(("making", "seed"), -1),
        changed(("making", "family"), "\x1b[2J"),
        changed(("making", "rows"), 1.5),
        changed(("verdict",), "line\nline"),
        changed(("criteria", 0, "passed"), "yes"),
        changed(("criteria", 0, "passed"), 1),
        changed(("judgement", "scores", "auc"), 1.2),
        changed(("judgement", "scores", "log_loss"), -0.1),
        changed(("judgement", "scores", "brier"), None),
        changed(("judgement", "scores", "brier"), float("nan")),
        changed(("judgement", "by_trust", "per_bet"), float("inf")),
        changed(("judgement", "by_trust", "totals", 1), "0.1"),
        changed(("judgement", "luck", "draws"), True),
        changed(("judgement", "groups"), [["trend"]]),
    ],
)
def test_a_card_that_is_none_is_refused(said):
    """A broken or foreign card is refused in one sentence, whatever number or word of it is wrong."""
    with pytest.raises(BadData, match="no model card"):
        card.from_json(said)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=8))
def test_nothing_else_is_taken_for_a_card(said):
    """Whatever JSON holds, it is a card or it is refused; nothing else happens."""
    with pytest.raises(BadData):
        card.from_json(said)


@pytest.mark.parametrize("made", [CARD, REFUSED])
def test_the_page_fits_a_terminal(made):
    """No line is wider than 76 characters, and none steers the terminal."""
    page = text(made, "0123456789ab")
    assert max(map(len, page.splitlines())) <= WIDTH
    assert all(character == "\n" or character.isprintable() for character in page)


def test_the_page_answers_before_it_explains():
    """The first lines name the model and say whether it may trade; the verdict follows."""
    assert text(CARD, "0123456789ab").splitlines()[:2] == ["MODEL 0123456789ab", "MAY TRADE"]
    assert text(REFUSED).splitlines()[:2] == ["MODEL", "MAY NOT TRADE"]
    assert "knows the next bar" in text(REFUSED)


def test_the_page_shows_every_part_of_the_judgement():
    """Criteria, baselines, bins, folds, pairs, years, costs and feature groups all stand on the page."""
    page = text(CARD)
    for one in CARD.criteria:
        assert f"[x] {one.name}" in page
    shown = ("logistic regression", "31.0%", "2018-05..2019-03", "ETH/USDT", "2022", "trend", "-6.0%", "+18.0%")
    assert [word for word in shown if word not in page] == []


def test_a_page_of_wild_numbers_still_fits():
    """Huge, tiny and empty: the columns hold."""
    long = replace(GOOD.baselines[0], name="y" * 80)
    wild = replace(
        GOOD,
        folds=(replace(GOOD.folds[0], name="x" * 80, rows=10**6),),
        baselines=(long,),
        groups=(("z" * 80, 1.0),),
    )
    made = card.made(MAKING, wild)
    assert card.from_json(written(made)) == made
    assert max(map(len, text(made).splitlines())) <= WIDTH
    bare = replace(GOOD, folds=(), pairs=(), groups=(), by_trust=replace(GOOD.by_trust, years=(), falls=()))
    assert "Fold by fold" not in text(card.made(MAKING, bare))


def test_showing_a_card_needs_no_numerical_library():
    """The bot shows a card without loading numpy, pandas or LightGBM."""
    code = (
        "import sys\nfrom core.learn.judge import card, card_text, gate\n"
        "print(sorted({'numpy', 'scipy', 'sklearn', 'pandas', 'lightgbm'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
