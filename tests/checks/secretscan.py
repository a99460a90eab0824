"""`./run secrets`: no tracked file, and none about to be added, holds a secret; `--history` reads every commit instead.

Rule 1: the rules are those of ``tests.checks.secretrules``; a finding names file and line, never the secret.
Rule 2: what could not be read is not clean. Exit 0 nothing found, 1 found, 2 not looked: no git checkout, a part of the
        history only, or git failed.
Rule 3: the history is every object a branch, a tag or HEAD reaches: files, and the words of commits and tags.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.checks.secretrules import findings

NAMES = (".env", "id_rsa", "id_ed25519")
ENDINGS = (".pem", ".key", ".p12", ".pfx", ".sealed")


def main(argv: list[str] | None = None, root: Path | None = None) -> int:
    """Say what was found and how much was read; exit code as in rule 2."""
    parser = argparse.ArgumentParser(prog="./run secrets", description="Look for secrets where none may be.")
    parser.add_argument("--history", action="store_true", help="every version of every file in the git history")
    args = parser.parse_args(argv)
    read, found = 0, 0
    try:
        for name, raw in (history if args.history else tree)(root or Path.cwd()):
            read += 1
            for line in judged(name, raw):
                found += 1
                print(line)
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"Could not look for secrets, so nothing is known: {error}. It needs git and a git checkout.")
        return 2
    what = "versions and commits" if args.history else "files"
    print(f"{found} secrets in {read} {what}.")
    if not read:
        print("Nothing was read, so nothing is known.")
        return 2
    return 1 if found else 0


def judged(name: str, raw: bytes) -> Iterator[str]:
    """One line for each secret in a file, and one for a file whose name says that it holds one."""
    base = name.rsplit("/", 1)[-1]
    if base in NAMES or base.endswith(ENDINGS):
        yield f"{name}: files of this name hold secrets; keep it out of git"
    for finding in findings(raw.decode("latin-1")):
        yield f"{name}:{finding.line}: {finding.rule} {finding.hint}"


def tree(root: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the files git tracks or would add; a link is its target's name."""
    listed = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    for name in listed.decode("utf-8", "surrogateescape").split("\0"):
        path = root / name
        if name and path.is_symlink():
            yield name, str(path.readlink()).encode("utf-8", "surrogateescape")
        elif name and path.is_file():
            yield name, path.read_bytes()


def history(root: Path) -> Iterator[tuple[str, bytes]]:
    """(name and object, content) of every version of a file, commit and tag."""
    if git(root, "rev-parse", "--is-shallow-repository").strip() != b"false":
        raise OSError("this clone has a part of the history only (git fetch --unshallow brings the rest)")
    listed = git(root, "rev-list", "--objects", "--all", "HEAD").decode("utf-8", "surrogateescape").splitlines()
    names = {line.partition(" ")[0]: line.partition(" ")[2] for line in listed}
    with subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for oid, name in names.items():
            reader.stdin.write(f"{oid}\n".encode())
            reader.stdin.flush()
            _, kind, *size = reader.stdout.readline().decode().split()
            if kind == "missing":
                raise OSError(f"git does not have {oid}")
            raw = reader.stdout.read(int(size[0]) + 1)[:-1]
            if kind != "tree":
                yield f"{name or kind}@{oid[:12]}", raw
        reader.stdin.close()


def git(root: Path, *words: str) -> bytes:
    """What a git command prints. Raises CalledProcessError."""
    return subprocess.run(["git", *words], cwd=root, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
