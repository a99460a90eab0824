"""Packed text from a stranger: read line by line, bounded, and refused in our own words."""

from __future__ import annotations

import gzip
import os
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


SLIPS = ["../a.csv", "/etc/a.csv", "..\\\\a.csv", "C:a.csv", "folder/a.csv", "a.csv\x00.exe", "\x1b[31m.csv", "a\n.csv"]


@pytest.mark.parametrize("name", SLIPS, ids=repr)
def test_a_member_that_names_a_place_is_refused(tmp_path, name):
    """Nothing is unpacked anywhere, and who writes such a name means no good."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("X" * len(name)), TEXT)
    body = path.read_bytes().replace(b"X" * len(name), name.encode())
    path.write_bytes(body)
    with pytest.raises(BadData) as refused:
        list(lines(path))
    assert "names a place" in refused.value.user_text
    assert refused.value.user_text.isprintable()


@pytest.mark.parametrize("mode", [0o120777, 0o040755, 0o010644, 0o020644])
def test_a_link_folder_pipe_or_device_in_an_archive_is_refused(tmp_path, mode):
    """A price table is a plain file."""
    path = tmp_path / "a.zip"
    member = zipfile.ZipInfo("a.csv")
    member.external_attr = mode << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(BadData, match="or a link"):
        list(lines(path))


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_bounded_is_refused(tmp_path, packing):
    """These unpack as much as they like from one piece."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.csv", TEXT)
    with pytest.raises(BadData, match="has no bounds"):
        list(lines(path))


def test_an_archive_of_thousands_of_files_is_refused_before_its_table_is_read(tmp_path):
    """The table alone would fill the memory."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(5_000):
            archive.writestr(f"{n}.csv", "")
    with pytest.raises(BadData, match="table of the archive is too large"):
        list(lines(path))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
@pytest.mark.parametrize("before", [0, 3])
def test_a_line_of_ten_megabytes_is_refused_by_its_number(tmp_path, name, before):
    """Wherever it stands, and however short the piece it ends in."""
    text = "1,2\n" * before + "9" * 10_000_000 + "\n1,2\n"
    with pytest.raises(BadData, match=rf"\w:{before + 1}: a line of over 1000 bytes"):
        list(lines(packed(tmp_path, name, text)))


def test_a_line_just_too_long_among_short_ones_is_refused(tmp_path):
    """A whole line within one piece has the same bound."""
    assert len(list(lines(packed(tmp_path, "a.csv", "1\n" + "2" * 1000 + "\n3\n")))) == 3
    with pytest.raises(BadData, match=r"a\.csv:2: a line of over 1000 bytes"):
        list(lines(packed(tmp_path, "a.csv", "1\n" + "2" * 1001 + "\n3\n")))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le"])
def test_a_table_in_another_encoding_is_never_read_as_one(tmp_path, encoding):
    """What some spreadsheet saved is named with its fix, or gives lines that no table has."""
    path = tmp_path / "a.csv"
    path.write_bytes("timestamp,öpen\n1,2\n".encode(encoding))
    with pytest.raises(BadData, match="not UTF-8"):
        list(lines(path))


def test_a_pipe_is_refused_at_once(tmp_path):
    """Nobody waits for what may never come."""
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    with pytest.raises(BadData, match="no plain file"):
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
