"""`./run audit-deps`: the locked packages against the published vulnerabilities, by pip-audit.

Rule 1: silence is not clean. Clean is said only where the service answered for every package of the locks, in the
        locked version. Exit 0 clean, 1 vulnerable, 5 could not look: no network, an error, a package skipped.
Rule 2: nothing is answered from a cache, and no marker hides a package that only another platform installs.
Rule 3: further arguments go to pip-audit, such as ``-s osv`` for the other service or ``--ignore-vuln ID``, whose
        reason belongs into the commit that adds it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

LOCKS = ("requirements.lock", "requirements-dev.lock")
PATIENCE_S = 900
PIP_AUDIT = (sys.executable, "-m", "pip_audit")
COULD_NOT_LOOK = 5

Pin = tuple[str, str]


class CouldNotLook(Exception):
    """The answer is missing or incomplete; the text says why."""


def main(argv: list[str] | None = None, root: Path | None = None, tool: Iterable[str] = PIP_AUDIT) -> int:
    """Print what was found, then one line; exit code as in rule 1."""
    try:
        wanted = pins((root or Path.cwd()) / name for name in LOCKS)
        found = [line for part in rounds(wanted) for line in vulnerabilities(part, ask(part, tool, argv or []))]
    except (CouldNotLook, OSError) as error:
        print(f"The packages could not be checked for known vulnerabilities, so nothing is known: {error}")
        return COULD_NOT_LOOK
    for line in found:
        print(line)
    print(f"{len(found)} known vulnerabilities in {len(wanted)} locked packages.")
    return 1 if found else 0


def pins(locks: Iterable[Path]) -> dict[Pin, list[str]]:
    """Every package of the locks as (name, version) with its hashes, sha256 in hex."""
    found: dict[Pin, list[str]] = {}
    for lock in locks:
        for block in re.findall(r"^\S.*(?:\n[ \t]+\S.*)*", lock.read_text(), re.M):
            head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", block)
            if not head:
                raise CouldNotLook(f"{lock.name} has a line that is no pinned package: {block.splitlines()[0]}")
            found[plain(head[1]), head[2]] = re.findall(r"sha256:([0-9a-f]{64})", block)
    if not found:
        raise CouldNotLook("the locks are empty")
    return found


def rounds(wanted: Mapping[Pin, list[str]]) -> list[dict[Pin, list[str]]]:
    """The packages in parts that name each only once, as pip-audit asks: a second version stands in a second part."""
    parts: list[dict[Pin, list[str]]] = []
    for pin, hashes in wanted.items():
        part = next((part for part in parts if all(pin[0] != name for name, _ in part)), None)
        if part is None:
            parts.append(part := {})
        part[pin] = hashes
    return parts


def ask(wanted: Mapping[Pin, list[str]], tool: Iterable[str], further: Iterable[str]) -> list[object]:
    """What pip-audit says of each package, from its JSON. Raises CouldNotLook."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "asked.txt")
        hashed = (
            " ".join((f"{name}=={version}", *(f"--hash=sha256:{x}" for x in h)))
            for (name, version), h in wanted.items()
        )
        asked.write_text("\n".join(hashed) + "\n")
        flags = ("--disable-pip", "--require-hashes", "--strict", "--progress-spinner", "off", "--format", "json")
        command = [*tool, *flags, "--cache-dir", str(Path(folder, "cache")), *further, "-r", str(asked)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        except subprocess.TimeoutExpired:
            raise CouldNotLook(f"pip-audit did not answer within {PATIENCE_S} s") from None
    try:
        answer = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise CouldNotLook(last_words(done.stderr) or f"pip-audit ended with {done.returncode}") from None
    if done.returncode not in (0, 1) or not isinstance(answer, list):
        raise CouldNotLook(f"pip-audit ended with {done.returncode}")
    return answer


def vulnerabilities(wanted: Mapping[Pin, list[str]], answer: Iterable[object]) -> list[str]:
    """One line for each known vulnerability. Raises CouldNotLook where the answer leaves out a wanted package."""
    lines, answered = [], set()
    for entry in answer:
        if not isinstance(entry, dict) or not isinstance(entry.get("vulns"), list):
            why = entry.get("skip_reason") if isinstance(entry, dict) else None
            raise CouldNotLook(f"a package was skipped: {why or entry}")
        answered.add((plain(entry["name"]), entry["version"]))
        for known in entry["vulns"]:
            mended = ", ".join(known.get("fix_versions", [])) or "no version yet"
            lines.append(f"{entry['name']} {entry['version']}: {known['id']}, mended in {mended}")
    left = sorted(set(wanted) - answered)
    if left:
        raise CouldNotLook(f"no answer for {len(left)} packages, such as {left[0][0]} {left[0][1]}")
    return lines


def plain(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def last_words(said: str) -> str:
    """The last line a program said before it gave up, at most 200 characters."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
