"""What a decision looks like: the signal card, and the answer to why.

Rule 1: pure: values in, formatted text out; every piece of text is a node, so nothing can be mistaken for markup.
Rule 2: a rule calls itself a rule in every card, and a simulated market is called simulated.
Rule 3: a card stays under a caption's 1,024 units; the longest list is cut, never a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

from aiogram.utils.formatting import Bold, Italic, Text

from bot.views import words
from core.domain.forecast import Contribution, Forecast
from core.domain.state import Decision, Outcome

REASONS_SHOWN = 3


def signal_card(decision: Decision, zone: ZoneInfo, span: timedelta, simulated: bool, note: str = "") -> Text:
    """The card of an entry: what, how much, barriers, chance, reasons; ``note`` says what became of it."""
    forecast = decision.forecast
    parts: list[object] = [_title(decision), _badge(forecast, simulated), *_plan(decision, span)]
    if forecast:
        parts += [_chance(forecast), *_reasons(forecast)]
    if note:
        parts += ["\n\n", Bold(note)]
    parts += ["\n", Italic(f"bar of {words.moment(decision.bar_open_at, zone)}")]
    return Text(*parts)


def why_card(decision: Decision, zone: ZoneInfo, span: timedelta, simulated: bool) -> Text:
    """Why there was an order, or why not: outcome, reason, chance, size steps, what spoke for and against."""
    forecast = decision.forecast
    parts: list[object] = [Bold(f"{decision.symbol}: {_OUTCOMES[decision.outcome]}"), _badge(forecast, simulated)]
    if decision.refusal:
        parts += ["\n\n", Bold("Why not: "), decision.refusal.sentence, Italic(f" [{decision.refusal.code}]")]
    if decision.qty:
        parts += [*_plan(decision, span)]
    if forecast:
        parts += [_chance(forecast), *_reasons(forecast)]
    if decision.steps:
        parts += ["\n\n", Bold("Size, share of equity")]
        parts += [f"\n{words.percent(step.share, 2)} {step.text}" for step in decision.steps]
    parts += ["\n", Italic(f"bar of {words.moment(decision.bar_open_at, zone)} at {words.price(decision.price)}")]
    return Text(*parts)


_OUTCOMES = {
    Outcome.ORDERED: "ordered",
    Outcome.PROPOSED: "proposed to you",
    Outcome.REFUSED: "refused by a limit",
    Outcome.QUIET: "no order",
}


def _title(decision: Decision) -> Bold:
    return Bold(f"🟢 BUY {decision.symbol} at {words.price(decision.price)}")


def _badge(forecast: Forecast | None, simulated: bool) -> Italic:
    """``rule`` or the model's name, and SIMULATED where no money can be made or lost."""
    source = ""
    if forecast:
        kind, _, name = forecast.model_id.partition(":")
        source = f"by a fixed rule ({name}), not a learned model" if kind == "rule" else f"by {forecast.model_id}"
    parts = [source, "SIMULATED market" if simulated else ""]
    return Italic("\n" + " · ".join(part for part in parts if part))


def _plan(decision: Decision, span: timedelta) -> Iterator[object]:
    up = decision.target / decision.price - 1
    down = decision.stop / decision.price - 1
    yield from ("\n\nBuy ", Bold(words.qty(decision.qty)), f" for about {words.money(decision.qty * decision.price)}")
    if decision.steps:
        yield f" ({words.percent(decision.steps[-1].share)} of equity at most)"
    yield from (f"\nTarget {words.price(decision.target)} ({words.signed_percent(up)})",)
    yield f"\nStop {words.price(decision.stop)} ({words.signed_percent(down)})"
    if decision.forecast:
        yield f"\nSold after {words.bars(decision.forecast.horizon_bars, span)} at the latest"


def _chance(forecast: Forecast) -> str:
    odds = forecast.win_move / forecast.loss_move
    return (
        f"\n\nChance {words.percent(forecast.p_win)}, at worst {words.percent(forecast.p_low)}, "
        f"from {words.plural(forecast.samples, 'past outcome')}; wins {odds:.1f} for 1"
    )


def _reasons(forecast: Forecast) -> Iterator[object]:
    for sign, title in ((1, "For"), (-1, "Against")):
        named = strongest(forecast, sign)
        if named:
            yield from ("\n", Bold(f"{title}: "), "; ".join(reason.text for reason in named[:REASONS_SHOWN]))


def strongest(forecast: Forecast, sign: int) -> list[Contribution]:
    """Contributions that spoke for (1) or against (-1), strongest first."""
    spoke = [c for c in forecast.contributions if c.effect * sign > 0]
    return sorted(spoke, key=lambda c: -abs(c.effect))
