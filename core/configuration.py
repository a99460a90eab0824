"""The owner's settings as the machine's own configuration.

Rule 1: what counts in seconds of a person counts in more seconds of a clock that runs quicker.
"""

from __future__ import annotations

from math import ceil

from core.domain.state import Config, Limits
from core.settings import Settings

QUOTE = "USDT"
SEND_WINDOW_S = 30
TOLD_AFTER_S = 7


def config_of(
    settings: Settings, install: str, approve_window_s: int, pace: float, first_trades: int, real_money: bool
) -> Config:
    """The configuration of one start; ``pace`` is how many seconds of the mode's clock pass in one of a person."""
    return Config(
        install=install,
        quote=QUOTE,
        approve_auto=settings.approve == "auto",
        approve_window_s=approve_window_s,
        limits=limits_of(settings),
        time_zone=settings.time_zone,
        first_trades=first_trades,
        first_share=settings.first_share,
        trail_stops=settings.trail_stops == "on",
        send_window_s=ceil(SEND_WINDOW_S * pace),
        told_after_s=ceil(TOLD_AFTER_S * pace),
        real_money=real_money,
    )


def limits_of(settings: Settings) -> Limits:
    """The owner's limits as configured."""
    return Limits(
        kelly_fraction=settings.kelly_fraction,
        target_volatility=settings.target_volatility,
        day_loss_max=settings.day_loss_max,
        drawdown_max=settings.drawdown_max,
        symbol_exposure_max=settings.symbol_exposure_max,
        gross_exposure_max=settings.gross_exposure_max,
        bucket_exposure_max=settings.bucket_exposure_max,
        orders_open_max=settings.orders_open_max,
        orders_per_min_max=settings.orders_per_min_max,
        stale_bars=settings.stale_bars,
    )
