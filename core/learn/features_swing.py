"""Oscillators of price and volume: Stochastic (Lane), CCI (Lambert, 1980), MFI (Quong and Soudack, 1989), OBV.

Rule 1: typical prices that differ by less than NOISE of themselves are equal: sums of the same ticks in another order
differ in their last bits, and a flow must not turn on that.
Rule 2: on-balance volume is taken as a difference, never as the sum since a window happened to begin.
Rule 3: a market that does not move is in the middle: 50 of 100, 0 of -1..1.
"""

from __future__ import annotations

from collections.abc import MutableSequence

from core.learn.folds import NOISE, State, balance, highest, mean_from, push, stray_from
from core.learn.layout import (
    AT,
    CLOSE_BEFORE,
    FLOWS,
    HIGH_14,
    LOW_14,
    SIGNED,
    TYPICAL_BEFORE,
    TYPICALS,
)

_STOCH_K = AT["stoch_k"]
_CCI_20 = AT["cci_20"]
_MFI_14 = AT["mfi_14"]
_OBV_24 = AT["obv_24"]


def step_swing(s: State, out: MutableSequence[float], high: float, low: float, close: float, volume: float) -> None:
    """Put Stochastic and MFI (0..100), CCI (about -300..300) and the OBV balance (-1..1) into ``out``."""
    _stochastic(s, out, high, low, close)
    typical = (high + low + close) / 3.0
    _commodity_channel(s, out, typical)
    _money_flow(s, out, typical, volume)
    _on_balance(s, out, close, volume)
    s[TYPICAL_BEFORE] = typical


def _stochastic(s: State, out: MutableSequence[float], high: float, low: float, close: float) -> None:
    top = highest(s, HIGH_14, high, 14)
    bottom = -highest(s, LOW_14, -low, 14)
    place = 50.0
    if top > bottom:
        place = 100.0 * (close - bottom) / (top - bottom)
    out[_STOCH_K] = place


def _commodity_channel(s: State, out: MutableSequence[float], typical: float) -> None:
    push(s, TYPICALS, typical, 20)
    offset = mean_from(s, TYPICALS, typical, 20)
    stray = stray_from(s, TYPICALS, typical + offset, 20)
    out[_CCI_20] = 0.0
    if stray > NOISE * typical:
        out[_CCI_20] = -offset / (0.015 * stray)


def _money_flow(s: State, out: MutableSequence[float], typical: float, volume: float) -> None:
    flow = 0.0
    if typical > s[TYPICAL_BEFORE] * (1.0 + NOISE):
        flow = typical * volume
    elif typical < s[TYPICAL_BEFORE] * (1.0 - NOISE):
        flow = -typical * volume
    push(s, FLOWS, flow, 14)
    out[_MFI_14] = 50.0 + 50.0 * balance(s, FLOWS, 14)


def _on_balance(s: State, out: MutableSequence[float], close: float, volume: float) -> None:
    signed = 0.0
    if close > s[CLOSE_BEFORE]:
        signed = volume
    elif close < s[CLOSE_BEFORE]:
        signed = -volume
    push(s, SIGNED, signed, 24)
    out[_OBV_24] = balance(s, SIGNED, 24)
