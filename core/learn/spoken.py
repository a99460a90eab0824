"""What spoke for and against in a model's forecast, from its TreeSHAP contributions.

Rule 1: the strongest few are named, each with its value and a share of the strongest one.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.forecast import Contribution

NAMED = 8


def spoken(names: Sequence[str], row: Sequence[float], shares: Sequence[float]) -> tuple[Contribution, ...]:
    """The strongest contributions, strongest first; ``shares`` one a feature, in log-odds, then the base."""
    ranked = sorted(range(len(names)), key=lambda k: -abs(shares[k]))[:NAMED]
    top = abs(shares[ranked[0]]) or 1.0
    return tuple(
        Contribution(names[k], row[k], shares[k] / top, f"{names[k]} is {row[k]:.3g}.") for k in ranked if shares[k]
    )
