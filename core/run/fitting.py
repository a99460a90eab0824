"""Whether a model was made for what is done here.

Rule 1: a model made for another bar length, other features or another bet never forecasts; the sentence says why.
Rule 2: nor one that learned beside BTC where BTC is not watched: what it reads off the other symbols has no meaning.
Rule 3: nor does one that its gate did not let through, whoever gave it its place. A card that cannot be read says of
        nobody that the gate did: that model is refused like one whose files were changed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from core.domain.errors import BadData
from core.domain.market import span_name
from core.domain.model import Model
from core.learn import features
from core.learn.cross import BTC
from core.learn.judge import card
from core.learn.rule import HORIZON, STOP_ATRS, TARGET_ATRS

BARRIERS = {"stop_atrs": STOP_ATRS, "target_atrs": TARGET_ATRS, "horizon": float(HORIZON)}


def misfit(model: Model, span: timedelta, symbols: Collection[str]) -> str:
    """Why ``model`` cannot forecast bars of ``symbols`` that last ``span``, "" where it can."""
    made = model.manifest
    if made.span != span_name(span):
        return f"The model {model.id} was made for bars of {made.span}, not of {span_name(span)}: train anew."
    if made.feature_version != features.version():
        return f"The model {model.id} was made for other features than this version's: train anew."
    if dict(made.barriers) != BARRIERS:
        return f"The model {model.id} was made for another stop, target or horizon than this version's: train anew."
    if BTC in made.symbols and BTC not in symbols:
        return (
            f"The model {model.id} learned beside {BTC}, which is not watched: add {BTC} to the symbols, or train anew."
        )
    return ungated(model)


def ungated(model: Model) -> str:
    """Why the gate keeps ``model`` from forecasting, "" where it let it through."""
    try:
        passed = card.from_json(model.card).promotable
    except BadData as fault:
        return f"The model {model.id} is refused: {fault.user_text}."
    return "" if passed else f"The model {model.id} did not pass its gate, so it does not forecast."
