"""`./run fuzz`: updates of everybody but the owner through the real bot, on all cores, then one table.
`./run fuzz --parsers TIMES`: everything else that reads what comes from outside, with TIMES as many examples, all new.

Rule 1: what is drawn follows from the seeds alone; stretch N is fed again by `--from N --updates 12500`.
Rule 2: exit 1 where anything had an effect, was answered, stayed in memory, or where the owner was not heard.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.shapes import TIMES
from tests.fuzz.stretch import BLOCKS_MAX, STRETCH, Outcome, feed

SHOWN_MOST = 10
PARSERS = [f"tests/fuzz/test_{name}.py" for name in ("parsers", "files", "words")]


def main(argv: list[str] | None = None) -> int:
    """Feed the updates asked for; 0 where nothing was violated."""
    args = _parsed(sys.argv[1:] if argv is None else argv)
    if args.parsers:
        return fuzz_parsers(args.parsers, args.jobs)
    seeds = range(args.start, args.start + -(-args.updates // STRETCH))
    began = time.perf_counter()
    outcomes = []
    with ProcessPoolExecutor(args.jobs) as workers:
        for outcome in workers.map(_fed, seeds):
            outcomes.append(outcome)
            print(f"\r{len(outcomes)} of {len(seeds)} stretches", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(outcomes, time.perf_counter() - began))
    bad = [(seed, line) for seed, outcome in zip(seeds, outcomes, strict=True) for line in outcome.violations]
    for seed, line in bad[:SHOWN_MOST]:
        print(f"stretch {seed}: {line}")
    return 1 if bad else 0


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--updates", type=int, default=1_000_000, help="how many; default 1,000,000")
    parser.add_argument("--from", dest="start", type=int, default=1, help="the first seed; default 1")
    parser.add_argument(
        "--parsers", type=int, metavar="TIMES", help="the parsers instead; 100: about a minute for each"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: all cores")
    return parser.parse_args(argv)


def fuzz_parsers(times: int, jobs: int) -> int:
    """The tests of the parsers on fresh examples, TIMES as many as in the checks; pytest's exit code."""
    words = [sys.executable, "-m", "pytest", "-n", str(jobs), "--durations=30", *PARSERS]
    return subprocess.call(words, env={**os.environ, TIMES: str(times)})


def _fed(seed: int) -> Outcome:
    return asyncio.run(feed(seed, STRETCH))


def table(outcomes: list[Outcome], seconds: float) -> str:
    """What was fed and what came of it."""
    fed: Counter[str] = sum((outcome.fed for outcome in outcomes), Counter())
    strange, owners = sum(fed.values()), sum(outcome.owners for outcome in outcomes)
    rows = [f"{count:>10,}  {kind}" for kind, count in fed.most_common()]
    rows += [
        f"{strange + owners:>10,}  updates in {seconds:.1f} s, {(strange + owners) / seconds:,.0f} a second",
        f"{strange:>10,}  not the owner's, {sum(outcome.unread for outcome in outcomes):,} of them unreadable",
        f"{owners:>10,}  the owner's own, each answered",
        f"{sum(outcome.left for outcome in outcomes):>10,}  groups and channels left",
        f"{max(outcome.blocks for outcome in outcomes):>10,}  blocks of memory more, at most ({BLOCKS_MAX:,} allowed)",
        f"{max(outcome.rss_kb for outcome in outcomes):>10,}  kB of memory more, at most, in half a stretch",
        f"{sum(len(outcome.violations) for outcome in outcomes):>10,}  violations: effects, answers, noise, growth",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
