"""The way back: to the newest champion before that fits what is done here and that a process can serve.

Rule 1: whoever goes back, by drift, by a press or by the command, goes the same way, and passes over what cannot
        forecast, with a sentence each.
Rule 2: who was proven gets the place, and nobody else who may stand before it by then; and by drift only that of the
        champion that drifts, not of one that got it meanwhile.
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


async def go_back(
    models: ModelStore, unfit: Callable[[Model], str], prove: Prove, instead_of: str = ""
) -> tuple[str, Sequence[str]]:
    """Give the champion's place back along ``way_back``; the id of who gets it, and why others do not.

    ``instead_of`` is the champion that has to go, "" for whoever it is. Raises NeedsOwner where nobody is left, BadData
    where the place is another's by now; the champion then stays.
    """
    try:
        model, passed = await way_back(models, unfit, prove)
    except NeedsOwner:
        await asyncio.to_thread(_require_holder, models, instead_of)
        raise
    await put_back(models, model.id, instead_of)
    return model.id, passed


async def put_back(models: ModelStore, made: str, instead_of: str = "") -> None:
    """Give the champion's place to this one of the champions before. Raises NeedsOwner where it is none any more,
    BadData where the place is no longer that of ``instead_of``."""

    def fault_of(model: Model) -> str:
        _require_holder(models, instead_of)  # asked while nobody else may write
        return "" if model.id == made else f"{model.id} was not asked for."

    await asyncio.to_thread(models.rollback, fault_of)


def _require_holder(models: ModelStore, made: str) -> None:
    champion, _ = models.champion()
    if made and champion and champion.id != made:
        raise BadData(f"{champion.id} got the place meanwhile and keeps it.")
