"""aiogram, imported at a third of its memory: a model is built when it is first used, not before.

Importing aiogram makes over 600 pydantic models and compiles a validator for each; firstmate uses a few dozen of them.

Rule 1: only with the versions this was tried with; with any other, or on any surprise, the import is the plain one.
Rule 2: pydantic is as it was when the import is over; only aiogram's own classes know that they are to be built later.
Rule 3: a model is built by pydantic's own means and out of the names aiogram would have built it with.

Importing this module does it, so it must come before whatever imports aiogram.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel

TRIED = {"aiogram": "3.31.0", "pydantic": "2.13.5"}
USED = ("model_rebuild", "model_config", "__pydantic_parent_namespace__")


def load() -> bool:
    """Import aiogram; whether its models wait for their first use."""
    if "aiogram" in sys.modules or not _as_tried():
        import_module("aiogram")
        return False
    try:
        with _building_later() as names:
            import_module("aiogram")
        _remember(names)
    except Exception:  # whatever was different: half an import is thrown away, and a whole one made
        for name in [name for name in sys.modules if name.partition(".")[0] == "aiogram"]:
            del sys.modules[name]
        import_module("aiogram")
        return False
    return True


def _as_tried() -> bool:
    try:
        same = all(version(name) == tried for name, tried in TRIED.items())
    except PackageNotFoundError:  # installed in a way that tells no version
        return False
    return same and all(hasattr(BaseModel, name) for name in USED)


@contextmanager
def _building_later() -> Iterator[dict[str, Any]]:
    """Within the block aiogram's models are declared only; the dictionary gathers the names their fields refer to."""
    names: dict[str, Any] = {}
    rebuild, config = BaseModel.__dict__["model_rebuild"], BaseModel.model_config

    def note(cls: type[BaseModel], /, *, _types_namespace: dict[str, Any] | None = None, **rest: Any) -> bool | None:
        if not _is_aiograms(cls):
            built: bool | None = rebuild.__func__(cls, _types_namespace=_types_namespace, **rest)
            return built
        names.update(_types_namespace or {})
        return None

    BaseModel.model_rebuild = classmethod(note)  # type: ignore[assignment, method-assign]
    BaseModel.model_config = {**config, "defer_build": True}
    try:
        yield names
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
        BaseModel.model_config = config


def _remember(names: dict[str, Any]) -> None:
    """Give every model the names it will need; without them pydantic would look in the wrong module."""
    if not names:
        raise LookupError("aiogram named no types")
    for model in _offspring(BaseModel):
        if _is_aiograms(model):
            model.__pydantic_parent_namespace__ = names


def _offspring(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _offspring(child)


def _is_aiograms(model: type[BaseModel]) -> bool:
    return model.__module__.partition(".")[0] == "aiogram"


load()
