"""The scanner finds what it must find, or its silence would mean nothing."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.secrets_scan import Scan

FAKE = "FAKE-KEY/for+tests-0123456789"
SHOWN: dict[str, str] = {
    "raw": FAKE,
    "in a URL": quote(FAKE, safe=""),
    "in a URL of a URL": quote(quote(FAKE, safe=""), safe=""),
    "base64": base64.b64encode(FAKE.encode()).decode(),
    "base64 behind a name": base64.b64encode(b"user:" + FAKE.encode() + b"\n").decode(),
    "base64 for URLs": base64.urlsafe_b64encode(FAKE.encode()).decode(),
    "hex": FAKE.encode().hex(),
    "reversed": FAKE[::-1],
    "reversed hex": FAKE[::-1].encode().hex(),
    "JSON": json.dumps({"a": json.dumps({"key": FAKE})}),
    "capitals": FAKE.upper(),
}


@pytest.fixture
def scan() -> Scan:
    """A scan for one secret."""
    return Scan({"key": FAKE, "other": "ANOTHER-FAKE-for-tests"})


@pytest.mark.parametrize("form", SHOWN)
def test_every_form_of_a_secret_is_found_in_a_message(scan: Scan, form: str):
    """However it was written down."""
    assert {found.secret for found in scan.text(f"said {SHOWN[form]} and went on", "message")} == {"key"}


@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_it_is_found_in_other_codings(scan: Scan, coding: str):
    """A memory dump or a Windows file writes two bytes a letter."""
    assert scan.data(b"\x00\x01" + f"x{FAKE}".encode(coding) + b"\xff", "dump")


def test_a_clean_text_is_clean(scan: Scan):
    """Words of every day, and half of a secret, are none."""
    assert scan.text(f"BTCUSDT bought 0.01 at 61000.00 {FAKE[:9]}", "message") == []


def packed() -> dict[str, bytes]:
    """The secret within the packings a backup or an export may come in."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.csv.gz", gzip.compress(FAKE.encode()))
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(FAKE)
        archive.addfile(member, io.BytesIO(FAKE.encode()))
    return {
        "gz": gzip.compress(FAKE.encode()),
        "zlib": zlib.compress(FAKE.encode()),
        "zip": zipped.getvalue(),
        "tar.gz": gzip.compress(tarred.getvalue()),
    }


@pytest.mark.parametrize("kind", packed())
def test_it_is_found_in_what_is_packed(scan: Scan, kind: str):
    """Compression hides nothing."""
    assert {found.secret for found in scan.data(packed()[kind], kind)} == {"key"}


def test_a_folder_is_looked_through_with_databases_wal_and_names(scan: Scan, tmp_path: Path):
    """A row that was written and not yet merged stands in the WAL; a file may bear the secret as its name."""
    db = sqlite3.connect(tmp_path / "main.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE t (x TEXT)")
    db.execute("INSERT INTO t VALUES (?)", (FAKE,))
    db.commit()
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / f"{FAKE.replace('/', '_')}.txt").write_text("clean")
    (tmp_path / "backups" / "log.txt").write_text("ANOTHER-FAKE-for-tests")
    found = {(one.secret, Path(one.place).name) for one in scan.tree(tmp_path)}
    db.close()
    assert ("key", "main.db-wal") in found
    assert ("other", "log.txt") in found


def test_what_cannot_be_read_is_a_finding(scan: Scan):
    """A process that is gone was not looked at."""
    (one, two) = scan.process(2**22 + 1)
    assert "could not be read" in one.what
    assert "could not be read" in two.what


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_process_shows_its_environment_and_command_line(scan: Scan):
    """Where a careless program would show it, it is found; where a careful one runs, nothing is."""
    wait = "import sys; print(flush=True); sys.stdin.read()"
    for words, env, expected in (
        ([wait], {}, set()),
        ([wait, FAKE], {}, {"cmdline"}),
        ([wait], {"TOKEN": FAKE}, {"environ"}),
    ):
        child = subprocess.Popen(
            [sys.executable, "-c", *words],
            env={"PATH": os.environ["PATH"], **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        found = {Path(one.place).name for one in scan.process(child.pid)}
        child.communicate()
        assert found == expected


def test_no_finding_shows_the_secret(scan: Scan):
    """What is printed of a finding may be pasted anywhere."""
    assert FAKE not in repr(scan.text(f"{FAKE} {FAKE[::-1]}", "message"))


def test_a_canary_too_short_to_be_told_from_chance_is_refused():
    """Eight characters at least."""
    with pytest.raises(ValueError, match="token"):
        Scan({"token": "1234567"})
