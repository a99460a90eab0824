from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import BadData
from core.learn.packing import pack, unpack

VERSION = "ab" * 32


@given(st.lists(st.floats()))
def test_numbers_come_back_to_the_last_bit(numbers):
    """Saving and loading changes no bit of any number, not even of one that is no number."""
    head, back = unpack(VERSION, pack(VERSION, "BTCUSDT 1h", numbers))
    assert head == "BTCUSDT 1h"
    assert struct.pack(f"{len(back)}d", *back) == struct.pack(f"{len(numbers)}d", *numbers)


def test_another_version_is_refused():
    """A state folded by other source text is folded anew, not guessed at."""
    with pytest.raises(BadData, match="another version"):
        unpack("cd" * 32, pack(VERSION, "BTCUSDT 1h", [1.0]))


@pytest.mark.parametrize("cut", [0, 10, 35, 45, 58])
def test_a_state_cut_short_is_refused(cut):
    """Half a state is none."""
    with pytest.raises(BadData):
        unpack(VERSION, pack(VERSION, "BTCUSDT 1h", [1.0, math.pi])[:cut])
