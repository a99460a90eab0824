"""`python -m tests.campaign.planted [NAME …]`: plants one bug after the other and shows which the campaign catches.

Rule 1: each bug is planted in a copy of its own, and that copy lives seeds until the first violation or the last seed.
Rule 2: caught is what the program without the bug does not show: not on that seed, and not by chance on others.
Rule 3: exit 1 where fewer than 95 % are caught.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.planted.bugs import ROOT, Bug, planted

PARTS = ("core", "bot", "migrations", "tests/campaign")
CAUGHT_LEAST = 0.95
BY_CHANCE = 0.001
LIFE_TAKES_S = 180.0

Kinds = Mapping[int, Mapping[str, str]]
"""Of each seed: each kind of violation, and the first text of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one bug: the violation that gave it away and after how many seeds, "" where nothing did."""

    bug: Bug
    seeds: int
    kind: str = ""
    text: str = ""


@dataclass(slots=True)
class Unplanted:
    """What the program shows without any bug; ``lives`` seeds of it."""

    kinds: Kinds
    often: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.often = Counter(kind for found in self.kinds.values() for kind in found)

    def by_chance(self, kind: str, seen: int, lives: int) -> float:
        """How probable it is (0..1) to see this kind so often in so many lives of the program without a bug."""
        share = self.often[kind] / max(1, len(self.kinds))
        return sum(math.comb(lives, n) * share**n * (1 - share) ** (lives - n) for n in range(seen, lives + 1))


@contextmanager
def copy_of(root: Path, bug: Bug | None) -> Iterator[Path]:
    """The program in a folder of its own, with this bug in it."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        home = Path(folder).resolve()
        for part in PARTS:
            shutil.copytree(root / part, home / part)
        if bug is not None:
            bug.plant(home)
        yield home


def lived(home: Path, first: int, last: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Each seed with the kinds of its violations, by the program in ``home``; a life that never ends is one of them."""
    command = [sys.executable, "-m", "tests.campaign.planted.lives", str(first), str(last)]
    env = {**os.environ, "PYTHONPATH": str(home)}
    said = home / "stderr.txt"
    with (
        said.open("wb") as stderr,  # a pipe nobody empties would stop the child
        subprocess.Popen(command, cwd=home, env=env, bufsize=0, stdout=subprocess.PIPE, stderr=stderr) as child,
    ):
        assert child.stdout is not None
        try:
            for seed in range(first, last + 1):
                if not select.select([child.stdout], [], [], LIFE_TAKES_S)[0]:
                    yield seed, {"hung": f"nothing for {LIFE_TAKES_S:.0f} s"}
                    return
                line = child.stdout.readline()
                if not line:
                    yield seed, {"dead": said.read_text(encoding="utf-8", errors="replace").strip()[-300:]}
                    return
                found: dict[str, str] = {}
                for kind, text in json.loads(line)["violations"]:
                    found.setdefault(kind, text)
                yield seed, found
        finally:
            child.kill()


def unplanted(root: Path, seeds: int, jobs: int) -> Unplanted:
    """The program as it is, over all seeds."""
    share = math.ceil(seeds / jobs)
    starts = range(1, seeds + 1, share)
    with copy_of(root, None) as home, ThreadPoolExecutor(jobs) as pool:
        parts = pool.map(lambda start: dict(lived(home, start, min(seeds, start + share - 1))), starts)
        return Unplanted({seed: kinds for part in parts for seed, kinds in part.items()})


def judged(bug: Bug, root: Path, seeds: int, without: Unplanted) -> Verdict:
    """Whether this bug is caught within so many seeds."""
    seen: Counter[str] = Counter()
    with copy_of(root, bug) as home:
        for number, (seed, found) in enumerate(lived(home, 1, seeds), 1):
            seen.update(found.keys())
            new = [kind for kind in found if kind not in without.kinds.get(seed, {})]
            sure = [kind for kind in new if without.by_chance(kind, seen[kind], number) < BY_CHANCE]
            if sure:
                return Verdict(bug, number, sure[0], found[sure[0]])
    return Verdict(bug, seeds)


def table(verdicts: Sequence[Verdict]) -> str:
    """A line a bug, and how many were caught."""
    wide = max(len(v.bug.name) for v in verdicts)
    lines = [
        f"{v.bug.name:{wide}}  {v.kind or 'NOT CAUGHT':12}  {v.seeds:4}  {' '.join(v.text.split())[:90]}"
        for v in verdicts
    ]
    caught = sum(bool(v.kind) for v in verdicts)
    head = f"{'bug':{wide}}  {'caught by':12}  seeds"
    return "\n".join([head, *lines, f"caught {caught} of {len(verdicts)}, {caught / len(verdicts):.0%}"])


def _row(verdict: Verdict, wide: int) -> str:
    text = " ".join(verdict.text.split())[:90]
    return f"{verdict.bug.name:{wide}}  {verdict.kind or 'NOT CAUGHT':12}  {verdict.seeds:5}  {text}"


def main(argv: list[str] | None = None) -> int:
    """Plant the bugs asked for; 0 where enough of them were caught."""
    parser = argparse.ArgumentParser(prog="campaign --planted", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these bugs; default: all")
    parser.add_argument("--seeds", type=int, default=150, help="the most seeds a bug may live; default 150")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="bugs at once; default: all cores")
    args = parser.parse_args(argv)
    bugs = [bug for bug in planted() if not args.names or bug.name in args.names]
    if not bugs or len(bugs) < len(set(args.names)):
        parser.error(f"no such bug; there are: {', '.join(bug.name for bug in planted())}")
    return _run(bugs, args.seeds, args.jobs)


def _run(bugs: Sequence[Bug], seeds: int, jobs: int) -> int:
    began = time.perf_counter()
    with copy_of(ROOT, None) as root:  # as it is now: whoever goes on working does not change what is judged
        for bug in bugs:
            bug.patched(root)
        verdicts = _tried(bugs, root, seeds, jobs)
    print(table(sorted(verdicts, key=lambda v: bugs.index(v.bug))))
    print(f"{time.perf_counter() - began:.0f} s")
    return 0 if sum(bool(v.kind) for v in verdicts) >= CAUGHT_LEAST * len(verdicts) else 1


def _tried(bugs: Sequence[Bug], root: Path, seeds: int, jobs: int) -> list[Verdict]:
    without = unplanted(root, seeds, jobs)
    shown = ", ".join(f"{kind} on {n}" for kind, n in sorted(without.often.items())) or "nothing"
    print(f"without a bug: {shown} of {seeds} seeds", flush=True)
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(judged, bug, root, seeds, without) for bug in bugs]):
            verdicts.append(done.result())
            print(f"{len(verdicts)} of {len(bugs)}: {_row(verdicts[-1], 0)}", file=sys.stderr, flush=True)
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
