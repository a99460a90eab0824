"""The page of a card: the answer first, everything in it, nothing of it markup, and nothing outside it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bot.cardpage.page import SLICES_MAX, SYMBOLS_MAX, page
from core.learn.judge import card
from core.learn.judge.card import Card
from core.learn.judge.judgement import (
    AgainstRandom,
    Baseline,
    Bin,
    Calibration,
    Costs,
    Fall,
    Gain,
    Judgement,
    Kept,
    Part,
    Scores,
    Slice,
    Trading,
    Trials,
)
from tests.browser import Browser
from tests.learn.judge.judgements import GOOD, MAKING

ID = "0123456789ab"
HOSTILE = "</svg></style><script>document.title=1</script><img src=x onerror=alert(1)>&lt;"
HUGE = 1.7e308
TITLES = (
    "When it said p, how many came",
    "Profit after costs, path by path",
    "Log loss, beside its baselines",
    "Drawdown, year by year",
    "Symbol by symbol",
    "What the forecasts hang on",
)


class Seen(HTMLParser):
    """The tags of a page in their order, its attributes, and what a reader reads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def made(judgement: Judgement = GOOD, **making: object) -> Card:
    return card.made(replace(MAKING, **making), judgement)  # type: ignore[arg-type]


def forged(word: str = HOSTILE, size: float = HUGE) -> Card:
    """A card as somebody could write one: it passes as a card, and every word and number in it is hostile."""
    word = word[:80]
    many = 10**12
    part, fall = Part(word, many, 1.0, size, -size), Fall(word, 1.0, size)
    trading = Trading(
        size, -size, (-size, size) * 40, many, many, size, size, 1.0, Costs(size, size, -size), (part,) * 3, (fall,)
    )
    one = Slice(word, many, size, 0.0, 1.0, 1.0, many, size, -size)
    judgement = Judgement(
        first=word,
        last=word,
        scores=Scores(many, size, 1.0, 1.0),
        baselines=(Baseline(word, size, Gain(-size, size, many, 1.0)),) * 40,
        calibration=Calibration(word, 1.0, 1.0, (Bin(1.0, 0.0, many, 1.0, size, 1.0),) * 40),
        bound_halves=Kept(1.0, 1.0, 1.0, many, many, 1.0),
        bound_ahead=Kept(1.0, 1.0, 1.0, 0, many, 1.0),
        by_trust=trading,
        by_forecast=trading,
        luck=AgainstRandom(many, size, -size, size, many, 1.0),
        trials=Trials(many, size, 1.0, 1.0, size),
        folds=(one,) * 70,
        pairs=(one,) * 70,
        groups=((word, 1.0),) * 40,
        faults=(word,),
    )
    words = {"made_at", "family", "span", "feature_version", "first", "last", "barriers", "folds"}
    said = made(judgement, symbols=(word,) * 1000, **dict.fromkeys(words, word))
    return card.from_json(card.to_json(replace(said, verdict=word * 20)))


def full() -> Judgement:
    """As a judgement of eight pairs and six years comes out."""
    shares = (0.283, 0.311, 0.32, 0.327, 0.332, 0.338, 0.344, 0.349, 0.357, 0.383)
    falls = tuple(Fall(f"{2018 + k}", 0.05 * k, -0.01 * k) for k in range(6))
    trading = replace(GOOD.by_trust, totals=(-0.223, -0.15, -0.08, 0.01, 2.28), falls=falls)
    return replace(
        GOOD,
        baselines=(
            Baseline("the base rate", 0.63756, Gain(0.00061, 0.00067, 72, 0.184)),
            Baseline("logistic regression", 0.63656, Gain(-0.00038, 0.00075, 72, 0.694)),
            Baseline("the rule", 0.63757, Gain(0.00063, 0.00066, 72, 0.175)),
        ),
        calibration=replace(GOOD.calibration, table=tuple(Bin(p, p + 0.01, 48_559, 0.1, 700.0, 0.014) for p in shares)),
        by_trust=trading,
        by_forecast=replace(trading, totals=(0.0,) * 5),
        pairs=tuple(replace(GOOD.pairs[0], name=f"DOGE{k}USDT", gain=(k - 3) * 0.3) for k in range(8)),
        groups=(("place in the range", 0.9), ("beside the market", 0.1), ("momentum", 0.0)),
    )


