"""What a decision looks like: the signal card, and the answer to why.

Rule 1: pure: values in, formatted text out; every piece of text is a node, so nothing can be mistaken for markup.
Rule 2: a rule calls itself a rule in every card, and a market that is not real is called SIMULATED or REPLAYED.
Rule 3: a card stays under a caption's 1,024 units; reasons and single cases are left out for it, weakest and farthest
first, never a number. Where not even that is enough it is a message of its own under its picture, with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Italic, Text

from bot.views import words
from bot.views.fitting import CAPTION_MAX, shortened, size
from bot.views.whynot import why_not
from core.domain.forecast import Contribution, Forecast
from core.domain.market import span_name
from core.domain.state import Decision, Outcome

REASONS_SHOWN = 3


def signal_card(decision: Decision, zone: ZoneInfo, span: timedelta, quote: str, staged: str, note: str = "") -> Text:
    """The card of an entry: what, how much, barriers, chance, reasons; ``note`` says what became of it."""
    head: list[object] = [
        Bold(f"🟢 BUY {decision.symbol} at {words.price(decision.price)}"),
        _badge(decision.forecast, staged),
        *_plan(decision, span, quote),
    ]
    foot = ["\n\n", Bold(note)] if note else []
    foot += ["\n\n", Italic(_bar(decision, zone, span))]
    return shortened(lambda n: Text(*head, *_outlook(decision.forecast, n), *foot), REASONS_SHOWN)


def why_card(
    decision: Decision,
    zone: ZoneInfo,
    span: timedelta,
    quote: str,
    staged: str,
    more: Sequence[str] = (),
    cases: Sequence[str] = (),
) -> Text:
    """Why there was an order, or why not: outcome, reason, chance, size steps, what spoke for and against; ``more`` is
    what else is known, a paragraph each, ``cases`` the most alike bars, a line each."""
    head: list[object] = [
        Bold(f"{decision.symbol}: {_OUTCOMES[decision.outcome]}"),
        _badge(decision.forecast, staged),
    ]
    if decision.refusal:
        sentence, code = why_not(decision.refusal, decision.steps, span)
        head += ["\n\n", Bold("Why not: "), sentence, Italic(f" [{code}]")]
    if decision.qty:
        head += _plan(decision, span, quote)
    known = [f"\n\n{said}" for said in more]
    foot: list[object] = []
    if decision.steps:
        foot += ["\n\n", Bold("Size, as a share of equity")]
        foot += [f"\n{words.percent(step.share)} {step.text}" for step in decision.steps]
    foot += ["\n\n", Italic(f"{_bar(decision, zone, span)}, closed at {words.price(decision.price)}")]

    def card(most: int) -> Text:
        return Text(*head, *_outlook(decision.forecast, most), *known, *_nearest(cases[:most]), *foot)

    short = shortened(card, REASONS_SHOWN)
    return short if size(short) <= CAPTION_MAX else card(REASONS_SHOWN)


_OUTCOMES = {
    Outcome.ORDERED: "ordered",
    Outcome.PROPOSED: "proposed to you",
    Outcome.REFUSED: "refused by a limit",
    Outcome.QUIET: "no order",
}


def _badge(forecast: Forecast | None, staged: str) -> Text:
    """SIMULATED or REPLAYED where no money can be made or lost, and ``rule`` or the model's name."""
    parts = [f"{staged} market"] if staged else []
    if forecast:
        kind, _, name = forecast.model_id.partition(":")
        learned = f"by the model {name}" if kind == "model" else f"by {forecast.model_id}"
        parts.append(f"by a fixed rule ({name}), not a learned model" if kind == "rule" else learned)
    return Text("\n", Italic(" · ".join(parts))) if parts else Text()


def _plan(decision: Decision, span: timedelta, quote: str) -> Iterator[object]:
    base = decision.symbol.removesuffix(quote)
    value = decision.qty * decision.price
    yield from ("\n\nBuy ", Bold(f"{words.qty(decision.qty)} {base}"), f" for about {words.money(value)} {quote}")
    if decision.steps:
        yield f", at most {words.percent(decision.steps[-1].share)} of equity"
    yield f"\nTarget {words.price(decision.target)} ({words.signed_percent(decision.target / decision.price - 1)})"
    yield f"\nStop {words.price(decision.stop)} ({words.signed_percent(decision.stop / decision.price - 1)})"
    if decision.forecast:
        yield f"\nSold after {words.bars(decision.forecast.horizon_bars, span)} at the latest"


def _outlook(forecast: Forecast | None, reasons: int) -> Iterator[object]:
    """Chance and up to ``reasons`` reasons on each side."""
    if forecast is None:
        return
    odds = forecast.win_move / forecast.loss_move
    yield (
        f"\n\nChance {words.percent(forecast.p_win)}, at worst {words.percent(forecast.p_low)} "
        f"({words.plural(forecast.samples, 'past outcome')}); a win pays {odds:.1f} times a loss"
    )
    for sign, title in ((1, "For"), (-1, "Against")):
        named = strongest(forecast, sign)[:reasons]
        if named:
            yield from ("\n\n", Bold(title), *(f"\n• {reason.text}" for reason in named))


def _nearest(cases: Sequence[str]) -> Iterator[object]:
    if cases:
        yield from ("\n\n", Bold("The nearest"), *(f"\n• {case}" for case in cases))


def _bar(decision: Decision, zone: ZoneInfo, span: timedelta) -> str:
    return f"{span_name(span)} bar of {words.moment(decision.bar_open_at, zone)}"


def strongest(forecast: Forecast, sign: int) -> list[Contribution]:
    """Contributions that spoke for (1) or against (-1), strongest first."""
    spoke = [c for c in forecast.contributions if c.effect * sign > 0]
    return sorted(spoke, key=lambda c: -abs(c.effect))
