"""What strangers send: any JSON, good rows with something spoiled, good texts with something changed."""

from __future__ import annotations

import copy
import os
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

TIMES = "FUZZ_TIMES"  # set by `./run fuzz --parsers`

NASTY = st.sampled_from(
    [
        None, True, False, 0, -1, 1.5, 10**18, 10**30, -(10**30), 10**400, "", " ", "0", "-1", "1e999", "1e-999", "NaN",
        "Infinity", "-0", "1_0", "١", "0x1", "9" * 50, "1" * 5000, "true", "\n", "\x1b[31m", "\x00", "\ud800", [], {},
        [[]], {"a": 1}, Decimal("NaN"), Decimal("Infinity"), Decimal("1E+999999"), Decimal("1E-999999"),
        Decimal("sNaN"),
    ]
)  # fmt: skip
SCALARS = NASTY | st.text(max_size=20) | st.integers() | st.decimals() | st.booleans()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def drawn(examples: int) -> settings:
    """So many examples, the same ones in every run of the checks; many times as many, all new, where that is wanted."""
    times = int(os.environ.get(TIMES, "0"))
    return settings(max_examples=examples * (times or 1), derandomize=not times)


def paths(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a value, itself included."""
    found = [before]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in pairs:
        found += paths(part, (*before, key))
    return found


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> Any:
    """``good`` with one to three of its parts gone or something else, or no relation to it at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(paths(value))) or (None,)
        if last is None:
            return draw(JSON)
        part = value
        for key in way:
            part = part[key]
        if draw(st.booleans()) and isinstance(part, dict):
            del part[last]
        else:
            # a copy, because what is drawn may be drawn again
            part[last] = copy.deepcopy(draw(JSON))
    return value


@st.composite
def altered(draw: st.DrawFn, good: bytes) -> bytes:
    """``good`` with pieces flipped, cut, doubled or put in."""
    body = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.integers(0, 3)):
            case 0 if body:
                body[at] = draw(st.integers(0, 255))
            case 1:
                del body[at : at + draw(st.integers(1, 40))]
            case 2:
                body[at:at] = body[at : at + draw(st.integers(1, 40))] * draw(st.integers(1, 50))
            case _:
                body[at:at] = draw(st.binary(max_size=12))
    return bytes(body)
