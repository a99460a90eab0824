"""ccxt's Binance without its hundred other exchanges: a third of the memory, for the very same class.

``import ccxt.async_support`` imports every exchange there is, and ``ccxt`` itself the same number once more. Here both
packages start as shells that hold no more than what Binance's own modules ask of them.

Rule 1: only with the version this was tried with; with any other, or after any surprise, the import is the plain one.
Rule 2: a shell asked for anything else becomes the whole package on the spot, so nobody can tell the difference.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec
from types import ModuleType

TRIED = "4.5.90"
PACKAGE = "ccxt.async_support"


class Shell(ModuleType):
    """A package whose ``__init__`` runs only when something is asked for that the shell does not hold."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def load() -> ModuleType:
    """``ccxt.async_support``, with ``binance`` and the errors at once and everything else on demand."""
    if "ccxt" in sys.modules or not _as_tried():
        return import_module(PACKAGE)
    try:
        return _slim()
    except Exception:  # whatever was different: half an import is thrown away, and a whole one made
        for name in [name for name in sys.modules if name.partition(".")[0] == "ccxt"]:
            del sys.modules[name]
        return import_module(PACKAGE)


def _as_tried() -> bool:
    try:
        return version("ccxt") == TRIED
    except PackageNotFoundError:  # installed in a way that tells no version
        return False


def _slim() -> ModuleType:
    top, package = _shell("ccxt"), _shell(PACKAGE)
    errors = vars(import_module("ccxt.base.errors"))
    for shell in (top, package):
        vars(shell).update({name: error for name, error in errors.items() if isinstance(error, type)})
    vars(top)["async_support"] = package
    vars(top)["Exchange"] = import_module("ccxt.base.exchange").Exchange
    # importing a submodule binds it to its package, where ccxt has the class of the same name
    vars(package)["binance"] = import_module(f"{PACKAGE}.binance").binance
    return package


def _shell(name: str) -> ModuleType:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    shell = module_from_spec(spec)
    shell.__class__ = Shell
    sys.modules[name] = shell
    return shell