def test_the_answer_stands_first():
    """Whether it may trade, whether it beats doing nothing, and the verdict of the card, before data and doubt."""
    text = Seen(page(made(), ID)).text
    places = [text.index(said) for said in ("MAY TRADE", "It beats doing nothing", made().verdict, "On what data")]
    assert places == sorted(places)
    failed = made(replace(GOOD, calibration=replace(GOOD.calibration, error=0.05)))
    text = Seen(page(failed, ID)).text
    assert "MAY NOT TRADE" in text
    assert "It is not shown to beat doing nothing" in text
    assert text.index(failed.verdict) < text.index("On what data")


def test_every_criterion_is_there_with_its_numbers():
    """Passed or not, in the gate's words."""
    said = made()
    text = Seen(page(said, ID)).text
    for one in said.criteria:
        assert f"{'yes' if one.passed else 'no'} {one.name}: found {one.value:.3g}, limit {one.limit:.3g}" in text
        assert one.sentence in text


def test_data_and_doubt_are_those_of_the_card():
    """On how much it was judged, how much was tried, and what luck does."""
    text = Seen(page(made(), ID)).text
    for said in (
        "40,000 bets from 2018-05-04 to 2023-06-30, none of which it had seen",
        "1h bars of BTC/USDT, ETH/USDT",
        "50 recipes were tried, worth 6.5 independent ones. Probability of backtest overfitting 10%",
        "(deflated Sharpe ratio) 97%",
        "As many bets at random times did as well in 0.1% of 1,000 draws",
        "held in 85% of 1,000 cases; a right one does in 82% or more, give or take 3%",
    ):
        assert said in text


def test_every_picture_is_drawn_with_what_it_says():
    """Six of them, each under its title and over the sentence that says how to read it."""
    seen = Seen(page(made(), ID))
    assert seen.tags.count("svg") == seen.tags.count("figcaption") == len(TITLES)
    places = [seen.text.index(title) for title in TITLES]
    assert places == sorted(places)


def test_no_word_of_ours_is_cut():
    """Every kind of feature, every pair and every baseline has room for its name."""
    assert "\u2026" not in Seen(page(made(full()), ID)).text


def test_what_was_not_found_out_is_left_out():
    """No empty frames: a card without a table, years, pairs or groups has fewer pictures and tables."""
    empty = replace(GOOD.by_trust, bets=0, totals=(), years=(), falls=())
    bare = replace(
        GOOD,
        baselines=(),
        calibration=replace(GOOD.calibration, table=()),
        by_trust=empty,
        by_forecast=empty,
        folds=(),
        pairs=(),
        groups=(),
    )
    seen = Seen(page(made(bare), ID))
    assert (seen.tags.count("svg"), seen.tags.count("table")) == (0, 1)


def test_a_bound_that_was_not_judged_is_said_not_to_be():
    """Instead of a share of no cases."""
    unknown = replace(GOOD, bound_ahead=replace(GOOD.bound_ahead, cells=0))
    assert "Made of the past alone it could not be judged" in Seen(page(made(unknown), ID)).text


@pytest.mark.parametrize("word", [HOSTILE, '"><svg onload=alert(1)>', "]]><!--", "&#60;b&#62;", "\ud800\u202e\u2028"])
def test_no_word_of_a_card_becomes_markup(word: str):
    """A card is a file somebody could have forged: whatever stands in it is read, never obeyed."""
    plain = Seen(page(forged("word"), ID))
    hostile = Seen(page(forged(word), word))
    assert [*dict.fromkeys(hostile.tags)] == [*dict.fromkeys(plain.tags)]
    assert {name for name, _ in hostile.attributes} == {name for name, _ in plain.attributes}
    assert "script" not in hostile.tags
    assert "img" not in hostile.tags


