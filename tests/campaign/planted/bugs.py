"""Planted bugs: small patches of the order path that the campaign has to catch, read from the texts beside this file.

Rule 1: a bug is a name, a sentence of what it would do to the owner's money, a file and one patch of a few lines.
Rule 2: the lines a patch replaces occur exactly once in its file; one whose lines are gone fails loudly, because a bug
        that can no longer be planted proves nothing.

A text holds one bug after the other; a patch is written like a diff, every line with its mark::

    == entry-sent-twice
    An entry whose answer was lost is sent again: twice the coins are bought.
    @ core/run/executor.py
    -            except RetryLater as later:
    +            except (RetryLater, OutcomeUnknown) as later:
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


class Unplantable(Exception):
    """A bug that no longer fits the program; the text says what to mend."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug: ``old`` is replaced by ``new`` in ``path``, both whole lines."""

    name: str
    harm: str
    path: str
    old: str
    new: str

    def patched(self, root: Path) -> str:
        """Its file in the tree at ``root`` with the bug in it. Raises Unplantable where it does not fit."""
        file = root / self.path
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        found = text.count(self.old)
        if found != 1:
            raise Unplantable(f"{self.name}: the lines to replace occur {found} times in {self.path}, not once")
        return text.replace(self.old, self.new)

    def plant(self, root: Path) -> None:
        """Patch the tree at ``root``. Raises Unplantable where it does not fit."""
        file = root / self.path
        file.write_text(self.patched(root), encoding="utf-8")
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()


def planted() -> list[Bug]:
    """Every bug of every text, in the order of the texts' names."""
    bugs = [bug for text in sorted(HERE.glob("*.txt")) for bug in _bugs_of(text.read_text(encoding="utf-8"))]
    names = [bug.name for bug in bugs]
    if len(set(names)) < len(names):
        raise Unplantable(f"planted twice: {sorted({n for n in names if names.count(n) > 1})}")
    return bugs


def _bugs_of(text: str) -> Iterator[Bug]:
    for part in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        name, harm, where, *patch = part.rstrip("\n").split("\n")
        patch = [line for line in patch if line]
        if not where.startswith("@ ") or not patch or any(line[0] not in " +-" for line in patch):
            raise Unplantable(f"{name}: a sentence, '@ file' and a patch have to follow, each line with its mark")
        old, new = ("".join(f"{line[1:]}\n" for line in patch if line[0] in marks) for marks in (" -", " +"))
        yield Bug(name, harm, where[2:], old, new)
