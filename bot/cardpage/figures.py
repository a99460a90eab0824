"""Numbers of a card as text that stays short, whatever number a file holds.

Rule 1: what is beyond all sense is said as such; a column of a table never grows by it.
"""

from __future__ import annotations

SHARE_MAX = 100.0
NUMBER_MAX = 1e12


def share(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """A fraction as percent: ``12.3%``, or ``+12.3%`` where ``signed``."""
    if abs(value) > SHARE_MAX:
        return f"{'under -' if value < 0 else 'over '}{SHARE_MAX:,.0%}"
    value += 0.0  # nobody reads a sense into -0
    return f"{value:+.{decimals}%}" if signed else f"{value:.{decimals}%}"


def number(value: float, decimals: int = 0, *, signed: bool = False) -> str:
    """A number with thousands apart: ``1,234.5``."""
    if abs(value) > NUMBER_MAX:
        return f"{'under -' if value < 0 else 'over '}{NUMBER_MAX:.0e}"
    return f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"


def brief(value: float) -> str:
    """A number of unknown size in at most three digits: ``0.05``, ``412``, ``1.2e+07``."""
    return f"{value:.3g}"
