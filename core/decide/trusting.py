"""Who forecasts, and how far it is trusted.

Rule 1: what the lab says is told, and remembered where it changes who forecasts or with what share.
Rule 2: trust only cuts sizes; no position is left because of it.
"""

from __future__ import annotations

from core.decide.exits import Stepped, no_effects
from core.domain import events as ev
from core.domain.effects import Tell, Topic
from core.domain.state import State


def lab_spoke(state: State, event: ev.LabSpoke) -> Stepped:
    """Trust what the lab says is to be trusted from now on, and tell the owner."""
    after = state.with_(trust=event.trust) if event.trust else state
    return after, (Tell(Topic.MODEL, after.trust.model_id, event.text, urgent=event.urgent),)


def noted(state: State, event: ev.OwnerTrained | ev.OwnerPromoted) -> Stepped:
    """The owner's word to the lab stands in journal and audit; what comes of it the lab says itself."""
    return no_effects(state)
