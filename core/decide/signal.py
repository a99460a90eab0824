"""From a forecast to a wish, or to the reason why there is none.

Rule 1: no forecast, no setup, no edge after costs, no size: each a Refusal with its code; silence is an answer too.
Rule 2: with real money only the model that is trusted buys: neither the rule, nor what a model said that is gone since.
Rule 3: barriers lie on the tick grid and on the right side of the price.
"""

from __future__ import annotations

from core.decide.ledger import usable_equity
from core.decide.sizing import break_even, has_edge, round_trip_cost, size_steps
from core.domain.forecast import MODEL, Forecast
from core.domain.market import Bar, Instrument, as_decimal, as_float
from core.domain.orders import Refusal, Side, SizeStep, Wanted
from core.domain.state import State

NO_MODEL = Refusal("NO_MODEL", "No learned model has passed its gate; the rule trades on paper only.")


def want(
    state: State, bar: Bar, forecast: Forecast | None, silence: str
) -> tuple[Wanted | Refusal, tuple[SizeStep, ...]]:
    """The entry this bar asks for, or why none, with the size steps as far as they were taken."""
    if forecast is None:
        return Refusal("NO_FORECAST", silence or "There is no forecast for this bar."), ()
    if not forecast.fires:
        return Refusal("NO_SETUP", "The setup is not there."), ()
    if stranger := unknown_to(state, forecast):
        return stranger, ()
    instrument = state.instruments[bar.symbol]
    if not has_edge(forecast, instrument):  # the rule of most bars: nothing is sized that is not bought
        return _no_edge(forecast, instrument), ()
    steps = _careful(state, size_steps(forecast, state.limits, instrument))
    if steps[-1].share <= 0:
        return _no_size(steps), steps
    return _wanted(state, bar, forecast, instrument, steps), steps


def unknown_to(state: State, forecast: Forecast) -> Refusal | None:
    """Why this forecast must not buy with real money, by whoever made it; None where it may."""
    if not state.config.real_money or forecast.model_id == f"{MODEL}{state.trust.model_id}":
        return None
    if forecast.by_rule:
        return NO_MODEL
    return Refusal("NOT_IN_USE", f"The {forecast.model_id.replace(MODEL, 'model ')} that forecast this is not in use.")


def _wanted(
    state: State, bar: Bar, forecast: Forecast, instrument: Instrument, steps: tuple[SizeStep, ...]
) -> Wanted | Refusal:
    price = bar.close
    stop = instrument.floor_price(price * (1 - as_decimal(forecast.loss_move)))
    target = instrument.ceil_price(price * (1 + as_decimal(forecast.win_move)))
    if not 0 < stop < price < target:
        return Refusal("BAD_BARRIERS", f"Stop {stop} and target {target} do not enclose the price {price}.")
    qty = instrument.floor_qty(usable_equity(state) * steps[-1].share / price)
    return Wanted(bar.symbol, Side.BUY, qty, price, stop, target, forecast.horizon_bars, forecast, steps)


def _careful(state: State, steps: tuple[SizeStep, ...]) -> tuple[SizeStep, ...]:
    """The size steps, cut further for a model that is less trusted and for the first entries of a new account."""
    config, trust, nth = state.config, state.trust, state.entries + 1
    if trust.share < 1:
        steps = (*steps, SizeStep("trust", steps[-1].share * trust.share, f"times {trust.share}: {trust.why}"))
    if nth > config.first_trades:
        return steps
    text = f"times {config.first_share} for entry {nth} of the first {config.first_trades} with real money"
    return (*steps, SizeStep("first trades", steps[-1].share * config.first_share, text))


def _no_size(steps: tuple[SizeStep, ...]) -> Refusal:
    """The owner's own settings leave nothing: the first step that did is named."""
    step = next(s for s in steps if s.share <= 0)
    return Refusal(
        "NO_SIZE", f"Nothing is left to buy after the step {step.name}: {step.text}.", (("step", step.name),)
    )


def _no_edge(forecast: Forecast, instrument: Instrument) -> Refusal:
    needed = break_even(forecast.win_move, forecast.loss_move, as_float(round_trip_cost(instrument)))
    return Refusal(
        "NO_EDGE",
        f"At worst {forecast.p_low:.1%} of such setups won; {needed:.1%} are needed to pay the costs.",
        (("p_low", f"{forecast.p_low:.4f}"), ("break_even", f"{needed:.4f}")),
    )
