"""How much: fractional Kelly on the lower bound of the probability, scaled down, never up.

Rule 1: each step may only lower the share; each leaves its name, its result and a sentence.
Rule 2: the edge is taken after costs, so a bet that does not pay its fees is worth zero.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.forecast import Forecast
from core.domain.market import ZERO, Instrument, as_decimal, as_float
from core.domain.orders import SizeStep
from core.domain.state import Limits

SLIPPAGE_PER_SIDE = Decimal("0.0002")


def round_trip_cost(instrument: Instrument) -> Decimal:
    """Fraction of the notional lost to taker fees and slippage on the way in and out."""
    return 2 * (instrument.taker_fee + SLIPPAGE_PER_SIDE)


def kelly_share(p: float, win_move: float, loss_move: float, cost: float) -> float:
    """Full Kelly share of equity to hold, >= 0, per unit staked: ``f = p / loss - (1 - p) / win`` after costs.

    ``cost`` (round trip, fraction of the notional) is taken from the win and added to the loss. Kelly (1956) for a bet
    that gains ``win`` or loses ``loss`` per unit; zero where the win does not pay the cost.
    """
    win, loss = win_move - cost, loss_move + cost
    if win <= 0:
        return 0.0
    return max(0.0, p / loss - (1 - p) / win)


def break_even(win_move: float, loss_move: float, cost: float) -> float:
    """Probability of winning, 0..1, at which a bet earns nothing after costs."""
    win, loss = win_move - cost, loss_move + cost
    return min(1.0, loss / (win + loss)) if win > 0 else 1.0


def has_edge(forecast: Forecast, instrument: Instrument) -> bool:
    """Whether the bet earns anything after costs, even at the lower bound of its chance."""
    cost = as_float(round_trip_cost(instrument))
    return kelly_share(forecast.p_low, forecast.win_move, forecast.loss_move, cost) > 0


def size_steps(forecast: Forecast, limits: Limits, instrument: Instrument) -> tuple[SizeStep, ...]:
    """The shares of equity (0..1) after each step, from full Kelly down to the cap; empty shares stay zero."""
    cost = as_float(round_trip_cost(instrument))
    full = as_decimal(kelly_share(forecast.p_low, forecast.win_move, forecast.loss_move, cost))
    calm = _calm(forecast, limits)
    sure = as_decimal(forecast.p_low / forecast.p_win) if forecast.p_win else ZERO
    fraction = full * limits.kelly_fraction
    scaled = fraction * calm
    confident = scaled * sure
    capped = min(confident, limits.symbol_exposure_max)
    return (
        SizeStep("kelly", full, f"full Kelly at the lower bound {forecast.p_low:.1%}, cost {cost:.2%}"),
        SizeStep("fraction", fraction, f"times {limits.kelly_fraction} of Kelly"),
        SizeStep("volatility", scaled, f"times {calm:.2f} for volatility {forecast.volatility:.0%} a year"),
        SizeStep("confidence", confident, f"times {sure:.2f} for {forecast.samples} outcomes behind it"),
        SizeStep("cap", capped, f"at most {limits.symbol_exposure_max:.0%} of equity in one symbol"),
    )


def _calm(forecast: Forecast, limits: Limits) -> Decimal:
    """Target volatility over the measured one, never above 1."""
    measured = as_decimal(forecast.volatility)
    return min(Decimal(1), limits.target_volatility / measured) if measured > 0 else Decimal(1)
