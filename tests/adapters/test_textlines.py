"""Packed text from a stranger: read line by line, bounded, and refused in our own words."""

from __future__ import annotations

import gzip
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters import textlines
from core.adapters.textlines import lines
from core.domain.errors import BadData

TEXT = "".join(f"line {n},{n}\n" for n in range(20_000))


def packed(folder, name, text=TEXT):
    path = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.csv", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
def test_each_kind_of_packing_gives_the_same_lines(tmp_path, name):
    """Plain, gzip and zip are read alike, numbered from one."""
    found = list(lines(packed(tmp_path, name)))
    assert found == list(enumerate(TEXT.splitlines(), 1))


@given(
    st.lists(st.text("ab,\u00e9", max_size=20).filter(bool), min_size=1, max_size=30), st.sampled_from(["\n", "\r\n"])
)
def test_line_ends_of_every_system_are_understood(tmp_path_factory, words, end):
    """A last line without an end, a byte-order mark and Windows line ends do no harm."""
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + end.join(words).encode())
    assert [line for _, line in lines(path)] == words


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_a_file_that_breaks_off_is_refused(tmp_path, name):
    """A download that was cut is named, not half read."""
    path = packed(tmp_path, name)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadData, match=r"a\..*:\d+: the packed data (breaks off|is damaged).*fetch the file again"):
        list(lines(path))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_a_flipped_byte_is_refused(tmp_path, name):
    """Damaged packing is found by its own checksum."""
    path = packed(tmp_path, name)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0xFF
    path.write_bytes(body)
    with pytest.raises(BadData, match="fetch the file again"):
        list(lines(path))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_a_bomb_is_refused_before_it_fills_anything(tmp_path, name):
    """A small file that would unpack to gigabytes is stopped."""
    path = packed(tmp_path, name, "1,1,1,1,1,1\n" * 3_000_000)
    with pytest.raises(BadData, match="unpacks to over"):
        list(lines(path))


def test_a_text_without_line_ends_is_refused(tmp_path):
    """One endless line does not fill the memory."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"1" * 200_000)
    with pytest.raises(BadData, match=r"a\.csv:1: a line of over 1000 bytes"):
        list(lines(path))


def test_a_text_longer_than_the_limit_is_refused(tmp_path, monkeypatch):
    """Even honest text has an end."""
    monkeypatch.setattr(textlines, "TEXT_MAX", 100_000)
    with pytest.raises(BadData, match="unpacks to over"):
        list(lines(packed(tmp_path, "a.csv")))


def test_what_is_not_utf8_is_named_with_its_line(tmp_path):
    """A file in another encoding is refused at the line where it shows."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"good\n\xff\xfe\n")
    with pytest.raises(BadData, match=r"a\.csv:2: not UTF-8"):
        list(lines(path))


def test_an_archive_of_several_files_is_refused(tmp_path):
    """Which file is meant is not guessed."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "1")
        archive.writestr("two.csv", "2")
    with pytest.raises(BadData, match=r"holds 2 files where one \.csv belongs"):
        list(lines(path))


def test_a_locked_archive_is_refused(tmp_path):
    """A password is asked of nobody."""
    path = packed(tmp_path, "a.zip")
    body = bytearray(path.read_bytes())
    at = body.rindex(b"PK\x01\x02")
    body[at + 8] |= 1
    path.write_bytes(body)
    with pytest.raises(BadData, match="locked with a password"):
        list(lines(path))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.zip"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name):
    """Plain text under a packed name is named."""
    path = tmp_path / name
    path.write_text("timestamp,open\n")
    with pytest.raises(BadData, match="fetch the file again"):
        list(lines(path))


def test_a_missing_file_is_named(tmp_path):
    """A wrong path is one sentence."""
    with pytest.raises(BadData, match="cannot be read"):
        list(lines(tmp_path / "nothing.csv"))


def test_progress_reaches_the_end(tmp_path):
    """A progress bar is told how far the packed file was read."""
    heard = []
    path = packed(tmp_path, "a.csv.gz")
    list(lines(path, lambda done, size: heard.append((done, size))))
    assert heard[-1] == (path.stat().st_size, path.stat().st_size)
