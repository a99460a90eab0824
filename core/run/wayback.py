"""The way back: to the newest champion before that fits what is done here and that a process can serve.

Rule 1: whoever goes back, by drift, by a press or by the command, goes the same way, and passes over what cannot
        forecast, with a sentence each.
Rule 2: who was proven gets the place, and nobody else who may stand before it by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from core.domain.errors import BadData, NeedsOwner
from core.domain.model import Model
from core.lab_ports import NOBODY_BEFORE, ModelStore

Prove = Callable[[Path], Awaitable[object]]
"""Passes where a model in a folder can be served, else raises BadData."""


async def way_back(models: ModelStore, unfit: Callable[[Model], str], prove: Prove) -> tuple[Model, Sequence[str]]:
    """Who would be gone back to, proven, and of each newer champion before why it was passed over.

    ``unfit`` says what speaks against a sound model, "" for nothing. Raises NeedsOwner where nobody is left.
    """
    unproven: dict[str, str] = {}

    def fault_of(model: Model) -> str:
        return unfit(model) or unproven.get(model.id, "")

    while True:
        model, passed = await asyncio.to_thread(models.way_back, fault_of)
        if model is None:
            raise NeedsOwner(" ".join((*passed, NOBODY_BEFORE)))
        try:
            await prove(model.folder)
        except BadData as fault:
            unproven[model.id] = fault.user_text
        else:
            return model, passed


async def go_back(models: ModelStore, unfit: Callable[[Model], str], prove: Prove) -> tuple[str, Sequence[str]]:
    """Give the champion's place back along ``way_back``; the id of who gets it, and why others do not.

    Raises NeedsOwner where nobody is left; the champion then stays.
    """
    model, passed = await way_back(models, unfit, prove)
    await put_back(models, model.id)
    return model.id, passed


async def put_back(models: ModelStore, made: str) -> None:
    """Give the champion's place to this one of the champions before. Raises NeedsOwner where it is none any more."""
    await asyncio.to_thread(models.rollback, lambda one: "" if one.id == made else f"{one.id} was not asked for.")
