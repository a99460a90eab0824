"""The picture that goes with a decision: candles, barriers, and what spoke for and against.

Rule 1: pure: values in, a ChartSpec out; the drawing itself happens in another process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from bot.views import words
from bot.views.cards import strongest
from bot.views.chartspec import Candle, ChartSpec, FillMark, PriceLine, Spoke, Tone
from bot.views.labels import label
from core.domain.forecast import Forecast
from core.domain.market import Bar, as_float, span_name, to_ms
from core.domain.state import Decision, Position

SPOKEN_SHOWN = 5


def decision_chart(
    decision: Decision, bars: Sequence[Bar], tick: Decimal, zone: str, staged: str, position: Position | None = None
) -> ChartSpec:
    """Candles up to the decision with its entry, stop and target, or the position's where one is held."""
    forecast = decision.forecast
    return ChartSpec(
        title=f"{decision.symbol} {span_name(bars[-1].span)}",
        subtitle=_subtitle(decision),
        candles=tuple(_candle(bar) for bar in bars),
        decimals=decimals(tick),
        badge=staged,
        time_zone=zone,
        lines=tuple(_lines(decision, position)),
        fills=(FillMark(to_ms(position.opened_at), as_float(position.entry_price), buy=True),) if position else (),
        spoke_for=_spoke(forecast, 1),
        spoke_against=_spoke(forecast, -1),
        footer=_footer(forecast),
    )


def decimals(tick: Decimal) -> int:
    """How many decimals prices on this tick have."""
    exponent = tick.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _subtitle(decision: Decision) -> str:
    if decision.refusal:
        return decision.refusal.sentence
    if not decision.qty:
        return "no order"
    return f"buy {words.qty(decision.qty)} at {words.price(decision.price)}"


def _candle(bar: Bar) -> Candle:
    numbers = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return Candle(to_ms(bar.open_at), *(as_float(number) for number in numbers))


def _lines(decision: Decision, position: Position | None) -> Iterator[PriceLine]:
    entry = position.entry_price if position else decision.price
    stop = position.stop if position else decision.stop
    target = position.target if position else decision.target
    if not (stop and target and entry):
        yield PriceLine("last", as_float(decision.price), Tone.LAST)
        return
    yield PriceLine("entry", as_float(entry), Tone.ENTRY)
    yield PriceLine(f"stop {words.signed_percent(stop / entry - 1)}", as_float(stop), Tone.STOP)
    yield PriceLine(f"target {words.signed_percent(target / entry - 1)}", as_float(target), Tone.TARGET)


def _spoke(forecast: Forecast | None, sign: int) -> tuple[Spoke, ...]:
    if forecast is None:
        return ()
    return tuple(Spoke(label(c), min(1.0, abs(c.effect))) for c in strongest(forecast, sign)[:SPOKEN_SHOWN])


def _footer(forecast: Forecast | None) -> str:
    if forecast is None:
        return ""
    learned = ", not a learned model" if forecast.by_rule else ""
    name = forecast.model_id.replace("model:", "model ")
    return f"{name}{learned}; {words.plural(forecast.samples, 'past outcome')}"
