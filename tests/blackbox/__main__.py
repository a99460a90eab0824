"""`python -m tests.blackbox ROUNDS`: the program as processes against a failing exchange, killed at random; one table.

Rule 1: exit 1 on any violation; its round's seed, what was found, and the journal around it are printed.
Rule 2: `--writes` kills a scripted run at each of its writes to the disk instead, or at every N-th of them.
Rule 3: `--control` plays the same rounds with a bot that is written naively: exit 1 unless most of them harm it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.blackbox import rounds, writes
from tests.blackbox.rounds import Outcome
from tests.blackbox.traders import ASSISTANT, CONTROL, Trader

SHOWN_MOST = 6


def main(argv: list[str] | None = None) -> int:
    """Play the rounds asked for; 0 where the assistant came through all of them, or the control through few."""
    args = _parsed(sys.argv[1:] if argv is None else argv)
    if args.writes:
        return cut_at_writes(args.writes, args.jobs)
    seeds = [args.seed] if args.seed is not None else range(args.start, args.start + args.rounds)
    began = time.monotonic()
    outcomes = []
    for outcome in played(seeds, args.jobs, CONTROL if args.control else ASSISTANT, args.share, args.keep):
        outcomes.append(outcome)
        print(line(outcome), flush=True)
        for finding in outcome.findings[:SHOWN_MOST] if not args.control else ():
            print("    ", *finding)
        for text in outcome.evidence if not args.control else ():
            print("        ", text)
    print(table(outcomes, time.monotonic() - began))
    harmed = sum(bool(o.findings) for o in outcomes)
    return int(harmed * 2 <= len(outcomes)) if args.control else int(harmed > 0)


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="blackbox", description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=4, help="how many rounds; default 4")
    parser.add_argument("--from", dest="start", type=int, default=1, help="the first seed; default 1")
    parser.add_argument("--seed", type=int, help="this round only")
    parser.add_argument("--jobs", type=int, default=3, help="rounds at once; default 3")
    parser.add_argument("--share", type=float, default=rounds.SHARE, help="of the requests that fail; default 0.15")
    parser.add_argument("--control", action="store_true", help="play with the bot that must come to harm")
    parser.add_argument("--writes", type=int, nargs="?", const=1, metavar="N", help="kill at writes, every N-th")
    parser.add_argument("--keep", type=Path, help="leave what each round wrote in this folder")
    return parser.parse_args(argv)


def played(seeds: range | list[int], jobs: int, trader: Trader, share: float, keep: Path | None) -> Iterator[Outcome]:
    """The outcomes in the order of the seeds, ``jobs`` rounds at once."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(partial(_played, trader=trader, share=share, keep=keep), seeds)


def _played(seed: int, trader: Trader, share: float, keep: Path | None) -> Outcome:
    try:
        if keep:
            return rounds.play(keep / str(seed), seed, trader, share=share)
        with tempfile.TemporaryDirectory(prefix="firstmate-blackbox-") as folder:
            return rounds.play(Path(folder), seed, trader, share=share)
    except Exception as error:
        return Outcome(seed, findings=[("broken", f"{type(error).__name__}: {error}")])


def cut_at_writes(every: int, jobs: int) -> int:
    """Kill the scripted run at every ``every``-th of its writes, each in a run of its own; 0 where none did harm."""
    cannot = writes.cannot_trace()
    if cannot:
        print(f"No write can be cut off here: {cannot}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="firstmate-writes-") as folder, ThreadPoolExecutor(jobs) as pool:
        script = writes.Script(Path(folder))
        points = script.points()
        found = []
        for each in pool.map(script.killed_at, points[::every]):
            found.append(each)
            if each.wrong or len(found) % 50 == 0:
                print(f"{len(found):>5}  {each.point}  {each.wrong or 'well'}", flush=True)
    wrong = [each for each in found if each.wrong]
    print(f"\nwrites        {len(points)} in the run that nobody kills")
    print(f"kills         {sum(each.killed for each in found)} of {len(found)} tried")
    print(f"given up      {sum(each.given_up for each in found)} entries, committed and perhaps never sent")
    print(f"violations    {len(wrong)}: {', '.join(str(each.point) for each in wrong) or 'none'}")
    return int(bool(wrong))


def line(outcome: Outcome) -> str:
    """One round in a line."""
    verdict = ", ".join(f"{k} {n}" for k, n in sorted(Counter(k for k, _ in outcome.findings).items())) or "well"
    return (
        f"round {outcome.seed:>4}  intents {outcome.intents:>3}  orders {outcome.orders:>3}  trades {outcome.trades:>3}"
        f"  kills {outcome.kills:>2}  faults {outcome.faults.total():>4}  settled {outcome.settled_s:4.1f} s  {verdict}"
    )


def table(outcomes: list[Outcome], took_s: float) -> str:
    """The sum of all rounds."""
    faults: Counter[str] = sum((o.faults for o in outcomes), Counter())
    kinds = Counter(kind for o in outcomes for kind in rounds.kinds(o))
    bad = ", ".join(str(o.seed) for o in outcomes if o.findings)
    lines = [
        "",
        f"rounds      {len(outcomes)}, {took_s:.0f} s",
        f"intents     {sum(o.intents for o in outcomes)}",
        f"orders      {sum(o.orders for o in outcomes)}",
        f"trades      {sum(o.trades for o in outcomes)}",
        f"kills       {sum(o.kills for o in outcomes)}",
        f"by hand     {sum(o.by_hand for o in outcomes)}",
        f"faults      {faults.total()}: " + ", ".join(f"{k} {n}" for k, n in sorted(faults.items())),
        "violations  " + (", ".join(f"{k} in {n}" for k, n in sorted(kinds.items())) or "none"),
    ]
    return "\n".join([*lines, f"rounds hit  {len(bad.split(', '))}: {bad}"] if bad else lines)


if __name__ == "__main__":
    sys.exit(main())