def test_a_hostile_word_is_shown_as_it_stands():
    """Not swallowed either: one sees that somebody wrote it; what turns the reading direction is a question mark."""
    assert HOSTILE in Seen(page(made(span=HOSTILE[:80]), ID)).text.replace("  ", " ")
    assert "a?b" in Seen(page(made(span="a\u202eb"), ID)).text


@pytest.mark.parametrize("size", [HUGE, 1e12, 5e-324, 0.0])
def test_no_number_breaks_the_page(size: float):
    """However large or small: every place in a picture is a number within its frame, and no cell grows without end."""
    text = page(forged("word", size), ID)
    drawn = re.findall(r'viewBox="0 0 (\d+) (\d+)"(.*?)</svg>', text, re.DOTALL)
    assert len(drawn) == len(TITLES)
    for width, height, inside in drawn:
        for most, places in ((width, r' c?x[12]?="(.*?)"'), (height, r' c?y[12]?="(.*?)"')):
            assert all(0 <= float(place) <= float(most) for place in re.findall(places, inside))
    assert max(map(len, re.findall(r"<td>(.*?)</td>", text))) <= 25


def test_a_card_of_hundreds_stays_a_page():
    """Lists, tables and pictures end somewhere and say how much more there is."""
    text = Seen(page(forged("word"), ID)).text
    for said in (f"and {1000 - SYMBOLS_MAX} more", f"the first {SLICES_MAX} of 70", "24 of 70 are drawn"):
        assert said in text


def test_the_page_is_one_file_that_asks_nobody_for_anything():
    """No script, no link, no picture from outside, ASCII throughout; and it forbids the browser all of that."""
    text = page(made(), ID)
    seen = Seen(text)
    assert text.isascii()
    assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(seen.tags)
    assert not {"src", "href", "style", "action"} & {name for name, _ in seen.attributes}
    assert "url(" not in text
    assert "@import" not in text
    assert dict(seen.attributes)["content"] is not None
    assert "default-src 'none'" in text


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1200, True)])
async def test_a_browser_shows_it_whole(tmp_path: Path, width: int, dark: bool):
    """On a phone and on a wide screen: in its colours, nothing wider than the window, no letters over others in a
    picture, and no complaint of the browser's, also about a hostile card."""
    for name, told in (("full", made(full())), ("forged", forged())):
        (tmp_path / f"{name}.html").write_text(page(told, ID))
    async with Browser(tmp_path, width=width, dark=dark) as browser:
        await browser.open((tmp_path / "full.html").as_uri())
        assert await browser.text("h1") == "It is not shown to beat doing nothing"
        assert await browser.script(BACKGROUND) == ("rgb(14, 18, 25)" if dark else "rgb(255, 255, 255)")
        assert await browser.script(COVERED) == []
        for name in ("full", "forged"):
            await browser.open((tmp_path / f"{name}.html").as_uri())
            assert await browser.script("return document.documentElement.scrollWidth") <= width
            assert await browser.script("return document.title") == f"Model {ID}: may not trade"
            assert await browser.console() == []


BACKGROUND = "return getComputedStyle(document.body).backgroundColor"
# pairs of letters in one picture that cover each other, and letters that run out of it
COVERED = """
const found = [];
for (const svg of document.querySelectorAll('svg')) {
  const all = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
  const frame = svg.getBoundingClientRect();
  all.forEach(([said, a], at) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1) found.push(said);
    for (const [other, b] of all.slice(at + 1))
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
        found.push(said + ' / ' + other);
  });
}
return found;
"""
