"""Pictures are recognised by what they are."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.sim.chat.pictures import picture_of


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_the_size_of_every_kind_is_read(kind: str, width: int, height: int):
    """Width and height are those Pillow wrote."""
    file = BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    assert picture_of(file.getvalue()) == (f"image/{kind.lower()}", width, height)


def test_a_lossless_webp_is_read_too():
    """Its size stands in bits, not bytes."""
    file = BytesIO()
    Image.new("RGBA", (321, 123)).save(file, "WEBP", lossless=True)
    assert picture_of(file.getvalue()) == ("image/webp", 321, 123)


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFFxxxxWEBPVP8 "]),
)
def test_anything_else_is_no_picture_or_has_a_size(data: bytes, head: bytes):
    """Cut or invented files never break the reader."""
    found = picture_of(head + data)
    assert found is None or min(found[1:]) > 0
