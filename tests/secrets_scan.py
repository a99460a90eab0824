"""Looks for planted secrets in everything a run left behind: files, databases, archives, messages, a process's /proc.

Rule 1: a secret is looked for in every form of ``core.adapters.redaction.forms``, as bytes in UTF-8 and UTF-16, in
        archives and compressed files too; of a form that ends in cut base64 its certain part is enough.
Rule 2: a finding names the secret by its name, the form by its kind and the place, and never shows the secret.
Rule 3: what cannot be read is a finding as well: silence must not look clean.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.adapters.redaction import forms

SHORTEST_FORM = 8  # shorter pieces of base64 turn up by chance
DEEPEST = 3  # archives in archives
OF_A_PROCESS = ("environ", "cmdline")
UNPACKED_BY: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"x\x9c": zlib.decompress,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret, by its name, at a place; ``what`` says how it stood there, or why nobody could look."""

    secret: str
    place: str
    what: str


class Scan:
    """Knows planted secrets by their names, and looks for them."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._needles: dict[bytes, tuple[str, str]] = {}
        for name, secret in secrets.items():
            if len(secret) < SHORTEST_FORM:
                raise ValueError(f"{name}: a canary has at least {SHORTEST_FORM} characters")
            for form in (*forms(secret), secret.upper(), secret.lower()):
                self._add(name, form, "as it is" if form == secret else "in another form")

    def _add(self, name: str, form: str, kind: str) -> None:
        if len(form) < SHORTEST_FORM:
            return
        for coding in ("utf-8", "utf-16-le", "utf-16-be"):
            self._needles.setdefault(form.encode(coding), (name, f"{kind}, {coding}"))

    def text(self, text: str, place: str) -> list[Finding]:
        """What stands in a message, a page, a line."""
        return self.data(text.encode("utf-8", "surrogatepass"), place)

    def data(self, data: bytes, place: str, depth: int = 0) -> list[Finding]:
        """What stands in these bytes and in what is packed in them."""
        found = {Finding(name, place, what) for needle, (name, what) in self._needles.items() if needle in data}
        if depth < DEEPEST:
            for inner, content in _unpacked(data):
                found.update(self.data(content, f"{place}!{inner}", depth + 1))
        return sorted(found, key=lambda finding: (finding.place, finding.secret, finding.what))

    def tree(self, folder: Path) -> list[Finding]:
        """What stands in the files of a folder and below, a database's WAL among them, and in their names."""
        found: list[Finding] = []
        for path in sorted(folder.rglob("*")):
            found += self.text(str(path.relative_to(folder)), f"name of {path}")
            if path.is_file() and not path.is_symlink():
                found += self._file(path)
        return found

    def process(self, pid: int) -> list[Finding]:
        """What another user of the machine could read of a process: its environment and its command line."""
        found: list[Finding] = []
        for name in OF_A_PROCESS:
            found += self._file(Path(f"/proc/{pid}/{name}"))
        return found

    def _file(self, path: Path) -> list[Finding]:
        try:
            return self.data(path.read_bytes(), str(path))
        except OSError as error:
            return [Finding("", str(path), f"could not be read: {error.strerror}")]


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What is packed in these bytes, by its name."""
    for start, unpack in UNPACKED_BY.items():
        if data.startswith(start):
            try:
                content = unpack(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                continue
            yield "unpacked", content
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((name, archive.read(name)) for name in archive.namelist())
    yield from _tarred(data)


def _tarred(data: bytes) -> Iterable[tuple[str, bytes]]:
    if data[257:262] != b"ustar":
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers():
            opened = archive.extractfile(member)
            if opened:
                yield member.name, opened.read()
