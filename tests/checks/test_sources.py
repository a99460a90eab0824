"""What no file of the program may do, whatever its author had in mind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNPACKERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
EVALUATORS = {"eval", "exec", "compile", "__import__"}
READERS = {"read_pickle", "load_model", "allow_pickle"}


def risks(source: str) -> Iterator[str]:
    """Names in a source that turn data into code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in UNPACKERS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPACKERS:
            yield str(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EVALUATORS:
            yield node.func.id
        elif isinstance(node, ast.Attribute) and node.attr in READERS:
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in READERS and not _off(node.value):
            yield str(node.arg)


def _off(value: ast.expr) -> bool:
    """Whether a switch is written out as off."""
    return isinstance(value, ast.Constant) and value.value is False


def test_nothing_in_the_program_unpickles_or_evaluates():
    """No file, message or model can become code by being read."""
    found = {
        f"{path.relative_to(ROOT)}: {risk}"
        for folder in ("bot", "core")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for risk in risks(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval(x)",
        "pandas.read_pickle(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=x)",
    ],
)
def test_each_way_of_making_data_into_code_is_seen(source: str):
    """The look itself is not blind."""
    assert list(risks(source))
