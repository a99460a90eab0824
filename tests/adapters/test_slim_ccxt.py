"""ccxt without its other exchanges is ccxt: the same class, the same errors, and the rest still there when asked for.

What an import does shows in a fresh process only, so every look is a program of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OTHER_VERSION = """
import importlib.metadata
importlib.metadata.version = lambda name: "0.0.1"
"""
PLAINLY_BEFORE = "import ccxt.async_support"
NO_VERSION = """
import importlib.metadata
def nothing(name):
    raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = nothing
"""
BROKEN_HALFWAY = """
import sys
class Once:
    left = 1
    def find_spec(self, name, path, target=None):
        if name == "ccxt.abstract.binance" and self.left:
            self.left = 0
            raise RuntimeError("no such thing in this version")
sys.meta_path.insert(0, Once())
"""
OURS = "from core.adapters.binance_wire import ccxt"
ENDS = "import sys; print(sorted(n for n in sys.modules if n.startswith('ccxt.') and n.endswith(('kraken', 'okx'))))"
REST = """
import ccxt.async_support, ccxt.pro
from ccxt.base.errors import BaseError
binance = ccxt.async_support.binance
print(ccxt.async_support.kraken, ccxt.kraken, ccxt.binance, ccxt.__version__, ccxt.async_support.__version__)
print(len(ccxt.exchanges), ccxt.exchanges == ccxt.async_support.exchanges, ccxt.BaseError is BaseError)
print(issubclass(ccxt.pro.binance, binance), issubclass(ccxt.pro.kraken, ccxt.async_support.kraken), binance.__mro__)
print(issubclass(ccxt.async_support.InvalidOrder, BaseError), ccxt.async_support.InvalidOrder is ccxt.InvalidOrder)
"""


def printed(*code: str) -> str:
    """What a fresh Python prints."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "\n".join(code)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_line_to_the_exchange_loads_no_other_exchange() -> None:
    """Of a hundred exchanges the process holds the one it trades on."""
    assert printed(OURS, ENDS) == "[]"
    assert int(printed(OURS, "import sys; print(sum(n.startswith('ccxt') for n in sys.modules))")) < 40


def test_whatever_else_ccxt_has_is_there_when_asked_for() -> None:
    """A shell becomes the whole package: other exchanges, the synchronous ones, the streaming ones, lists, versions."""
    assert printed(OURS, REST) == printed(PLAINLY_BEFORE, REST)


@pytest.mark.parametrize(
    "surprise",
    [OTHER_VERSION, NO_VERSION, PLAINLY_BEFORE, BROKEN_HALFWAY],
    ids=["other", "none", "made before", "broken halfway"],
)
def test_anything_unexpected_gets_the_plain_import(surprise: str) -> None:
    """Another version, an import somebody made before, or a failure in the middle costs memory and nothing else."""
    assert printed(surprise, OURS, ENDS) == printed(PLAINLY_BEFORE, ENDS)


def test_a_name_python_itself_looks_for_does_not_wake_the_package() -> None:
    """Tools that probe every module for special names do not cost the memory that was saved."""
    probe = "import inspect\nprint(hasattr(ccxt, '__wrapped__'), inspect.getmodule(ccxt.binance).__name__)"
    assert printed(OURS, probe, ENDS) == "False ccxt.async_support.binance\n[]"


def test_orders_walk_through_the_simulated_exchange_with_the_plain_import_too() -> None:
    """The whole line to the exchange, orders and refusals included, behaves the same without the shells."""
    words = [sys.executable, "-m", "pytest", "-p", "ccxt.async_support", "-p", "no:xdist", "-p", "no:cacheprovider"]
    options = ["-o", "addopts=-q --import-mode=importlib", "tests/adapters/test_binance_on_exchange.py"]
    done = subprocess.run([*words, *options], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
