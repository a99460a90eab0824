"""The vulnerability check calls nothing clean that it did not see."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.checks.auditdeps import main, pins, rounds

HASH = "--hash=sha256:" + "a" * 64
BASE = f"one==1.0 \\\n    {HASH}\nTwo.Parts==2.0 ; sys_platform == 'win32' \\\n    {HASH}\n"
CLEAN = {
    "dependencies": [{"name": name, "version": v, "vulns": []} for name, v in (("one", "1.0"), ("two-parts", "2.0"))]
}
FAKE = """
import json, os, sys
open({log!r}, "a").write(" ".join(sys.argv[1:]) + "\\n" + open(sys.argv[-1]).read())
sys.stderr.write({stderr!r})
sys.stdout.write({stdout!r})
sys.exit({code})
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with two locked packages, the second for another platform."""
    (tmp_path / "requirements.lock").write_text(BASE)
    (tmp_path / "requirements-dev.lock").write_text("")
    return tmp_path


def fake(root: Path, stdout: object, code: int = 0, stderr: str = "") -> list[str]:
    """A pip-audit that says these words and ends with this code."""
    said = stdout if isinstance(stdout, str) else json.dumps(stdout)
    script = root / "pip-audit.py"
    script.write_text(FAKE.format(log=str(root / "log"), stdout=said, stderr=stderr, code=code))
    return [sys.executable, str(script)]


def without(entry: int, **instead: object) -> dict[str, object]:
    """The clean answer with one entry changed, or left out."""
    entries = [dict(item) for item in CLEAN["dependencies"]]
    entries[entry : entry + 1] = [instead] if instead else []
    return {"dependencies": entries}


def test_clean_is_said_where_every_package_was_answered_for(root: Path, capsys: pytest.CaptureFixture[str]):
    """The good case names how many packages stand behind it."""
    assert main([], root, fake(root, CLEAN)) == 0
    assert capsys.readouterr().out == "0 known vulnerabilities in 2 locked packages.\n"


def test_it_asks_strictly_with_hashes_and_for_other_platforms_too(root: Path):
    """Every locked package is asked for, none lost to a marker, and nothing is installed to find out."""
    main(["-s", "osv"], root, fake(root, CLEAN))
    flags, *asked = (root / "log").read_text().splitlines()
    assert all(flag in flags for flag in ("--strict", "--require-hashes", "--disable-pip", "--cache-dir", "-s osv"))
    assert [line.split()[0] for line in asked] == ["one==1.0", "two-parts==2.0"]
    assert all(HASH in line and ";" not in line for line in asked)


def test_a_known_vulnerability_is_named_with_its_cure(root: Path, capsys: pytest.CaptureFixture[str]):
    """Exit 1, the package, the number, and the version that mends it."""
    known = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}
    assert main([], root, fake(root, without(0, name="one", version="1.0", vulns=[known]), code=1)) == 1
    assert "one 1.0: PYSEC-1, mended in 1.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "code", "stderr"),
    [
        ("", 1, "Traceback\nConnectionError: no route to host\n"),
        ("", 0, ""),
        ("No known vulnerabilities found", 0, ""),
        ({"dependencies": []}, 0, ""),
        ({"fixes": []}, 0, ""),
        ([], 0, ""),
        (CLEAN, 2, ""),
        (CLEAN, 137, ""),
        (without(1), 0, ""),
        (without(1, name="two-parts", version="1.9", vulns=[]), 0, ""),
        (without(1, name="two-parts", skip_reason="Dependency not found on PyPI"), 0, ""),
        (without(1, name="two-parts", version="2.0", vulns=None), 0, ""),
    ],
    ids=[
        "error",
        "silent",
        "words",
        "empty",
        "other",
        "list",
        "code",
        "killed",
        "left out",
        "other version",
        "skipped",
        "null",
    ],
)
def test_what_could_not_be_seen_is_not_clean(
    root: Path, capsys: pytest.CaptureFixture[str], said: object, code: int, stderr: str
):
    """An error, silence, a skipped package or half an answer ends in exit 5 and one line."""
    assert main([], root, fake(root, said, code, stderr)) == 5
    assert capsys.readouterr().out.count("\n") == 1


def test_a_missing_tool_or_lock_is_not_clean(root: Path):
    """Neither a pip-audit that is not there nor a lock that is not there passes for clean."""
    assert main([], root, [str(root / "nowhere")]) == 5
    (root / "requirements.lock").unlink()
    assert main([], root, fake(root, CLEAN)) == 5


def test_two_versions_of_one_package_are_both_asked_for(root: Path):
    """Where platforms need different versions, each is looked up."""
    (root / "requirements-dev.lock").write_text(f"one==2.0 \\\n    {HASH}\n")
    parts = rounds(pins([root / "requirements.lock", root / "requirements-dev.lock"]))
    assert [list(part) for part in parts] == [[("one", "1.0"), ("two-parts", "2.0")], [("one", "2.0")]]


class Service(BaseHTTPRequestHandler):
    """A vulnerability service on loopback that knows one bad version, or is out of order."""

    broken = False

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bad = {"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "summary": "bad", "affected": []}
        body = json.dumps({"vulns": [bad]} if asked["package"]["name"] == "one" else {}).encode()
        self.send_response(503 if self.broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing: the test reads answers, not logs."""


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(server: ThreadingHTTPServer) -> list[str]:
    return ["-s", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/query"]


def test_the_real_tool_finds_what_the_service_knows(
    root: Path, service: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
):
    """With the real pip-audit a vulnerable version is found and the other one passes."""
    assert main(at(service), root) == 1
    assert "one 1.0: TEST-1" in capsys.readouterr().out


def test_the_real_tool_says_when_the_service_is_broken_or_gone(
    root: Path, service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
):
    """A service that answers 503, or nobody at the door, is never taken for clean."""
    monkeypatch.setattr(Service, "broken", True)
    assert main(at(service), root) == 5
    assert main(["-s", "osv", "--osv-url", "http://127.0.0.1:1/query", "--timeout", "2"], root) == 5
