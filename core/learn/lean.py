"""LightGBM for forecasting alone: what it brings along for training is kept out of the process.

Rule 1: pandas, scikit-learn and whatever draws are optional to LightGBM and stay out.
Rule 2: scipy is not optional to it (4.7.0 imports scipy.sparse at its head), but it only asks whether a table is a
        sparse one; three classes nobody makes anything of answer that, and scipy stays out as well.
Rule 3: this is for a process that forecasts and does nothing else: once asked for, the others cannot be imported in it.
"""

from __future__ import annotations

import sys
import types
from typing import Any

_OPTIONAL = ("pandas", "sklearn", "matplotlib", "graphviz", "pyarrow", "polars", "dask", "cffi")
_SPARSE = ("spmatrix", "csr_matrix", "csc_matrix")


def lightgbm() -> Any:
    """The module, in a third of its memory; what it forecasts is the same to the last bit."""
    for name in _OPTIONAL:
        sys.modules[name] = None  # type: ignore[assignment]  # what Python itself writes for "not to be had"
    sparse = types.ModuleType("scipy.sparse")
    for name in _SPARSE:
        setattr(sparse, name, type(name, (), {}))
    scipy = types.ModuleType("scipy")
    scipy.sparse = sparse  # type: ignore[attr-defined]
    sys.modules |= {"scipy": scipy, "scipy.sparse": sparse}
    import lightgbm

    return lightgbm
